"""Operators that only move elements: reshaping, joining, cutting, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []

S = (2, 4, 7, 9)


@rule(
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    cases=[
        Case("s = Shape<start=0, end=1>(x)\nt = Concat<axis=0>(s, k)\ny = Reshape(x, t)", S, {"k": np.array([-1])}),
        Case("a = Reshape(x, k)\ny = Tanh(a)", S, {"k": np.array([-1, 9])}),
        Case("y = Flatten(x)", S),
        Case("y = Flatten<axis=-1>(x)", S),
        Case("a = Unsqueeze(x, u)\nb = Exp(a)\ny = Squeeze(b, u)", S, {"u": np.array([2, -1])}),
    ],
)
def _reshape(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    return [tape.reshape_like(gradients[0], node.x)]


@rule("Transpose", cases=[Case("y = Transpose<perm=[2,0,3,1]>(x)", S), Case("y = Transpose(x)", (2, 3, 4))])
def _transpose(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    order = node.get("perm") or list(range(tape.rank(node.x)))[::-1]
    return [tape.transpose(gradients[0], np.argsort(order).tolist())]


@rule(
    "Expand",
    cases=[
        Case("y = Expand(x, s)", (2, 1, 3, 1), {"s": np.array([1, 4, 3, 5])}),
        Case("y = Expand(x, s)", (2, 1, 3), {"s": np.array([4, 1, 5, 1])}),
    ],
)
def _expand(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    return [tape.unbroadcast(gradients[0], node.y, node.x)]


@rule(
    "Concat",
    cases=[
        Case("a = Exp(x)\ny = Concat<axis=1>(x, a, x)", S),
        Case("y = Concat<axis=-1>(w, x, w)", (2, 3, 5), {"w": (2, 3, 1)}, dynamic=False),
    ],
)
def _concat(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    axis = node.get("axis", 0) % tape.rank(node.y)
    widths = [tape.sizes(node, name, [axis])[0] for name in node.inputs]
    if len(widths) == 1:
        return [gradients[0]]
    parts = tape.ops("Split", gradients[0], tape.ints(widths), outputs=len(widths), axis=axis)
    return [part if name in tape.active else "" for part, name in zip(parts, node.inputs, strict=True)]


@rule(
    "Split",
    cases=[
        Case(
            "a, b, c = Split<axis=-1>(x, sp)\nd = Exp(a)\ne = Concat<axis=-1>(d, c)\ny = Tanh(e)",
            S,
            {"sp": np.array([2, 3, 4])},
        ),
        Case("a, b = Split<axis=1, num_outputs=2>(x)\ny = Mul(a, b)", S),
    ],
)
def _split(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    parts = [g or tape.zeros_like(name) for g, name in zip(gradients, node.outputs, strict=True)]
    return [tape.op("Concat", *parts, axis=node.get("axis", 0))]


def _slices() -> list[Case]:
    far = 2**62
    rows = [
        ([1], [5], [2], [1]),
        ([-5], [far], [3], [2]),
        ([-1], [-far], [1], [-1]),
        ([1, 2], [6, 9], [2, 3], [2, 3]),
        ([0, 1], [4, -1], [-2, -1], [1, 1]),
        ([7, 6], [0, 0], [3, 2], [-3, -2]),
    ]
    return [
        Case("y = Slice(x, st, en, ax, sp)", S, dict(zip(("st", "en", "ax", "sp"), map(np.array, row), strict=True)))
        for row in rows
    ] + [
        Case("y = Slice(x, st, en)", S, {"st": np.array([0, 1]), "en": np.array([far, 3])}),
        # What follows from the batch size is not known before.
        Case(
            "n = Shape(x)\ny = Slice(x, st, n, ax, sp)",
            S,
            {"st": np.array([0, 3, 1, 2]), "ax": np.array([0, 1, 2, 3]), "sp": np.array([1, 1, 2, 1])},
        ),
        Case("y = Slice(x, st, en, ax)", (3, 4), {"st": np.array([-1]), "en": np.array([far]), "ax": np.array([0])}),
    ]


@rule("Slice", cases=_slices())
def _slice(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, shape = gradients[0], tape.shape(node.x)
    if any(name and name not in tape.constants for name in node.inputs[1:]):
        return [_restored_by_places(tape, node, g)]
    starts, ends = (tape.constants[name].tolist() for name in node.inputs[1:3])
    axes = tape.constants[node.inputs[3]].tolist() if node.input(3) else list(range(len(starts)))
    steps = tape.constants[node.inputs[4]].tolist() if node.input(4) else [1] * len(starts)
    current = list(tape.shape(node.y))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis % len(shape)
        size = shape[axis]
        if size is None:
            if start == 0 and step == 1 and end >= 2**31 - 1:
                continue
            return [_restored_by_places(tape, node, gradients[0])]
        g = _restored(tape, g, node.x, current, axis, _taken(start, end, step, size))
        current[axis] = size
    return [g]


def _restored_by_places(tape: Tape, node: Node, g: str) -> str:
    """Put elements back where they were taken from, wherever that is: the slice of their places says it."""
    flat = tape.ints([-1])
    count = tape.op("Size", node.x)
    places = tape.op("Reshape", tape.op("Range", np.array(0), count, np.array(1)), tape.op("Shape", node.x))
    taken = tape.op("Reshape", tape.op("Slice", places, *node.inputs[1:]), flat)
    zeros = tape.op("Reshape", tape.zeros_like(node.x), flat)
    put = tape.op("ScatterElements", zeros, taken, tape.op("Reshape", g, flat), axis=0)
    return tape.op("Reshape", put, tape.op("Shape", node.x))


def _taken(start: int, end: int, step: int, size: int) -> np.ndarray:
    """Return the indices that a slice takes: unlike Python's, a start before the first is clamped to it."""
    start, end = (one + size if one < 0 else one for one in (start, end))
    if step > 0:
        return np.arange(min(max(start, 0), size), min(max(end, 0), size), step)
    return np.arange(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step)


def _restored(tape: Tape, g: str, name: str, current: list[int | None], axis: int, taken: np.ndarray) -> str:
    """Put rows back where they were taken from along one axis, zeros between and around."""
    size, rank = tape.shape(name)[axis] or 0, len(current)
    if len(taken) == 0:
        return tape.zeros_like(name)
    step = int(taken[1] - taken[0]) if len(taken) > 1 else 1
    if step < 0:
        g = tape.op("Slice", g, tape.ints([-1]), tape.ints([-(2**62)]), tape.ints([axis]), tape.ints([-1]))
        taken, step = taken[::-1], -step
    count = len(taken)
    if step > 1:
        g = tape.op("Unsqueeze", g, tape.ints([axis + 1]))
        after = [0] * (rank + 1)
        after[axis + 1] = step - 1
        g = tape.pad(g, [0] * (rank + 1), after)
        flat = [*current[:axis], count * step, *current[axis + 1 :]]
        # Two unknown sizes cannot be written; 0 keeps a size as it is, and no axis before this one has moved.
        g = tape.op(
            "Reshape",
            g,
            tape.ints(
                [0 if size is None and i < axis else -1 if size is None else size for i, size in enumerate(flat)]
            ),
        )
    before, after = [0] * rank, [0] * rank
    before[axis], after[axis] = int(taken[0]), int(size - taken[0] - count * step)
    return tape.pad(g, before, after)


@rule(
    "Pad",
    cases=[
        Case(f'y = Pad<mode="{mode}">(x, p)', S, {"p": np.array([0, 1, 2, 1, 0, 1, 1, 3])}, opset=19)
        for mode in ("constant", "reflect", "edge", "wrap")
    ]
    + [
        Case(f'y = Pad<mode="{mode}">(x, p)', S, {"p": np.array([0, 0, -2, 1, 0, 0, 1, -3])}, opset=19)
        for mode in ("constant", "reflect", "edge", "wrap")
    ]
    + [
        Case("y = Pad(x, p, c, ax)", S, {"p": np.array([1, 2]), "c": np.float32(0.5), "ax": np.array([-1])}),
    ],
)
def _pad(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, mode, rank = gradients[0], node.get("mode", "constant"), tape.rank(node.x)
    pads = tape.known(node, node.inputs[1], "pads").tolist()
    axes = [axis % rank for axis in tape.known(node, node.inputs[3], "axes").tolist()] if node.input(3) else range(rank)
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[k + len(pads) // 2]
    if mode == "constant":
        return [tape.pad(g, [-one for one in before], [-one for one in after])]
    for axis in range(rank):
        low, high = before[axis], after[axis]
        if low == 0 and high == 0:
            continue
        size = tape.sizes(node, node.x, [axis])[0]
        # What is cropped is not there to be wrapped or reflected.
        left = np.arange(size)[max(-low, 0) : size - max(-high, 0)]
        places = np.pad(left, (max(low, 0), max(high, 0)), mode=mode)
        matrix = np.zeros((size, len(places)), tape.dtype(node.x))
        matrix[places, np.arange(len(places))] = 1
        g = tape.along(g, rank, axis, matrix)
    return [g]


@rule(
    "Tile",
    cases=[
        Case("y = Tile(x, s)", (2, 1, 3), {"s": np.array([1, 4, 3])}),
        Case("y = Tile(x, s)", (2, 2, 3), {"s": np.array([3, 2, 1])}, dynamic=False),
    ],
)
def _tile(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    shape = tape.shape(node.x)
    repeats = tape.known(node, node.inputs[1], "repeats").tolist()
    split = [size for pair in zip(repeats, shape, strict=True) for size in pair]
    if split.count(None) > 1:
        raise refusal(node, "repeats along the axis of the batch")
    return [tape.total(tape.reshape(gradients[0], split), range(0, 2 * len(shape), 2), keep=False)]


@rule(
    "DepthToSpace",
    "SpaceToDepth",
    cases=[
        Case("y = DepthToSpace<blocksize=2>(x)", (2, 8, 3, 4)),
        Case('y = DepthToSpace<blocksize=2, mode="CRD">(x)', (2, 8, 3, 4)),
        Case("y = SpaceToDepth<blocksize=2>(x)", (2, 3, 4, 6)),
    ],
)
def _blocks(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    g, block = gradients[0], int(node.get("blocksize"))
    if node.op == "SpaceToDepth":
        return [tape.op("DepthToSpace", g, blocksize=block, mode=node.get("mode", "DCR"))]
    if node.get("mode", "DCR") == "DCR":
        return [tape.op("SpaceToDepth", g, blocksize=block)]
    _, channels, height, width = tape.shape(node.x)
    split = tape.reshape(g, [None, (channels or 0) // block**2, height, block, width, block])
    return [tape.reshape_like(tape.transpose(split, [0, 1, 3, 5, 2, 4]), node.x)]


@rule("Trilu", cases=[Case("y = Trilu<upper=0>(x)", (2, 4, 5)), Case("y = Trilu(x, k)", (2, 4, 5), {"k": np.int64(1)})])
def _triangle(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    return [tape.op("Trilu", gradients[0], *node.inputs[1:], upper=node.get("upper", 1))]
