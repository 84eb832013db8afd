"""Blocks that are added up to an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__: list[str] = []


@rule(
    "Col2Im",
    cases=[
        Case("y = Col2Im(x, s, k)", (2, 12, 12), {"s": np.array([5, 4]), "k": np.array([2, 2])}),
        Case(
            "y = Col2Im<strides=[2,1], pads=[1,0,1,2], dilations=[1,2]>(x, s, k)",
            (2, 12, 15),
            {"s": np.array([5, 5]), "k": np.array([2, 2])},
        ),
        Case(
            "y = Col2Im<strides=[2,2], pads=[1,1,1,1]>(x, s, k)",
            (2, 18, 9),
            {"s": np.array([6, 6]), "k": np.array([3, 3])},
        ),
    ],
)
def _columns(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # The adjoint of adding blocks up is taking them: each element of a block comes from one known pixel.
    image, block = (tape.known(node, node.inputs[k], "shapes").tolist() for k in (1, 2))
    n = len(image)
    strides, dilations = node.get("strides") or [1] * n, node.get("dilations") or [1] * n
    pads = node.get("pads") or [0] * 2 * n
    g = tape.pad(gradients[0], [0, 0, *pads[:n]], [0, 0, *pads[n:]])
    whole = [size + low + high for size, low, high in zip(image, pads[:n], pads[n:], strict=True)]
    places = np.zeros((1, 1), np.int64)  # (elements of a block, blocks), the first axis slowest in both
    for size, k, stride, dilation in zip(whole, block, strides, dilations, strict=True):
        line = dilation * np.arange(k)[:, None] + np.arange(0, size - dilation * (k - 1), stride)[None, :]
        joined = places[:, None, :, None] * size + line[None, :, None, :]
        places = joined.reshape(places.shape[0] * k, -1)
    (channels,) = tape.sizes(node, node.y, [1])
    flat = tape.reshape(g, [None, channels, int(np.prod(whole))])
    taken = tape.op("Gather", flat, tape.ints(places.reshape(-1)), axis=2)
    return [tape.reshape_like(taken, node.x), "", ""]
