"""What the first operations of a graph say of its pixels: bytes, if it divides by 255 or subtracts a mean near 120."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.node import Node, read_by
from blackbox_explain_adapters._onnx.prepare import READ_SHAPE_ALONE
from blackbox_explain_adapters._onnx.stored import Stored
from blackbox_explain_adapters._onnx.weights import NO_WEIGHTS, Weights

__all__ = ["Leading", "blue_first", "is_photo", "leading_scale", "reads_bytes"]

MOVING = ("Identity", "Cast", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten")

ARITHMETIC = ("Mul", "Div", "Sub", "Add", "BatchNormalization")

CHANNELS = 4
"""The most that an image has: what has more numbers scales features apart, or is a mean image."""

SLOPES = (1 / 512, 1 / 50)
"""What bytes are multiplied by on their way to numbers near one, from 1/255 to 1/(255 · 0.2), with room."""

MEANS = (80, 160)
"""Where the mean of photos lies, in bytes."""


@dataclass(frozen=True)
class Leading:
    """The affine map that a graph begins with: ``slope · pixels + shift``, one number or one for each channel.

    Attributes
    ----------
    slope, shift
        Its parts.
    first
        The first operation, in words.
    """

    slope: np.ndarray
    shift: np.ndarray
    first: str


def leading_scale(graph: onnx.GraphProto, source: str, weights: Weights = NO_WEIGHTS) -> Leading | None:
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
    slope, shift, first = np.ones(1), np.zeros(1), ""
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
            found = _affine(node, name, stored)
            if found is None:
                break
            by, and_then, told = found
            first = first or told
            slope, shift = slope * by, shift * by + and_then
        name = node.y
    return Leading(slope, shift, first) if first else None


def is_photo(image: Sequence[int | None]) -> bool:
    """Say whether images of a shape may be photos: two axes of places, and channels as photos have them."""
    return len(image) == 3 and (image[0] is None or image[0] in (1, 3, 4))


def reads_bytes(leading: Leading) -> bool:
    """Say whether such a map is of pixels from 0 to 255."""
    if np.any(leading.slope <= 0):
        return False
    scaled = bool(np.all((leading.slope >= SLOPES[0]) & (leading.slope <= SLOPES[1])))
    mean = -leading.shift / leading.slope
    return scaled or bool(np.all((mean >= MEANS[0]) & (mean <= MEANS[1])))


def blue_first(leading: Leading) -> bool:
    """Say whether the mean rises from the first channel to the last, as that of photos does from blue to red."""
    mean = -leading.shift / leading.slope
    return mean.size == 3 and bool(np.all(np.diff(mean) > 0))


def _affine(node: Node, name: str, stored: Stored) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Return slope, shift and words of one operation."""
    if node.op == "BatchNormalization":
        parts = [stored.get(one) for one in node.inputs[1:5]]
        if node.x != name or len(parts) != 4:
            return None
        numbers = [_per_channel(one) for one in parts]
        scale, shift, mean, variance = (np.zeros(1) if one is None else one for one in numbers)
        if any(one is None for one in numbers) or np.any(variance < 0):
            return None
        by = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
        return by, shift - by * mean, f"a normalisation with the mean {_shown(mean)}"
    first = node.x == name
    other = _per_channel(stored.get(node.inputs[1] if first else node.x))
    if other is None:
        return None
    zero = np.zeros(1)
    if node.op == "Mul":
        return other, zero, f"a product with {_shown(other)}"
    if node.op == "Add":
        return np.ones(1), other, f"a sum with {_shown(other)}"
    if node.op == "Div" and first and np.all(other != 0):
        return 1 / other, zero, f"a division by {_shown(other)}"
    if node.op == "Sub" and first:
        return np.ones(1), -other, f"the difference from {_shown(other)}"
    return None


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


def _shown(values: np.ndarray) -> str:
    text = ", ".join(f"{one:.4g}" for one in values)
    return text if values.size == 1 else f"({text})"
