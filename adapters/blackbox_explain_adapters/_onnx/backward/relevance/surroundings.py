"""What rules of relevance ask the forward half: what a node stands between, and the signs of what it reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["NEVER_NEGATIVE_GATES", "WEIGHTED", "active_places", "gate_of", "is_first", "is_nonnegative", "origin"]

WEIGHTED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"))
"""Layers with weights."""

SCALING = frozenset(("Add", "Sub", "Mul", "Div", "Neg", "Where"))
MOVING = frozenset(("Cast", "Dropout", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
"""Behind what makes a gate: they leave it one."""

NEVER_NEGATIVE_GATES = frozenset(("Sigmoid", "HardSigmoid", "Softmax"))
CERTAIN_GATES = NEVER_NEGATIVE_GATES | {"Reciprocal", "Sqrt"}
LIKELY_GATES = frozenset(("Clip", "Erf", "Tanh"))
"""What a gate ends in: gates of 0 to 1 and one over a deviation are seldom anything else; those that follow are the
inner parts of HardSwish, Gelu and Mish, but activations of signals, too."""

NEVER_NEGATIVE = NEVER_NEGATIVE_GATES | {"Abs", "Exp", "ReduceL1", "ReduceL2", "Relu", "Softplus", "Sqrt"}

# fmt: off
KEEPING_SIGNS = frozenset((
    "Add", "AveragePool", "Concat", "DepthToSpace", "Gather", "GlobalAveragePool", "GlobalMaxPool", "LRN", "Max",
    "MaxPool", "Mean", "Mul", "ReduceMax", "ReduceMean", "ReduceSum", "Slice", "SpaceToDepth", "Split", "Sum",
)) | MOVING
# fmt: on
"""What is never negative if nothing is that they read."""


def active_places(tape: Tape, node: Node) -> list[int]:
    """Return the places of the inputs that depend on the image by a gradient."""
    return [place for place, name in enumerate(node.inputs) if name in tape.active]


def origin(tape: Tape, name: str) -> Node | None:
    """Return the node that a tensor was made by, before it was scaled, shifted or given other axes; None for none."""
    while (node := tape.made_by.get(name)) is not None:
        places = active_places(tape, node)
        if node.op not in SCALING | MOVING or len(places) != 1:
            return node
        name = node.inputs[places[0]]
    return None


def gate_of(tape: Tape, node: Node) -> int | None:
    """Return which of the two factors of a product is a gate, which lets the other pass as far as it is open.

    A gate ends in Sigmoid, HardSigmoid or Softmax (x · sigmoid(x), squeeze-and-excitation, attention), or is one over a
    deviation; else in Tanh, Erf or Clip (Gelu, Mish and HardSwish, written out).  If both do, it is the smaller one,
    which is broadcast.

    Returns
    -------
    int or None
        0 or 1; None if neither can be told from the other.
    """
    made = [origin(tape, name) for name in node.inputs[:2]]
    for kinds in (CERTAIN_GATES, LIKELY_GATES):
        gates = [place for place, one in enumerate(made) if one is not None and one.op in kinds]
        if len(gates) == 1:
            return gates[0]
        if gates:
            sizes = [sum(size != 1 for size in tape.shape(name)) for name in node.inputs[:2]]
            return None if sizes[0] == sizes[1] else int(sizes[1] < sizes[0])
    return None


def is_first(tape: Tape, name: str) -> bool:
    """Say whether no layer with weights lies between the image and a tensor."""
    waiting, seen = [name], {name}
    while waiting:
        node = tape.made_by.get(waiting.pop())
        if node is None:
            continue
        before = {one for one in node.inputs if one in tape.active} - seen
        if before and node.op in WEIGHTED:
            return False
        seen |= before
        waiting += before
    return True


def is_nonnegative(tape: Tape, name: str) -> bool:
    """Say whether the graph alone tells that a tensor is never below 0."""
    known: dict[str, bool] = {}

    def told(one: str) -> bool:
        if one not in known:
            known[one] = _is_nonnegative(tape, one, told)
        return known[one]

    return told(name)


def _is_nonnegative(tape: Tape, name: str, told: Callable[[str], bool]) -> bool:
    if name in tape.constants:
        return bool(np.all(tape.constants[name] >= 0))
    node = tape.made_by.get(name)
    if node is None:
        return False
    if node.op == "Clip":
        low = tape.constants.get(node.input(1))
        return low is not None and bool(np.all(low >= 0))
    if node.op in NEVER_NEGATIVE:
        return True
    if node.op == "Pad":
        filled = node.get("mode", "constant") != "constant" or not node.input(2) or told(node.inputs[2])
        return filled and told(node.x)
    if node.op not in KEEPING_SIGNS:
        return False
    read = [one for one in node.inputs if one]
    return all(map(told, read if node.op in ("Add", "Concat", "Max", "Mean", "Mul", "Sum") else read[:1]))
