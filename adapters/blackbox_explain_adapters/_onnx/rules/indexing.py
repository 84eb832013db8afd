"""Operators that take or put elements by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.node import Node, refusal
from blackbox_explain_adapters._onnx.rules.registry import Case, rule
from blackbox_explain_adapters._onnx.tape import Tape

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
    by_updates = tape.op(gather, g, index, **by_axis) if updates in tape.active else ""
    if by_updates and how == "none" and index in tape.constants:
        lasting = _lasting(tape.constants[index], tape.shape(data), by_axis.get("axis"))
        if not lasting.all():
            lasting = lasting.reshape(lasting.shape + (1,) * (tape.rank(updates) - lasting.ndim))
            by_updates = tape.mul(by_updates, tape.constant(lasting.astype(tape.dtype(updates))))
    return [kept if data in tape.active else "", "", by_updates]


def _lasting(index: np.ndarray[Any, Any], shape: Sequence[int | None], axis: int | None) -> np.ndarray[Any, Any]:
    """Say of each write whether no later one goes to the same place.

    Parameters
    ----------
    index
        Of ScatterElements, or, where there is no axis, of ScatterND.
    shape
        Of what is written to.
    axis
        Along which elements are scattered.
    """
    if axis is None:
        places, count = index.reshape(-1, index.shape[-1]), index.shape[:-1]
    else:
        grid = np.stack(np.indices(index.shape), axis=-1)
        grid[..., axis] = index
        places, count = grid.reshape(-1, index.ndim), index.shape
    sizes = np.array([size or 0 for size in shape[: places.shape[1]]])
    last = {tuple(place): k for k, place in enumerate(np.where(places < 0, places + sizes, places).tolist())}
    lasting = np.zeros(len(places), bool)
    lasting[list(last.values())] = True
    return lasting.reshape(count)


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
