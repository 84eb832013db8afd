"""Pooling over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.separable import line_matrix
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []

WINDOW = ("kernel_shape", "strides", "dilations")
SHARED = ("auto_pad", "ceil_mode", "count_include_pad")


@rule(
    "MaxPool",
    cases=[
        Case("y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", (2, 3, 8, 9)),
        Case("y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)", (2, 3, 8, 8)),
        Case("y = MaxPool<kernel_shape=[5,5], pads=[2,2,2,2]>(x)", (2, 3, 7, 7)),
        Case("y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)", (2, 3, 7, 8)),
        Case("y = MaxPool<kernel_shape=[3], strides=[2]>(x)", (2, 3, 9)),
        Case("y = MaxPool<kernel_shape=[2,2,2], strides=[1,2,2]>(x)", (2, 3, 4, 4, 5)),
        Case("y, i = MaxPool<kernel_shape=[3,2], dilations=[2,1], storage_order=1>(x)", (2, 3, 8, 9)),
    ],
)
def _max(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # Windows overlap, so that gradients are added where they meet.  The forward node is left as it is: without its
    # indices it is ten times as fast.
    attributes = {**node.attributes, "storage_order": 0}
    _, places = tape.ops("MaxPool", node.x, outputs=2, **attributes)
    shape = tape.shape(node.x)
    one = tape.ints([-1])
    size = tape.op("Reshape", tape.op("Size", node.x), one)
    if None not in shape:
        size = tape.ints([int(np.prod([one_of or 0 for one_of in shape]))])
    zeros = tape.op("ConstantOfShape", size, value=numpy_helper.from_array(np.zeros(1, tape.dtype(node.x))))
    flat = [tape.op("Reshape", one_of, one) for one_of in (places, gradients[0])]
    added = tape.op("ScatterElements", zeros, *flat, axis=0, reduction="add")
    return [tape.reshape_like(added, node.x)]


@rule(
    "MaxUnpool",
    cases=[
        Case(f"p, i = MaxPool<{window}>(x)\ns = Mul(p, p)\ny = MaxUnpool<{window}>(s, i)", shape)
        for window, shape in (
            ("kernel_shape=[2,2], strides=[2,2]", (2, 3, 6, 8)),
            ("kernel_shape=[3], strides=[3]", (2, 3, 9)),
            ("kernel_shape=[2,2,1], strides=[2,3,1]", (2, 2, 4, 5, 3)),
        )
    ],
)
def _unpool(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    kernel = node.get("kernel_shape")
    if any(size > stride for size, stride in zip(kernel, node.get("strides") or [1] * len(kernel), strict=True)):
        raise refusal(node, "its windows overlap, so that values may be written over one another")
    return [tape.op("Gather", tape.op("Reshape", gradients[0], tape.ints([-1])), node.inputs[1], axis=0)]


@rule(
    "AveragePool",
    cases=[
        Case(
            f"y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode={ceil}, "
            f"count_include_pad={counted}>(x)",
            (2, 3, 8, 8),
            opset=19,
        )
        for ceil in (0, 1)
        for counted in (0, 1)
    ]
    + [
        Case(f'y = AveragePool<kernel_shape=[3,2], strides=[2,2], auto_pad="{auto}">(x)', (2, 3, 8, 9))
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ]
    + [
        Case("y = AveragePool<kernel_shape=[3], strides=[2]>(x)", (2, 3, 9)),
        Case("y = AveragePool<kernel_shape=[2,2,2], strides=[1,2,2]>(x)", (2, 3, 4, 4, 5)),
        Case("y = AveragePool<kernel_shape=[3,1], dilations=[2,1]>(x)", (2, 3, 8, 3), opset=19),
    ],
)
def _average(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    return [_spread(tape, node, gradients[0])]


@rule(
    "LpPool",
    cases=[
        Case("y = LpPool<kernel_shape=[3,2], strides=[2,2]>(x)", (2, 3, 8, 9)),
        Case("y = LpPool<kernel_shape=[2,2], strides=[1,2], pads=[1,0,1,1], p=3>(x)", (2, 3, 6, 7)),
        Case("y = LpPool<kernel_shape=[3], p=1>(x)", (2, 3, 9)),
        Case('y = LpPool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">(x)', (2, 3, 7, 8)),
    ],
)
def _norm(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # y = (Σ |x|^p)^(1/p), so that each x in the window gets g sign(x) (|x| / y)^(p - 1); nothing where all are 0.
    p, x = node.get("p", 2), node.x
    nothing = tape.op("Equal", node.y, tape.number(0, x))
    norm = tape.where(nothing, tape.number(np.inf, x), node.y)
    g = _spread(tape, node, tape.op("Div", gradients[0], tape.op("Pow", norm, tape.number(p - 1, x))))
    return [tape.mul(tape.mul(g, tape.op("Sign", x)), tape.op("Pow", tape.op("Abs", x), tape.number(p - 1, x)))]


def _spread(tape: Tape, node: Node, g: str) -> str:
    # Separable, so that its adjoint is a product with a small matrix along each axis.  A norm's is that of its sum.
    given, n = node.attributes, len(node.get("kernel_shape"))
    rank = n + 2
    for axis in range(n):
        own = {name: [given[name][axis]] for name in WINDOW if name in given}
        if "pads" in given:
            own["pads"] = [given["pads"][axis], given["pads"][axis + n]]
        own |= {name: given[name] for name in SHARED if name in given}
        size = tape.sizes(node, node.x, [2 + axis])[0]
        if own["kernel_shape"] != [1] or own.get("strides", [1]) != [1] or any(own.get("pads", [0])):
            norm: dict[str, Any] = {"p": 1} if node.op == "LpPool" else {}
            matrix = line_matrix(node.op, (size, 1, size), tape.opset, **own, **norm)
            g = tape.along(g, rank, 2 + axis, matrix.astype(tape.dtype(node.x)))
    return g
