"""Sampling at places that may depend on the image, as spatial transformers do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product

import numpy as np

from blackbox_explain_adapters._onnx.node import Node, element_type
from blackbox_explain_adapters._onnx.rules.registry import Case, rule
from blackbox_explain_adapters._onnx.tape import Tape

__all__: list[str] = []

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
    # A sample is a sum of weight times pixel over taps: the pixels get the weights, the grid gets the weights' slopes.
    x, grid = node.inputs
    n = tape.rank(x) - 2
    channels, *sizes = tape.sizes(node, x, range(1, 2 + n))
    samples = int(np.prod(tape.sizes(node, node.y, range(2, 2 + n)), dtype=int))
    g = tape.reshape(gradients[0], [None, channels, samples])
    pixels = tape.reshape(x, [None, channels, int(np.prod(sizes))])
    lines = [_taps(tape, node, axis, size) for axis, size in enumerate(sizes)]
    everywhere, second = tape.zeros_as(g, INTEGERS), tape.ints([1])
    places: list[str] = []
    given: list[str] = []
    slopes: list[list[str]] = [[] for _ in range(n)]
    for taps in product(*lines):
        place = taps[0][0]
        for (index, _, _), size in zip(taps[1:], sizes[1:], strict=True):
            place = tape.op("Add", tape.op("Mul", place, np.array(size)), index)
        places.append(tape.op("Add", everywhere, tape.op("Unsqueeze", place, second)))
        if x in tape.active:
            weight = reduce(tape.mul, [one for _, one, _ in taps])
            given.append(tape.mul(g, tape.op("Unsqueeze", weight, second)))
        if grid in tape.active and taps[0][2]:
            values = tape.op("GatherElements", pixels, places[-1], axis=2)
            by_weight = tape.total(tape.mul(g, values), [1], keep=False)
            for axis in range(n):
                slope = reduce(tape.mul, [own if k == axis else one for k, (_, one, own) in enumerate(taps)])
                slopes[axis].append(tape.mul(by_weight, slope))
    found = ["", ""]
    if x in tape.active:
        zeros, where, what = (
            tape.zeros_as(pixels, tape.dtype(x)),
            *(tape.op("Concat", *one, axis=2) for one in (places, given)),
        )
        found[0] = tape.reshape_like(tape.op("ScatterElements", zeros, where, what, axis=2, reduction="add"), x)
    if grid in tape.active:
        # The grid names the last axis first.  The nearest pixel is the same nearby, so that it has no slope.
        parts = [tape.op("Unsqueeze", tape.op("Sum", *one), tape.ints([2])) for one in reversed(slopes) if one]
        found[1] = tape.reshape_like(tape.op("Concat", *parts, axis=2), grid) if parts else tape.zeros_like(grid)
    return found


def _taps(tape: Tape, node: Node, axis: int, size: int) -> list[Tap]:
    """Return the taps along one axis."""
    grid, n, corners = node.inputs[1], tape.rank(node.x) - 2, bool(node.get("align_corners", 0))
    mode = node.get("mode", "linear")
    samples = int(np.prod(tape.sizes(node, grid, range(1, 1 + n)), dtype=int))
    one = tape.reshape(tape.op("Gather", grid, np.array(n - 1 - axis), axis=n + 1), [None, samples])
    scale = (size - 1 if corners else size) / 2
    at = tape.op("Add", tape.scale(one, scale, grid), tape.number((size - 1) / 2, grid))
    if mode == "nearest":
        ones = tape.op("Add", tape.zeros_as(at, tape.dtype(grid)), tape.number(1, grid))
        return [_padded(tape, node, (tape.op("Round", at), ones, ""), size)]
    low = tape.op("Floor", at)
    part = tape.op("Sub", at, low)
    weights, first = (CUBIC, -1) if mode in ("cubic", "bicubic") else (LINEAR, 0)
    taps: list[Tap] = []
    for k, weight in enumerate(weights):
        slope = [power * factor * scale for power, factor in enumerate(weight)][1:]
        place = tape.op("Add", low, tape.number(first + k, grid))
        taps.append((place, _polynomial(tape, weight, part, grid), _polynomial(tape, slope, part, grid)))
    return [_padded(tape, node, tap, size) for tap in taps]


def _polynomial(tape: Tape, factors: Sequence[float], x: str, like: str) -> str:
    whole = tape.op("Add", tape.zeros_as(x, tape.dtype(like)), tape.number(factors[-1], like))
    for factor in reversed(factors[:-1]):
        whole = tape.op("Add", tape.mul(whole, x), tape.number(factor, like))
    return whole


def _padded(tape: Tape, node: Node, tap: Tap, size: int) -> Tap:
    """Bring a tap into the image as the padding says; where that is zeros, it has no weight outside."""
    place, weight, slope = tap
    grid, padding = node.inputs[1], node.get("padding_mode", "zeros")
    if padding == "reflection":
        # Mirrors at the centres of the outer pixels, or at their edges: as often as it takes.
        period, shift = (max(2 * (size - 1), 1), 0.0) if node.get("align_corners", 0) else (2 * size, 0.5)
        moved = tape.op("Abs", tape.op("Add", place, tape.number(shift, grid)))
        times = tape.op("Floor", tape.op("Div", moved, tape.number(period, grid)))
        rest = tape.op("Sub", moved, tape.scale(times, period, grid))
        mirrored = tape.op("Min", rest, tape.op("Sub", tape.number(period, grid), rest))
        place = tape.op("Sub", mirrored, tape.number(shift, grid))
    inside = tape.op("Min", tape.op("Max", place, tape.number(0, grid)), tape.number(size - 1, grid))
    if padding == "zeros":
        there = tape.op("Cast", tape.op("Equal", place, inside), to=element_type(tape.dtype(grid)))
        weight, slope = tape.mul(weight, there), tape.mul(slope, there) if slope else ""
    return tape.op("Cast", inside, to=element_type(INTEGERS)), weight, slope
