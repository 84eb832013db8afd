"""Sampling at places that may depend on the image, as spatial transformers do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, element_type

__all__ = ["Sampled", "Tap", "inside", "interpolated"]

INTEGERS = np.dtype(np.int64)

A = -0.75
"""The coefficient of ONNX's and PyTorch's cubic interpolation."""

CUBIC = ((0, A, -2 * A, A), (1, 0, -(A + 3), A + 2), (0, -A, 2 * A + 3, -(A + 2)), (0, 0, A, -A))
"""Weights of its four taps: polynomials in the distance from the second."""

LINEAR = ((1, -1), (0, 1))

Tap = tuple[str, str, str]
"""Where a tap lies along one axis, its weight, and the weight's slope by the grid; each (N, samples)."""


def _cases() -> list[Case]:
    places = np.random.default_rng(3).uniform(-1.3, 1.3, (2, 3, 4, 2)).astype(np.float32)
    values = {"st": np.array([0]), "en": np.array([2]), "ax": np.array([1]), "k": np.float32(0.7)}
    own = "a = Slice(x, st, en, ax)\nb = Transpose<perm=[0,2,3,1]>(a)\nc = Mul(b, k)\nw = Tanh(c)"
    cases: list[Case] = []
    for mode, padding, corners in product(("linear", "nearest", "cubic"), ("zeros", "border", "reflection"), (0, 1)):
        call = f'GridSample<mode="{mode}", padding_mode="{padding}", align_corners={corners}>(x, w)'
        cases.append(Case(f"y = {call}", (2, 3, 5, 6), {"w": places}, opset=20, dynamic=False))
        cases.append(Case(f"{own}\ny = {call}", (2, 3, 5, 6), values, opset=20))
    volume = np.random.default_rng(4).uniform(-1.2, 1.2, (2, 2, 3, 2, 3)).astype(np.float32)
    cases.append(Case("y = GridSample(x, w)", (2, 2, 4, 3, 5), {"w": volume}, opset=20, dynamic=False))
    own = "b = Transpose<perm=[0,2,3,4,1]>(x)\nc = Mul(b, k)\nw = Tanh(c)"
    cases.append(Case(f"{own}\ny = GridSample(x, w)", (2, 3, 4, 3, 5), {"k": np.float32(0.7)}, opset=20))
    return cases


def _grids() -> list[Case]:
    return [
        Case(f"y = AffineGrid<align_corners={corners}>(x, s)", shape, {"s": np.array(sizes)}, opset=20, dynamic=False)
        for corners in (0, 1)
        for shape, sizes in (((2, 2, 3), [2, 1, 4, 5]), ((2, 3, 4), [2, 1, 3, 2, 4]))
    ]


@rule("AffineGrid", cases=_grids())
def _grid(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Each place is the transform times where it is without one: sums over places of gradient times place.
    n = tape.rank(node.y) - 2
    sizes = tape.sizes(node, node.y, range(1, 1 + n))
    reach = [1.0 if node.get("align_corners", 0) else 1 - 1 / size for size in sizes]
    lines = [np.linspace(-one, one, size) if size > 1 else np.zeros(1) for one, size in zip(reach, sizes, strict=True)]
    # The last axis comes first, as in every grid.
    places = [line.reshape(-1) for line in np.meshgrid(*lines, indexing="ij")][::-1]
    base = np.stack([*places, np.ones_like(places[0])], axis=1).astype(tape.dtype(node.x))
    g = tape.transpose(tape.reshape(gradients[0], [None, len(base), n]), [0, 2, 1])
    return [tape.op("MatMul", g, base)]


@rule("GridSample", cases=_cases())
def _sample(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    x, grid = node.inputs
    n = tape.rank(x) - 2
    channels, *sizes = tape.sizes(node, x, range(1, 2 + n))
    samples = int(np.prod(tape.sizes(node, node.y, range(2, 2 + n)), dtype=int))
    g = tape.reshape(gradients[0], [None, channels, samples])
    pixels = tape.reshape(x, [None, channels, int(np.prod(sizes))])
    lines = [_along(tape, node, axis, size) for axis, size in enumerate(sizes)]
    taken = Sampled(tape, pixels, tape.dtype(x), sizes, lines)
    found = ["", ""]
    if x in tape.active:
        found[0] = tape.reshape_like(taken.to_pixels(g), x)
    if grid in tape.active:
        # The grid names the last axis first.  The nearest pixel is the same nearby, so that it has no slope.
        parts = [tape.op("Unsqueeze", one, tape.ints([2])) for one in reversed(taken.to_places(g))]
        found[1] = tape.reshape_like(tape.op("Concat", *parts, axis=2), grid) if parts else tape.zeros_like(grid)
    return found


class Sampled:
    """Samples: sums of weight times pixel over taps, one of each line.

    Parameters
    ----------
    tape
        To write on.
    pixels
        (N, C, all pixels).
    dtype
        Theirs.
    sizes
        Of the image that they are.
    lines
        By axis, the taps along it.
    """

    def __init__(
        self, tape: Tape, pixels: str, dtype: np.dtype[Any], sizes: Sequence[int], lines: Sequence[Sequence[Tap]]
    ) -> None:
        self._tape, self._pixels, self._dtype = tape, pixels, dtype
        self._taps = list(product(*lines))
        self._places: list[str] = []
        for taps in self._taps:
            place = taps[0][0]
            for (index, _, _), size in zip(taps[1:], sizes[1:], strict=True):
                place = tape.op("Add", tape.op("Mul", place, np.array(size)), index)
            self._places.append(tape.op("Unsqueeze", place, tape.ints([1])))

    def to_pixels(self, g: str) -> str:
        """Return the gradient of the pixels from the samples' (N, C, samples): each pixel gets it by its weight."""
        tape = self._tape
        everywhere = tape.zeros_as(g, INTEGERS)
        where = tape.op("Concat", *(tape.op("Add", everywhere, one) for one in self._places), axis=2)
        weights = (tape.op("Unsqueeze", self._weight(taps), tape.ints([1])) for taps in self._taps)
        what = tape.op("Concat", *(tape.mul(g, one) for one in weights), axis=2)
        zeros = tape.zeros_as(self._pixels, self._dtype)
        return tape.op("ScatterElements", zeros, where, what, axis=2, reduction="add")

    def to_places(self, g: str) -> list[str]:
        """Return by axis the gradient of where the samples lie, (N, samples), by the slopes of the weights."""
        tape, slopes = self._tape, [list[str]() for _ in self._taps[0]]
        for taps, place in zip(self._taps, self._places, strict=True):
            if not taps[0][2]:
                continue
            by_weight = tape.total(tape.mul(g, self._values(g, place)), [1], keep=False)
            for axis, own in enumerate(slopes):
                factors = [tap[2] if k == axis else tap[1] for k, tap in enumerate(taps)]
                own.append(tape.mul(by_weight, reduce(tape.mul, factors)))
        return [tape.op("Sum", *one) for one in slopes if one]

    def samples(self, like: str) -> str:
        """Return the samples themselves, in the shape (N, C, samples) of `like`."""
        tape, parts = self._tape, list[str]()
        for taps, place in zip(self._taps, self._places, strict=True):
            weight = tape.op("Unsqueeze", self._weight(taps), tape.ints([1]))
            parts.append(tape.mul(self._values(like, place), weight))
        return tape.op("Sum", *parts)

    def _weight(self, taps: Sequence[Tap]) -> str:
        return reduce(self._tape.mul, [one for _, one, _ in taps])

    def _values(self, like: str, place: str) -> str:
        everywhere = self._tape.op("Add", self._tape.zeros_as(like, INTEGERS), place)
        return self._tape.op("GatherElements", self._pixels, everywhere, axis=2)


def _along(tape: Tape, node: Node, axis: int, size: int) -> list[Tap]:
    """Return the taps of GridSample along one axis."""
    grid, n, corners = node.inputs[1], tape.rank(node.x) - 2, bool(node.get("align_corners", 0))
    mode, padding = node.get("mode", "linear"), node.get("padding_mode", "zeros")
    samples = int(np.prod(tape.sizes(node, grid, range(1, 1 + n)), dtype=int))
    one = tape.reshape(tape.op("Gather", grid, np.array(n - 1 - axis), axis=n + 1), [None, samples])
    scale = (size - 1 if corners else size) / 2
    at = tape.op("Add", tape.scale(one, scale, grid), tape.number((size - 1) / 2, grid))
    if mode == "nearest":
        ones = tape.op("Add", tape.zeros_as(at, tape.dtype(grid)), tape.number(1, grid))
        taps = [(tape.op("Round", at), ones, "")]
    else:
        taps = interpolated(tape, at, grid, CUBIC if mode in ("cubic", "bicubic") else LINEAR, scale)
    if padding == "reflection":
        taps = [(_mirrored(tape, place, grid, size, corners), one, slope) for place, one, slope in taps]
    return [inside(tape, tap, grid, size, zeros=padding == "zeros") for tap in taps]


def interpolated(
    tape: Tape, at: str, like: str, weights: Sequence[Sequence[float]] = LINEAR, scale: float = 1
) -> list[Tap]:
    """Return the taps around places along one axis.

    Parameters
    ----------
    tape
        To write on.
    at
        Places in pixels, (N, samples).
    like
        Tensor of the forward half of the same type.
    weights
        Polynomials of the taps.
    scale
        Slope of the places by what they are made from.
    """
    low = tape.op("Floor", at)
    part = tape.op("Sub", at, low)
    first = -1 if weights is CUBIC else 0
    taps: list[Tap] = []
    for k, weight in enumerate(weights):
        slope = [power * factor * scale for power, factor in enumerate(weight)][1:]
        place = tape.op("Add", low, tape.number(first + k, like))
        taps.append((place, _polynomial(tape, weight, part, like), _polynomial(tape, slope, part, like)))
    return taps


def _polynomial(tape: Tape, factors: Sequence[float], x: str, like: str) -> str:
    whole = tape.op("Add", tape.zeros_as(x, tape.dtype(like)), tape.number(factors[-1], like))
    for factor in reversed(factors[:-1]):
        whole = tape.op("Add", tape.mul(whole, x), tape.number(factor, like))
    return whole


def _mirrored(tape: Tape, place: str, like: str, size: int, corners: bool) -> str:
    """Mirror places at the centres of the outer pixels, or at their edges: as often as it takes."""
    period, shift = (max(2 * (size - 1), 1), 0.0) if corners else (2 * size, 0.5)
    moved = tape.op("Abs", tape.op("Add", place, tape.number(shift, like)))
    times = tape.op("Floor", tape.op("Div", moved, tape.number(period, like)))
    rest = tape.op("Sub", moved, tape.scale(times, period, like))
    mirrored = tape.op("Min", rest, tape.op("Sub", tape.number(period, like), rest))
    return tape.op("Sub", mirrored, tape.number(shift, like))


def inside(tape: Tape, tap: Tap, like: str, size: int, zeros: bool) -> Tap:
    """Bring a tap into the image, as an index; with zeros around it, it has no weight outside."""
    place, weight, slope = tap
    within = tape.op("Min", tape.op("Max", place, tape.number(0, like)), tape.number(size - 1, like))
    if zeros:
        there = tape.op("Cast", tape.op("Equal", place, within), to=element_type(tape.dtype(like)))
        weight, slope = tape.mul(weight, there), tape.mul(slope, there) if slope else ""
    return tape.op("Cast", within, to=element_type(INTEGERS)), weight, slope
