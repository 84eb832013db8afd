"""Surrogate gradients across rounding: as if it were not there, but for what is clipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, nodes_of, refusal
from blackbox_explain_adapters._onnx.pipeline import ROUNDING_NODE

__all__ = ["behind_bytes", "is_quantised", "through_quantisation"]


def behind_bytes(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Let the gradient pass the cast of images to bytes, whose own gradient is of floats."""
    del tape, node
    return [gradients[0]]


def is_quantised(model: onnx.ModelProto) -> bool:
    """Say whether activations are rounded to whole numbers somewhere."""
    return any(node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear") for node in nodes_of(model.graph))


def through_quantisation(model: onnx.ModelProto) -> dict[str, Rule]:
    """Return the rules, by node, that let gradients pass each QuantizeLinear and DequantizeLinear."""
    found: dict[str, Rule] = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            found[node.name] = _quantise
        elif node.op_type in ("DequantizeLinear", "DynamicQuantizeLinear") or (
            node.op_type == "Cast" and node.name == ROUNDING_NODE
        ):
            found[node.name] = behind_bytes
    return found


def _quantise(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Inside the range of the integers the slope is 1, outside it is 0.
    scale = tape.known(node, node.inputs[1], "scales").astype(np.float64)
    dtype = tape.dtype(node.y)
    if dtype.kind not in "iu":
        raise refusal(node, f"quantises to {dtype}")
    zero = tape.known(node, node.inputs[2], "zero points").astype(np.float64) if node.input(2) else np.zeros(())
    shape = [1] * tape.rank(node.x)
    if scale.ndim == 1 and scale.size > 1:
        shape[node.get("axis", 1)] = scale.size
    limits = np.iinfo(dtype)
    low, high = (((end - zero) * scale).reshape(shape) for end in (limits.min - 0.5, limits.max + 0.5))
    x = node.x
    inside = tape.mul(tape.op("Sub", x, tape.number(low, x)), tape.op("Sub", tape.number(high, x), x))
    return [tape.mul(gradients[0], tape.step(inside, x))]
