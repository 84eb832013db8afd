"""Fourier transforms, of whole axes and of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__: list[str] = []

LONGEST = 4096
"""Points; a matrix of their square is stored."""


def _waves(bins: int, points: int, inverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the real and the imaginary part of what a transform multiplies by: (bins, points) each."""
    turns = 2 * np.pi * (np.outer(np.arange(bins), np.arange(points)) % points) / points
    scale = 1 / points if inverse else 1.0
    return np.cos(turns) * scale, np.sin(turns) * (scale if inverse else -scale)


@rule(
    "DFT",
    cases=[
        Case("y = DFT(x, , ax)", (2, 6, 1), {"ax": np.int64(1)}, opset=20),
        Case("y = DFT(x, , ax)", (2, 6, 5, 2), {"ax": np.int64(-3)}, opset=20),
        Case("y = DFT<onesided=1>(x, , ax)", (2, 7, 4, 1), {"ax": np.int64(1)}, opset=20),
        Case("y = DFT<inverse=1>(x, n, ax)", (2, 6, 2), {"ax": np.int64(1), "n": np.int64(8)}, opset=20),
        Case("y = DFT(x, n, ax)", (2, 6, 3, 1), {"ax": np.int64(1), "n": np.int64(4)}, opset=20),
        Case("y = DFT<axis=2>(x)", (2, 3, 5, 1), opset=18),
    ],
)
def _transform(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    rank = tape.rank(node.x)
    axis = node.get("axis", 1) if tape.opset < 20 else -2
    if node.input(2):
        axis = int(tape.known(node, node.inputs[2], "axes").item())
    axis %= rank
    (size,), (bins,) = tape.sizes(node, node.x, [axis]), tape.sizes(node, node.y, [axis])
    points = int(tape.known(node, node.inputs[1], "lengths").item()) if node.input(1) else size
    parts, shape = tape.shape(node.x)[-1], tape.shape(node.y)
    if points > LONGEST or shape[-1] != 2:
        raise refusal(node, f"transforms {points} points to {'real' if shape[-1] != 2 else 'complex'} numbers")
    read = min(size, points)
    real, imag = (part[:, :read] for part in _waves(bins, points, bool(node.get("inverse", 0))))
    # (a + ib) w is (a Re w - b Im w) + i (a Im w + b Re w): (bins, 2, read, 2), without b where there is none.
    whole = np.stack([np.stack([real, imag], 1), np.stack([-imag, real], 1)], -1)[..., :parts]
    matrix = whole.reshape(2 * bins, -1).astype(tape.dtype(node.x))
    order = [i for i in range(rank - 1) if i != axis] + [axis, rank - 1]
    outer = [shape[i] for i in order[:-2]]
    rows = tape.reshape(tape.transpose(gradients[0], order), [*outer, 2 * bins])
    found = tape.reshape(tape.op("MatMul", rows, matrix), [*outer, read, parts])
    found = tape.pad(found, [0] * rank, [*[0] * (rank - 2), size - read, 0])
    return [tape.transpose(found, np.argsort(order).tolist())]


@rule(
    "STFT",
    cases=[
        Case("y = STFT(x, st, w)", (2, 20, 1), {"st": np.int64(4), "w": (8,)}),
        Case("y = STFT<onesided=0>(x, st, w, n)", (2, 21, 1), {"st": np.int64(3), "w": (6,), "n": np.int64(6)}),
        Case("y = STFT(x, st, , n)", (2, 17, 1), {"st": np.int64(5), "n": np.int64(7)}),
        Case("y = STFT(x, st, w)", (1, 128, 1), {"st": np.int64(8), "w": (16,)}, opset=17),
    ],
)
def _windows(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    # A convolution of the signal with windowed waves; its adjoint is a transposed one.
    if tape.rank(node.x) == 3 and tape.shape(node.x)[-1] != 1:
        raise refusal(node, "transforms complex signals")
    step = int(tape.known(node, node.inputs[1], "steps").item())
    window = tape.known(node, node.inputs[2], "windows").astype(np.float64) if node.input(2) else np.ones(())
    points = int(tape.known(node, node.inputs[3], "lengths").item()) if node.input(3) else window.size
    frames, bins = tape.sizes(node, node.y, [1, 2])
    (size,) = tape.sizes(node, node.x, [1])
    if points > LONGEST:
        raise refusal(node, f"transforms {points} points")
    kernel = (
        np.stack([part * window for part in _waves(bins, points, inverse=False)], 1)
        .reshape(2 * bins, 1, points)
        .astype(tape.dtype(node.x))
    )
    rows = tape.transpose(tape.reshape(gradients[0], [None, frames, 2 * bins]), [0, 2, 1])
    found = tape.op("ConvTranspose", rows, kernel, strides=[step], kernel_shape=[points])
    found = tape.pad(found, [0, 0, 0], [0, 0, size - ((frames - 1) * step + points)])
    return [tape.reshape_like(found, node.x)]
