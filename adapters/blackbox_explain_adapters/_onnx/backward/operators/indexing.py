"""Operators that take or put elements by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, element_type, refusal

__all__: list[str] = []


@rule(
    "Gather",
    cases=[
        Case("y = Gather<axis=1>(x, i)", (2, 5, 3), {"i": np.int64(-2)}),
        Case("y = Gather<axis=1>(x, i)", (2, 5, 3), {"i": np.array([0, 3, 3, -1])}),
        Case("y = Gather<axis=-2>(x, i)", (2, 3, 5, 2), {"i": np.array([[0, 3], [3, 1], [4, 0]])}),
        Case("y = Gather(x, i)", (4, 3), {"i": np.array([1, 1, 3])}, dynamic=False),
        Case("m = ArgMax<axis=0, keepdims=0>(w)\ny = Gather<axis=1>(x, m)", (2, 5, 3), {"w": (5, 2)}),
        Case(
            "f = Reshape(x, all)\nn = Size(x)\ni = Range(z, n, two)\nk = Reshape(i, sh)\ny = Gather(f, k)",
            (2, 3, 4),
            {"all": np.array([-1]), "z": np.int64(0), "two": np.int64(2), "sh": np.array([-1, 6])},
        ),
    ],
)
def _gather(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    x, index = node.inputs
    g, shape = gradients[0], list(tape.shape(x))
    axis = node.get("axis", 0) % len(shape)
    places, others = tape.shape(index), shape[:axis] + shape[axis + 1 :]
    if None in places and None in others:
        raise refusal(node, "takes as many entries of each image as there are images")
    if not places:
        g = tape.op("Unsqueeze", g, tape.ints([axis]))
    elif len(places) > 1:
        count = None if None in places else int(np.prod([size or 0 for size in places]))
        g = tape.reshape(g, [*shape[:axis], count, *shape[axis + 1 :]])
    flat = tape.constants[index].reshape(-1) if index in tape.constants else tape.op("Reshape", index, tape.ints([-1]))
    return [tape.place(g, x, axis, flat), ""]


@rule(
    "Compress",
    cases=[
        Case("y = Compress<axis=1>(x, c)", (2, 5, 3), {"c": np.array([True, False, True, True])}),
        Case("y = Compress(x, c)", (2, 3), {"c": np.array([False, True, True, False, True])}, dynamic=False),
    ],
)
def _compress(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    taken = np.flatnonzero(tape.known(node, node.inputs[1], "conditions"))
    axis = node.get("axis")
    if axis is not None:
        return [tape.place(gradients[0], node.x, axis % tape.rank(node.x), taken), ""]
    flat = tape.op("Reshape", tape.zeros_like(node.x), tape.ints([-1]))
    put = tape.op("ScatterElements", flat, tape.ints(taken), gradients[0], axis=0)
    return [tape.reshape_like(put, node.x), ""]


@rule(
    "ReverseSequence",
    cases=[
        Case(
            "y = ReverseSequence<batch_axis=0, time_axis=1>(x, n)", (3, 5, 2), {"n": np.array([5, 1, 3])}, dynamic=False
        ),
        Case("y = ReverseSequence(x, n)", (4, 2, 2), {"n": np.array([4, 2])}, dynamic=False),
    ],
)
def _reverse(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    axes = {"batch_axis": node.get("batch_axis", 1), "time_axis": node.get("time_axis", 0)}
    return [tape.op("ReverseSequence", gradients[0], node.inputs[1], **axes), ""]


@rule(
    "GatherElements",
    cases=[
        Case("y = GatherElements<axis=1>(x, i)", (2, 4, 3), {"i": np.array([[[0, 1, 3]], [[2, 2, -1]]])}, dynamic=False)
    ],
)
def _gather_elements(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    zeros = tape.zeros_like(node.x)
    axis = node.get("axis", 0)
    return [
        tape.op("ScatterElements", zeros, node.inputs[1], gradients[0], axis=axis, reduction="add"),
        "",
    ]


@rule(
    "GatherND",
    cases=[Case("y = GatherND(x, i)", (2, 4, 3), {"i": np.array([[0, 1], [1, 3], [0, 1]])}, dynamic=False)],
)
def _gather_nd(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    if node.get("batch_dims", 0):
        raise refusal(node, "indexes within the batch")
    zeros = tape.zeros_like(node.x)
    return [tape.op("ScatterND", zeros, node.inputs[1], gradients[0], reduction="add"), ""]


ELEMENTS = np.array([[[0, 1, 3]], [[2, 0, 1]]])
TWICE = np.array([[0, 1, 0], [2, -2, 1]])
PLACES = np.array([[0, 1], [1, 3]])


@rule(
    "ScatterElements",
    "ScatterND",
    cases=[
        Case(
            f'e = Exp(x)\nu = Slice(e, st, en, ax)\ny = ScatterElements<axis=1, reduction="{how}">(x, i, u)',
            (2, 4, 3),
            {"i": ELEMENTS, "st": np.array([0]), "en": np.array([1]), "ax": np.array([1])},
            dynamic=False,
        )
        for how in ("none", "add")
    ]
    + [
        Case(
            f'e = Exp(x)\nu = Gather<axis=1>(e, z)\ny = ScatterND<reduction="{how}">(x, i, u)',
            (2, 4, 3),
            {"i": PLACES, "z": np.int64(2)},
            dynamic=False,
        )
        for how in ("none", "add")
    ]
    + [  # what is written twice keeps the last
        Case("y = ScatterElements<axis=1>(w, i, x)", (2, 3), {"w": (2, 4), "i": TWICE}, dynamic=False),
        Case("y = ScatterND(w, i, x)", (3, 2), {"w": (4, 2), "i": np.array([[1], [0], [-3]])}, dynamic=False),
        Case(
            "s = Shape(x)\nj = Expand(i, s)\nz = Expand(w, s)\ne = Exp(x)\ny = ScatterElements<axis=1>(z, j, e)",
            (2, 3),
            {"i": np.array([[1, 0, 1]]), "w": (1, 3)},
        ),
        Case(
            "v, i = TopK(x, k)\nj = Concat<axis=1>(i, i)\ne = Exp(x)\ny = ScatterElements<axis=1>(x, j, e)",
            (2, 4),
            {"k": np.array([2])},
        ),
    ],
)
def _scatter(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    data, index, updates = node.inputs
    how, g = node.get("reduction", "none"), gradients[0]
    if how not in ("none", "add"):
        raise refusal(node, f"combines by {how}")
    by_axis = {"axis": node.get("axis", 0)} if node.op == "ScatterElements" else {}
    gather = "GatherElements" if node.op == "ScatterElements" else "GatherND"
    kept = (
        g
        if how == "add" or data not in tape.active
        else tape.op(node.op, g, index, tape.zeros_like(updates), **by_axis)
    )
    by_updates = ""
    if updates in tape.active:
        by_updates = tape.op(gather, g, index, **by_axis)
        if how == "none" and not _once(tape, index, tape.shape(data), by_axis.get("axis")):
            by_updates = tape.where(_lasting(tape, node, gather, by_axis), by_updates, tape.number(0, updates))
    return [kept if data in tape.active else "", "", by_updates]


def _once(tape: Tape, index: str, shape: Sequence[int | None], axis: int | None) -> bool:
    """Say whether it is known that no place is written twice."""
    if index not in tape.constants:
        return False
    value = tape.constants[index]
    sizes = [size or 0 for size in shape]
    if axis is None:
        rows = value.reshape(-1, value.shape[-1])
        rows = np.where(rows < 0, rows + np.array(sizes[: rows.shape[1]]), rows)
        return len(np.unique(rows, axis=0)) == len(rows)
    places = np.sort(np.where(value < 0, value + sizes[axis], value), axis=axis)
    return not np.any(np.diff(places, axis=axis) == 0)


def _lasting(tape: Tape, node: Node, gather: str, by_axis: dict[str, Any]) -> str:
    """Return whether each write is the last at its place: write numbers instead, and see which are still there."""
    data, index, updates = node.inputs
    zeros = tape.op("Cast", tape.zeros_like(data), to=element_type(np.dtype(np.int64)))
    ends = (np.asarray(0), tape.op("Size", updates), np.asarray(1))
    numbers = tape.op("Reshape", tape.op("Range", *ends), tape.op("Shape", updates))
    written = tape.op(node.op, zeros, index, numbers, **by_axis)
    return tape.op("Equal", tape.op(gather, written, index, **by_axis), numbers)


@rule(
    "TopK",
    cases=[
        Case("v, i = TopK(x, k)\ny = Exp(v)", (2, 3, 7), {"k": np.array([3])}),
        Case("v, i = TopK<axis=1, largest=0>(x, k)\ny = Exp(v)", (2, 5, 3), {"k": np.array([2])}),
    ],
)
def _top(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    _, index = tape.ops("TopK", *node.inputs, outputs=2, **node.attributes)
    axis = node.get("axis", -1)
    return [tape.op("ScatterElements", tape.zeros_like(node.x), index, gradients[0], axis=axis), ""]
