"""Where a graph may have no finite slope, so that the gradient takes 0: square roots of 0, say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.graph.constants import Stored
from blackbox_explain_adapters._onnx.graph.node import Node
from blackbox_explain_adapters._onnx.graph.pixel_dependence import without_pixels

__all__ = ["without_slope"]

STEEP = frozenset(("Sqrt", "Log", "Reciprocal", "ReduceL2", "ReduceLogSum", "Asin", "Acos", "Acosh", "Atanh"))
"""Operators of one tensor that have no slope, or an infinite one, at 0 or at the end of where they are defined."""

POSITIVE = frozenset(("Exp", "Sigmoid", "Softplus", "Softmax"))

# fmt: off
KEEPING = frozenset((
    "Cast", "Dropout", "Expand", "Flatten", "Identity", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Reshape",
    "Slice", "Sqrt", "Squeeze", "Transpose", "Unsqueeze",
))
# fmt: on
"""What is above 0 if the first input is."""

SHOWN = 3
"""Nodes that are named."""


def without_slope(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return a sentence on the nodes where a gradient may have to take 0 because there is no finite slope, if any.

    What is kept away from 0 by the sum with a small number, as in normalisation, is not among them.
    """
    stored = Stored(model.graph)
    makers = {name: Node(proto) for proto in model.graph.node for name in proto.output if name}
    plain = without_pixels(model) | {one.name for one in model.graph.initializer}
    found: list[str] = []
    for proto in model.graph.node:
        node = Node(proto)
        if node.domain or not node.outputs or node.y in plain:
            continue
        if node.op in STEEP:
            risky = node.x
        elif node.op == "Div" and node.inputs[1] not in plain:
            risky = node.inputs[1]
        elif node.op == "Pow" and node.x not in plain and _has_steep_power(stored.get(node.inputs[1])):
            risky = node.x
        else:
            continue
        if not _is_above_zero(risky, makers, stored):
            found.append(node.label)
    if not found:
        return ()
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (f"where there is no finite slope, as that of √x at 0, the gradient is 0: {', '.join(found[:SHOWN])}{more}",)


def _has_steep_power(power: np.ndarray | None) -> bool:
    return power is None or bool(np.any((power < 1) & (power != 0) | (power != np.round(power))))


def _is_above_zero(name: str, makers: Mapping[str, Node], stored: Stored) -> bool:
    """Say whether a tensor is kept above 0, given that sums of squares and the like are not below it."""
    while (node := makers.get(name)) is not None and not node.domain and node.op in KEEPING and node.inputs:
        name = node.x
    if node is None or node.domain:
        return False
    if node.op in POSITIVE:
        return True
    if node.op in ("Add", "Max", "Clip"):
        least = [stored.get(one) for one in (node.inputs if node.op != "Clip" else [node.input(1)]) if one]
        least += [np.asarray(node.get("min"))] if node.get("min") is not None else []
        return any(one is not None and one.size > 0 and bool(np.all(one > 0)) for one in least)
    return False
