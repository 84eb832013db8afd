"""What a graph does to its pixels before anything else: sums and products with constants; what its first layer adds."""

from __future__ import annotations

import numpy as np
import onnx

from blackbox_explain.rescaling import Rescaling
from blackbox_explain_adapters._onnx.node import Node, read_by
from blackbox_explain_adapters._onnx.prepare import READ_SHAPE_ALONE
from blackbox_explain_adapters._onnx.stored import Stored
from blackbox_explain_adapters._onnx.weights import NO_WEIGHTS, Weights

__all__ = ["biases_outweigh", "blue_first", "leading_rescaling"]

MOVING = ("Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten")

ARITHMETIC = ("Mul", "Div", "Sub", "Add", "BatchNormalization")

CHANNELS = 4
"""The most that an image has: what has more numbers scales features apart, or is a mean image."""


def leading_rescaling(graph: onnx.GraphProto, source: str, weights: Weights = NO_WEIGHTS) -> Rescaling | None:
    """Read the sums and products with constants that a graph begins with, if any.

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
    found: Rescaling | None = None
    readers: dict[str, list[Node]] = {}
    for proto in graph.node:
        if proto.op_type not in READ_SHAPE_ALONE:
            for one in set(read_by(proto)):
                readers.setdefault(one, []).append(Node(proto))
    for _ in range(len(graph.node)):
        if len(readers.get(name, ())) != 1:
            break  # ways that part say nothing in common
        (node,) = readers[name]
        if node.domain or not node.outputs or (node.op not in MOVING and node.op not in ARITHMETIC):
            break
        if node.op in ARITHMETIC:
            step = _affine(node, name, stored)
            if step is None:
                break
            times, plus = step
            found = (found or Rescaling()).then(times=times.tolist(), plus=plus.tolist())
        name = node.y
    return found


def blue_first(rescaling: Rescaling) -> bool:
    """Say whether the mean rises from the first channel to the last, as that of photos does from blue to red."""
    scale, offset = np.broadcast_arrays(np.asarray(rescaling.scale), np.asarray(rescaling.offset))
    return scale.size == 3 and bool(np.all(scale > 0) and np.all(np.diff(-offset / scale) > 0))


BRIGHTNESS, DETAIL = 0.25, 0.1
"""By how much patches of photos differ in their mean, and pixels from that of their patch, as shares of the range."""

OUTWEIGHED = 3.0
"""Biases of trained networks are smaller than what photos make of the weights; random ones are smaller still."""

FILTERS = 16
"""Fewer say too little: some random ones have large biases."""


def biases_outweigh(graph: onnx.GraphProto, source: str, width: float, held: Weights = NO_WEIGHTS) -> float | None:
    """Return by how much the biases of a first convolution outweigh what photos make of its weights, if they do.

    Then all photos are alike to the network, which was trained on larger numbers, such as bytes minus a mean.

    Parameters
    ----------
    graph, source
        As for `leading_rescaling`.
    width
        Of the range of the pixels.
    held
        Weights that are held apart from the graph.

    Returns
    -------
    ratio
        The median over the filters; None unless it is above `OUTWEIGHED` for three quarters of them.
    """
    stored = Stored(graph, held)
    readers = [node for node in graph.node if source in node.input and node.op_type not in READ_SHAPE_ALONE]
    while len(readers) == 1 and readers[0].op_type in ("Identity", "Cast", "Transpose") and not readers[0].domain:
        source = readers[0].output[0]
        readers = [node for node in graph.node if source in node.input]
    if len(readers) != 1 or readers[0].op_type != "Conv" or readers[0].domain or len(readers[0].input) < 3:
        return None
    weights, biases = (stored.get(name) for name in readers[0].input[1:3])
    if weights is None or biases is None or weights.ndim < 3 or len(weights) < FILTERS:
        return None
    flat = weights.reshape(len(weights), -1).astype(np.float64)
    moved = width * np.hypot(BRIGHTNESS * flat.sum(axis=1), DETAIL * np.linalg.norm(flat, axis=1))
    ratio = np.abs(biases.astype(np.float64)) / np.maximum(moved, np.finfo(np.float64).tiny)
    return float(np.median(ratio)) if np.quantile(ratio, 0.25) > OUTWEIGHED else None


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
