"""Which tensors depend on the image by a gradient, and where such a path is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import onnx

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, Tensor, read_by, refusal

__all__ = ["CONTROL", "STEERING", "active_tensors", "between", "multiplies_whole_numbers", "no_path"]

COMPARING = ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "IsNaN", "IsInf", "Sign")

COMBINING = ("And", "Or", "Xor", "Not")

DICE = ("RandomNormalLike", "RandomUniformLike")
"""What takes a shape alone from what it reads."""

STEERING = frozenset(("Shape", "Size", "ArgMax", "ArgMin", "Hardmax", *COMPARING, *COMBINING, *DICE))
"""Operators whose gradient is 0 (shapes, places, comparisons): it ends there, and that is no error."""

PLACED = frozenset(("TopK", "MaxPool"))
"""What tells the places of what it takes, besides: those choose, too."""

CONTROL = frozenset(("If", "Loop", "Scan"))

ROUNDING = frozenset(("Floor", "Ceil", "Round"))

MOVING = frozenset(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"))
"""What images of bytes may pass before they become floats."""

QUANTISED = (
    "export the float model it was made from, or ask for a surrogate: straight_through=True (--straight-through)"
)


def active_tensors(
    nodes: Sequence[onnx.NodeProto], tensors: Mapping[str, Tensor], source: str, known: Set[str] = frozenset()
) -> set[str]:
    """Return the names of the float tensors that depend on `source` by a gradient.

    Parameters
    ----------
    nodes
        In order.
    tensors
        Types.
    source
        Where images come in.
    known
        Names of nodes whose rule says how a gradient passes, whatever they compute.

    Raises
    ------
    UnsupportedModelError
        If whole numbers or steps carry the image on: every gradient behind them would be wrong in silence.
    """
    active = {source}
    used = {name for node in nodes for name in read_by(node)}
    whole = any(map(multiplies_whole_numbers, nodes))
    for proto in nodes:
        node = Node(proto)
        if not active.intersection(read_by(proto)) or _steers(node):
            continue
        outputs = [name for name in node.outputs if name in used or name in tensors]
        live = [name for name in outputs if name in tensors and tensors[name].dtype in FLOATS]
        if proto.name in known:
            active.update(name for name in node.outputs if name)
            continue
        if node.op in MOVING and node.x in active and tensors[node.x].dtype not in FLOATS:
            active.add(node.y)
            continue
        if node.op in CONTROL:
            raise refusal(
                node, "control flow that the image, or the number of images, decides", "export it without control flow"
            )
        cut = node.op in ROUNDING or any(name in used for name in outputs if name not in live)
        if cut and (node.domain or node.op not in PLACED):
            hint = ""
            if whole:
                hint = "export the float model it was made from; arithmetic of whole numbers has no surrogate either"
            elif "Quantize" in node.op:
                hint = QUANTISED
            why = "its output is a whole number or a step, which cuts the gradient"
            if any(name in used and name not in tensors for name in outputs):
                why = "its output is a sequence, or of a type, or a number of axes, that is not followed"
            raise refusal(node, why, hint)
        active.update(live)
    return active


def _steers(node: Node) -> bool:
    whether = node.op == "Cast" and node.get("to") == onnx.TensorProto.BOOL  # whether it is other than 0
    return not node.domain and (node.op in STEERING or whether)


def between(nodes: Sequence[onnx.NodeProto], source: str, output: str) -> set[str]:
    """Return the names of the tensors on the way from one to the other, both among them; nodes are in order."""
    reached, leading = {source}, {output}
    for node in nodes:
        if reached.intersection(read_by(node)) and node.op_type not in STEERING:
            reached.update(node.output)
    for node in reversed(nodes):
        if leading.intersection(node.output):
            leading.update(read_by(node))
    return reached & leading


def multiplies_whole_numbers(node: onnx.NodeProto) -> bool:
    """Say whether a node computes with quantised weights."""
    kind = node.op_type
    return (
        "Integer" in kind or kind.startswith("QLinear") or (bool(node.domain) and kind.startswith(("QGemm", "Dynamic")))
    )


def no_path(source: str, output: str) -> UnsupportedModelError:
    """Make the error for scores that do not depend on the image."""
    return UnsupportedModelError(
        "The model cannot be differentiated",
        got=f"no path of floats from {source!r} to {output!r}",
        expected="scores that depend on the image by a gradient",
    )
