"""Deformable convolution: a convolution of samples taken beside the places where it would look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.operators.sampling import Sampled, Tap, inside, interpolated
from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__: list[str] = []


def _cases() -> list[Case]:
    beside = np.random.default_rng(0).uniform(-2, 2, (2, 18, 5, 6)).astype(np.float32)
    plain = "y = DeformConv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, o)"
    cases = [Case(plain, (2, 4, 5, 6), {"w": (3, 4, 3, 3), "o": beside}, opset=19, dynamic=False)]
    # Offsets and weights of the samples from the image itself.
    text = (
        "s = Conv<{window}>(x, v)\no = Mul(s, k)\nq = Conv<{window}>(x, u)\nm = Sigmoid(q)\n"
        "y = DeformConv<{window}, group={group}, offset_group={apart}>(x, w, o, b, m)"
    )
    for group, apart, kernel, window in (
        (1, 1, (3, 3), "pads=[1,1,1,1]"),
        (2, 1, (2, 3), "strides=[2,1], dilations=[1,2], pads=[0,1,2,1]"),
        (1, 2, (1, 2), "strides=[1,2]"),
        (4, 2, (3, 2), "strides=[2,2], pads=[1,0,1,0]"),
    ):
        taps = apart * kernel[0] * kernel[1]
        filters = {"w": (8, 4 // group, *kernel), "v": (2 * taps, 4, *kernel), "u": (taps, 4, *kernel)}
        said = text.format(window=f"kernel_shape=[{kernel[0]},{kernel[1]}], {window}", group=group, apart=apart)
        cases.append(Case(said, (2, 4, 6, 7), {**filters, "b": (8,), "k": np.float32(0.3)}, opset=19))
    return cases


@rule("DeformConv", cases=_cases())
def _deformable(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    x, w, offset = node.inputs[:3]
    mask, groups, apart = node.input(4), node.get("group", 1), node.get("offset_group", 1)
    n = tape.rank(x) - 2
    channels, *sizes = tape.sizes(node, x, range(1, 2 + n))
    classes, *kernel = tape.sizes(node, node.y, [1]) + tape.sizes(node, w, range(2, 2 + n))
    places = tape.sizes(node, node.y, range(2, 2 + n))
    taps, many = int(np.prod(kernel)), int(np.prod(places))
    # What each sample gets: (N, group, channels * taps, classes) times (N, group, classes, places).
    turned = tape.op("Reshape", w, tape.ints([groups, classes // groups, channels // groups * taps]))
    turned = tape.op("Transpose", turned, perm=[0, 2, 1])
    g = tape.op("MatMul", turned, tape.reshape(gradients[0], [None, groups, classes // groups, many]))
    g = tape.reshape(g, [None, channels // apart, taps * many])
    weighted = g if not mask else tape.mul(g, tape.reshape(mask, [None, 1, taps * many]))
    moved = tape.reshape(offset, [None, taps, n, many])
    lines: list[list[Tap]] = []
    for axis, size in enumerate(sizes):
        at = tape.reshape(tape.op("Gather", moved, np.array(axis), axis=2), [None, taps * many])
        at = tape.op("Add", at, _places(node, axis, kernel, places).astype(tape.dtype(x)))
        lines.append([inside(tape, one, x, size, zeros=True) for one in interpolated(tape, at, x)])
    taken = Sampled(tape, tape.reshape(x, [None, channels // apart, int(np.prod(sizes))]), tape.dtype(x), sizes, lines)
    found = [""] * len(node.inputs)
    if x in tape.active:
        found[0] = tape.reshape_like(taken.to_pixels(weighted), x)
    if offset in tape.active:
        parts = [tape.reshape(one, [None, taps, 1, many]) for one in taken.to_places(weighted)]
        found[2] = tape.reshape_like(tape.op("Concat", *parts, axis=2), offset)
    if mask in tape.active:
        found[4] = tape.reshape_like(tape.total(tape.mul(g, taken.samples(g)), [1]), mask)
    return found


def _places(node: Node, axis: int, kernel: Sequence[int], places: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return where a plain convolution would look along one axis, (1, taps * places)."""
    n = len(kernel)
    stride, dilation = ((node.get(name) or [1] * n)[axis] for name in ("strides", "dilations"))
    start = (node.get("pads") or [0] * 2 * n)[axis]
    inner = np.indices(kernel)[axis].reshape(-1, 1) * dilation
    outer = np.indices(places)[axis].reshape(1, -1) * stride
    return (inner + outer - start).reshape(1, -1)
