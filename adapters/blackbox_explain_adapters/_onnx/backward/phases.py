"""Geometry of convolutions, and strided ones phase by phase: each phase of the input is a small convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["Geometry", "by_phases", "cropped", "flipped"]


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, for each spatial axis.

    Attributes
    ----------
    size, output
        Of the larger side (a convolution's input, a transposed one's output) and of the smaller.
    kernel, stride, dilation, before, after
        As in the operator; `before` and `after` are its pads.
    group
        Groups of channels.
    """

    size: tuple[int, ...]
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    group: int

    @classmethod
    def of(cls, tape: Tape, node: Node, large: str, small: str, kernel: tuple[int, ...]) -> Geometry:
        """Read a node; `large` and `small` are its two sides."""
        n = len(kernel)
        size = tuple(tape.sizes(node, large, range(2, 2 + n)))
        output = tuple(tape.sizes(node, small, range(2, 2 + n)))
        stride = tuple(node.get("strides", [1] * n))
        dilation = tuple(node.get("dilations", [1] * n))
        pads = list(node.get("pads", [0] * 2 * n))
        before, after = pads[:n], pads[n:]
        auto = node.get("auto_pad", "NOTSET")
        if auto == "VALID":
            before, after = [0] * n, [0] * n
        elif auto != "NOTSET" or "output_shape" in node.attributes:
            reach = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(output, stride, dilation, kernel, strict=True)]
            extra = node.get("output_padding", [0] * n) if node.op == "ConvTranspose" else [0] * n
            whole = [max(r + e - i, 0) for r, e, i in zip(reach, extra, size, strict=True)]
            upper = auto == "SAME_UPPER"
            before = [one // 2 if upper else one - one // 2 for one in whole]
            after = [one - first for one, first in zip(whole, before, strict=True)]
        return cls(size, output, kernel, stride, dilation, tuple(before), tuple(after), node.get("group", 1))

    @property
    def reach(self) -> tuple[int, ...]:
        """Pixels between the first and the last tap of the kernel."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True))


def flipped(tape: Tape, weight: str, at: Geometry) -> str:
    """Swap inputs and outputs of a constant kernel (M, C / group, ...), and turn it round.

    In operators, which run once when a session is made: what is in the file already is not stored again.
    """
    outputs, inputs, rank = *_channels(tape, weight), 2 + len(at.kernel)
    if at.group > 1:
        apart = tape.reshape(weight, [at.group, outputs // at.group, inputs, *at.kernel])
        swapped = tape.transpose(apart, [0, 2, 1, *range(3, rank + 1)])
        swapped = tape.reshape(swapped, [at.group * inputs, outputs // at.group, *at.kernel])
    else:
        swapped = tape.transpose(weight, [1, 0, *range(2, rank)])
    for axis, size in enumerate(at.kernel):
        swapped = _taken(tape, swapped, rank, axis + 2, size, list(reversed(range(size))))
    return swapped


def _channels(tape: Tape, weight: str) -> tuple[int, int]:
    outputs, inputs = tape.shape(weight)[:2]
    return int(outputs or 0), int(inputs or 0)


def _taken(tape: Tape, kernel: str, rank: int, axis: int, size: int, taps: Sequence[int | None]) -> str:
    """Take taps along one axis of a kernel, zeros for those that are None."""
    if list(taps) == list(range(size)):
        return kernel
    if None in taps:
        kernel = tape.pad(kernel, [0] * rank, [int(one == axis) for one in range(rank)])
    return tape.op("Gather", kernel, tape.ints([size if tap is None else tap for tap in taps]), axis=axis)


def by_phases(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Stride s: pixel s·q + r of the input is reached by every s-th tap alone, so each phase r is a small convolution.

    The phases are computed at the size of the output and then interleaved: nothing is multiplied by stuffed zeros, and
    nothing is scattered.
    """
    kernel, channels = flipped(tape, weight, at), _channels(tape, weight)[1] * at.group
    cells = [-(-size // stride) for size, stride in zip(at.size, at.stride, strict=True)]
    lines = [_phase_lines(at, axis) for axis in range(len(at.kernel))]
    if at.group == 1 and channels < WIDE:
        parts = _phases_together(tape, g, kernel, lines, cells, at, channels)
    else:
        parts = _phases_apart(tape, g, kernel, lines, cells, at, tape.dtype(weight))
    whole = _interleaved(tape, parts, at, cells, channels)
    excess = [size - cell * stride for size, cell, stride in zip(at.size, cells, at.stride, strict=True)]
    return tape.pad(whole, [0] * (2 + len(cells)), [0, 0, *excess])


WIDE = 16
"""From as many channels on, each phase is a convolution of its own, with its own taps and no others."""


def _phase_lines(at: Geometry, axis: int) -> list[dict[int, int]]:
    """Return for each phase of one axis the taps that reach it, by their offset.

    Input pixel i gets weight[k] · g[o] where i = o · stride − before + k · dilation.  With i = stride · q + r, the
    offset o − q is (r + before − k · dilation) / stride, wherever that is whole.
    """
    k, s, d, b = at.kernel[axis], at.stride[axis], at.dilation[axis], at.before[axis]
    return [{(r + b - tap * d) // s: tap for tap in range(k) if (r + b - tap * d) % s == 0} for r in range(s)]


def _phase_kernel(
    tape: Tape, flipped: str, at: Geometry, lines: Sequence[dict[int, int]], first: Sequence[int], last: Sequence[int]
) -> str:
    """Return the kernel of one phase over the offsets from `first` to `last`, zeros where there is no tap."""
    kernel, rank = flipped, 2 + len(lines)
    for axis, (line, low, high, size) in enumerate(zip(lines, first, last, at.kernel, strict=True)):
        taps = [line.get(offset) for offset in range(low, high + 1)]
        mirrored = [None if tap is None else size - 1 - tap for tap in taps]
        kernel = _taken(tape, kernel, rank, axis + 2, size, mirrored)
    return kernel


def _phase_conv(
    tape: Tape,
    g: str,
    kernel: str,
    at: Geometry,
    first: Sequence[int],
    last: Sequence[int],
    cells: Sequence[int],
) -> str:
    before = [-one for one in first]
    after = [cell + one - out for cell, one, out in zip(cells, last, at.output, strict=True)]
    g, before, after = cropped(tape, g, before, after)
    sizes = [high - low + 1 for low, high in zip(first, last, strict=True)]
    return tape.op("Conv", g, kernel, group=at.group, pads=[*before, *after], kernel_shape=sizes)


def _phases_apart(
    tape: Tape,
    g: str,
    flipped: str,
    lines: list[list[dict[int, int]]],
    cells: list[int],
    at: Geometry,
    dtype: np.dtype[Any],
) -> list[str]:
    """Return the phases (N, C, *cells), one convolution for each; zeros for those that no tap reaches."""
    parts: list[str] = []
    for phase in np.ndindex(*at.stride):
        chosen = [lines[axis][r] for axis, r in enumerate(phase)]
        if all(chosen):
            first, last = [min(line) for line in chosen], [max(line) for line in chosen]
            kernel = _phase_kernel(tape, flipped, at, chosen, first, last)
            parts.append(_phase_conv(tape, g, kernel, at, first, last, cells))
        else:
            parts.append("")
    model = next(part for part in parts if part)
    zeros = tape.zeros_as(model, dtype) if "" in parts else ""
    return [part or zeros for part in parts]


def _phases_together(
    tape: Tape,
    g: str,
    flipped: str,
    lines: list[list[dict[int, int]]],
    cells: list[int],
    at: Geometry,
    channels: int,
) -> list[str]:
    """Return the same by one convolution, which is better where each phase has few channels."""
    every = [[offset for line in one for offset in line] for one in lines]
    first, last = [min(one) for one in every], [max(one) for one in every]
    kernels = [
        _phase_kernel(tape, flipped, at, [lines[axis][r] for axis, r in enumerate(phase)], first, last)
        for phase in np.ndindex(*at.stride)
    ]
    together = tape.op("Concat", *kernels, axis=0) if len(kernels) > 1 else kernels[0]
    mixed = _phase_conv(tape, g, together, at, first, last, cells)
    return tape.ops("Split", mixed, tape.ints([channels] * len(kernels)), outputs=len(kernels), axis=1)


def _interleaved(tape: Tape, parts: list[str], at: Geometry, cells: list[int], channels: int) -> str:
    """Join phases (N, C, *cells) to (N, C, *(cells · stride)), the last axis first.

    Joined along an axis of size 1 behind the one that grows: several times as fast as DepthToSpace or a transposition.
    """
    sizes = list(cells)
    for axis in reversed(range(len(cells))):
        stride = at.stride[axis]
        sizes[axis] *= stride
        if stride == 1:
            continue
        place = tape.ints([axis + 3])
        wide = {part: tape.op("Unsqueeze", part, place) for part in dict.fromkeys(parts)}
        groups = [parts[k : k + stride] for k in range(0, len(parts), stride)]
        joined = [tape.op("Concat", *(wide[part] for part in group), axis=axis + 3) for group in groups]
        parts = [tape.reshape(one, [None, channels, *sizes]) for one in joined]
    (whole,) = parts
    return whole


def cropped(tape: Tape, g: str, before: list[int], after: list[int]) -> tuple[str, list[int], list[int]]:
    """Crop where pads are negative, because convolutions cannot."""
    if min([*before, *after]) < 0:
        low, high = [min(pad, 0) for pad in before], [min(pad, 0) for pad in after]
        g = tape.pad(g, [0, 0, *low], [0, 0, *high])
        before, after = [max(pad, 0) for pad in before], [max(pad, 0) for pad in after]
    return g, before, after
