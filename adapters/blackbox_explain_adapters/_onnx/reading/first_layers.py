"""What a graph does to its pixels before anything else: sums and products with constants; what its first layer adds."""

from __future__ import annotations

import numpy as np
import onnx

from blackbox_explain.box.adapter_tools.first_layers import FirstSteps
from blackbox_explain.box.adapter_tools.rescaling import Rescaling
from blackbox_explain_adapters._onnx.graph.constants import Stored
from blackbox_explain_adapters._onnx.graph.node import Node, read_by
from blackbox_explain_adapters._onnx.graph.pixel_dependence import READ_SHAPE_ALONE
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights

__all__ = ["first_steps"]

MOVING = ("Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Resize", "Upsample")

ARITHMETIC = ("Mul", "Div", "Sub", "Add", "BatchNormalization")

CHANNELS = 4
"""The most that an image has: what has more numbers scales features apart, or is a mean image."""


def first_steps(graph: onnx.GraphProto, source: str, weights: Weights = NO_WEIGHTS) -> FirstSteps:
    """Read what a graph does to its pixels first: sums and products with constants, or a convolution.

    Parameters
    ----------
    graph
        It stays.
    source
        Name of the input.
    weights
        Held apart from the graph.
    """
    stored, name = Stored(graph, weights), source
    found, turned = Rescaling(), False
    readers: dict[str, list[Node]] = {}
    for proto in graph.node:
        if proto.op_type not in READ_SHAPE_ALONE:
            for one in set(read_by(proto)):
                readers.setdefault(one, []).append(Node(proto))
    for _ in range(len(graph.node)):
        if len(readers.get(name, ())) != 1:
            break  # ways that part say nothing in common
        (node,) = readers[name]
        if node.domain or not node.outputs:
            break
        if node.op in ARITHMETIC:
            step = _affine(node, name, stored)
            if step is None:
                break
            times, plus = step
            found = found.then(times=times.tolist(), plus=plus.tolist())
        elif _turns(node, stored):
            turned = True
        elif node.op == "Conv" and found == Rescaling():
            return _convolution(node, name, stored)
        elif node.op not in MOVING:
            break
        name = node.y
    return FirstSteps(None if found == Rescaling() else found, turned=turned)


def _turns(node: Node, stored: Stored) -> bool:
    """Tell whether a node only turns the order of the channels around."""
    if len(node.inputs) < 2:
        return False
    constants = [stored.get(one) for one in node.inputs[1:]]
    if node.op == "Gather":
        return constants[0] is not None and constants[0].tolist() == [2, 1, 0]
    return node.op == "Slice" and len(constants) == 4 and constants[3] is not None and constants[3].tolist() == [-1]


def _convolution(node: Node, name: str, stored: Stored) -> FirstSteps:
    if node.x != name or len(node.inputs) < 3:
        return FirstSteps()
    filters, biases = (stored.get(one) for one in node.inputs[1:3])
    if filters is None or biases is None or filters.ndim < 3:
        return FirstSteps()
    return FirstSteps(None, filters.reshape(len(filters), -1), biases)


def _affine(node: Node, name: str, stored: Stored) -> tuple[np.ndarray, np.ndarray] | None:
    """Return factor and summand of one operation."""
    if node.op == "BatchNormalization":
        parts = [part for one in node.inputs[1:5] if (part := _per_channel(stored.get(one))) is not None]
        if node.x != name or len(parts) != 4 or np.any(parts[3] < 0):
            return None
        scale, shift, mean, variance = parts
        by = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
        return by, shift - by * mean
    first = node.x == name
    other = _per_channel(stored.get(node.inputs[1] if first else node.x))
    if other is None:
        return None
    if node.op == "Mul":
        return other, np.zeros(1)
    if node.op == "Add":
        return np.ones(1), other
    if node.op == "Div" and first and np.all(other != 0):
        return 1 / other, np.zeros(1)
    return (np.ones(1), -other) if node.op == "Sub" and first else None


def _per_channel(value: np.ndarray | None) -> np.ndarray | None:
    """Return one number for each channel; that of a mean image is its average."""
    if value is None or value.size == 0 or value.dtype.kind not in "iuf":
        return None
    numbers: np.ndarray = value.astype(np.float64)
    if numbers.size > CHANNELS:
        sizes = [size for size in numbers.shape if size != 1]
        small = [axis for axis, size in enumerate(sizes) if size <= CHANNELS]
        if len(sizes) < 2 or len(small) > 1:
            return None
        numbers = numbers.reshape(sizes).mean(tuple(axis for axis in range(len(sizes)) if axis not in small))
    return numbers.reshape(-1)
