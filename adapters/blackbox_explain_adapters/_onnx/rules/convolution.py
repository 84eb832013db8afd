"""Convolutions, forward and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.node import Node, refusal
from blackbox_explain_adapters._onnx.rules.registry import Case, rule
from blackbox_explain_adapters._onnx.tape import Tape

__all__ = ["Geometry"]


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


def _conv_cases() -> list[Case]:
    cases: list[Case] = []
    shapes = [
        ((3, 3), 1, 1, (1, 1, 1, 1), (7, 9)),
        ((3, 3), 2, 1, (1, 1, 1, 1), (8, 9)),
        ((3, 3), 2, 1, (0, 0, 1, 1), (8, 8)),
        ((5, 3), 2, 1, (2, 1, 2, 1), (9, 8)),
        ((1, 1), 2, 1, (0, 0, 0, 0), (7, 8)),
        ((3, 3), 2, 2, (2, 2, 2, 2), (9, 10)),
        ((7, 7), 4, 1, (3, 3, 3, 3), (14, 17)),
        ((4, 4), 4, 1, (0, 0, 0, 0), (13, 12)),
        ((1, 1), 1, 1, (1, 1, 1, 1), (5, 5)),
        ((2, 3), 1, 1, (0, 2, 1, 0), (6, 6)),
        ((3, 3), 3, 1, (2, 2, 2, 2), (10, 11)),
    ]
    for group, channels, out in ((1, 4, 6), (4, 4, 4), (4, 4, 8), (2, 4, 6)):
        for kernel, stride, dilation, pads, size in shapes:
            text = (
                f"y = Conv<group={group}, strides=[{stride},{stride}], dilations=[{dilation},{dilation}], "
                f"pads=[{','.join(map(str, pads))}]>(x, w, b)"
            )
            cases.append(Case(text, (2, channels, *size), {"w": (out, channels // group, *kernel), "b": (out,)}))
    cases += [
        Case(f'y = Conv<strides=[2,2], auto_pad="{auto}">(x, w)', (2, 3, 8, 9), {"w": (4, 3, 3, 3)})
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ]
    cases += [
        Case("y = Conv<strides=[2,1]>(x, w)", (2, 3, 8, 8), {"w": (4, 3, 3, 3)}),
        Case("y = Conv<strides=[2], pads=[1,1]>(x, w)", (2, 3, 8), {"w": (4, 3, 3)}),
        Case("y = Conv<strides=[1,2,2], pads=[1,1,1,1,1,1]>(x, w)", (2, 3, 4, 6, 5), {"w": (4, 3, 3, 3, 3)}),
    ]
    return cases


def _own_kernel_cases() -> list[Case]:
    """Return convolutions whose kernel is made from the image."""
    take = "k = Slice(x, z, en, ax)\ns = Reshape(k, sh)\nw = Tanh(s)\nb = ReduceMean<keepdims=0>(w, rest)"
    cases: list[Case] = []
    for group, out, attributes, bias in (
        (1, 3, "pads=[1,1,0,1]", True),
        (2, 4, "strides=[2,1], pads=[0,1,1,2]", False),
        (4, 4, "strides=[2,3], dilations=[2,1]", True),
        (1, 2, 'strides=[2,2], auto_pad="SAME_UPPER"', False),
    ):
        values = {"z": np.array([0]), "en": np.array([out * 4 // group * 6]), "ax": np.array([2])}
        values |= {"sh": np.array([out, 4 // group, 3, 2]), "rest": np.array([1, 2, 3]), "im": np.array([1, 4, 8, 9])}
        call = f"Conv<group={group}, {attributes}>(i, w{', b' if bias else ''})"
        cases.append(Case(f"{take}\ni = Reshape(x, im)\ny = {call}", (1, 1, 288), values, dynamic=False))
    values = {"en": np.array([48]), "sh": np.array([2, 4, 3, 2]), "im": np.array([-1, 4, 8, 9])}
    values |= {"z": np.array([0]), "ax": np.array([2]), "rest": np.array([1, 2, 3])}
    text = f"{take}\ni = Reshape(x, im)\ny = Conv<pads=[1,0,1,0]>(i, w, b)"
    cases.append(Case(text, (1, 1, 576), values, dynamic=False))
    return cases


@rule("Conv", cases=_conv_cases() + _own_kernel_cases())
def _conv(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    x, weight, g = *node.inputs[:2], gradients[0]
    shape = tape.shape(weight)
    at = Geometry.of(tape, node, x, node.y, tuple(int(size or 0) for size in shape[2:]))
    found = [""] * len(node.inputs)
    if x in tape.active:
        found[0] = _conv_adjoint(tape, g, weight, at)
    if weight in tape.active:
        found[1] = _by_kernel(tape, node, g, at)
    if node.input(2) in tape.active:
        found[2] = tape.total(g, [0, *range(2, 2 + len(at.kernel))], keep=False)
    return found


def _by_kernel(tape: Tape, node: Node, g: str, at: Geometry) -> str:
    """Convolve image and gradient with the batch in the place of channels, stride and dilation swapped."""
    x, weight = node.inputs[:2]
    (inputs,) = tape.sizes(node, x, [1])
    batch, n = tape.shape(x)[0], len(at.kernel)
    if batch is None:
        raise refusal(node, "its kernel depends on the image, in a batch of any size")
    rest = list(range(3, 3 + n))
    image = tape.reshape(x, [batch, at.group, inputs // at.group, *at.size])
    image = tape.reshape(tape.transpose(image, [2, 1, 0, *rest]), [inputs // at.group, at.group * batch, *at.size])
    taps = tape.transpose(g, [1, 0, *range(2, 2 + n)])
    after = [
        (k - 1) * d + (o - 1) * s + 1 - size - low
        for k, d, o, s, size, low in zip(at.kernel, at.dilation, at.output, at.stride, at.size, at.before, strict=True)
    ]
    image, low, high = _cropped(tape, image, list(at.before), after)
    found = tape.op(
        "Conv",
        image,
        taps,
        group=at.group,
        strides=list(at.dilation),
        dilations=list(at.stride),
        pads=[*low, *high],
        kernel_shape=list(at.output),
    )
    return tape.reshape_like(tape.transpose(found, [1, 0, *range(2, 2 + n)]), weight)


def _conv_adjoint(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Write the adjoint of a convolution by whichever of three equal ways is fastest."""
    if weight not in tape.constants or (max(at.stride) > 1 and tape.device == "cuda"):
        return _by_transposed(tape, g, weight, at)
    return (_by_flipped if max(at.stride) == 1 else _by_phases)(tape, g, weight, at)


def _by_flipped(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Stride 1: a convolution with the flipped kernel."""
    before = [reach - pad for reach, pad in zip(at.reach, at.before, strict=True)]
    after = [
        size + reach - out - low for size, reach, out, low in zip(at.size, at.reach, at.output, before, strict=True)
    ]
    g, before, after = _cropped(tape, g, before, after)
    return tape.op(
        "Conv",
        g,
        _flipped(tape, weight, at),
        group=at.group,
        pads=[*before, *after],
        dilations=list(at.dilation),
        kernel_shape=list(at.kernel),
    )


def _cropped(tape: Tape, g: str, before: list[int], after: list[int]) -> tuple[str, list[int], list[int]]:
    """Crop where pads are negative, because convolutions cannot."""
    if min([*before, *after]) < 0:
        low, high = [min(pad, 0) for pad in before], [min(pad, 0) for pad in after]
        g = tape.pad(g, [0, 0, *low], [0, 0, *high])
        before, after = [max(pad, 0) for pad in before], [max(pad, 0) for pad in after]
    return g, before, after


def _flipped(tape: Tape, weight: str, at: Geometry) -> str:
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


def _by_phases(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Stride s: pixel s·q + r of the input is reached by every s-th tap alone, so each phase r is a small convolution.

    The phases are computed at the size of the output and then interleaved: nothing is multiplied by stuffed zeros, and
    nothing is scattered.
    """
    flipped, channels = _flipped(tape, weight, at), _channels(tape, weight)[1] * at.group
    cells = [-(-size // stride) for size, stride in zip(at.size, at.stride, strict=True)]
    lines = [_phase_lines(at, axis) for axis in range(len(at.kernel))]
    if at.group == 1 and channels < WIDE:
        parts = _phases_together(tape, g, flipped, lines, cells, at, channels)
    else:
        parts = _phases_apart(tape, g, flipped, lines, cells, at, tape.dtype(weight))
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
    g, before, after = _cropped(tape, g, before, after)
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


def _by_transposed(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Any stride: a transposed convolution with symmetric pads, which is all that some providers know, then a fix."""
    even = [min(low, high) for low, high in zip(at.before, at.after, strict=True)]
    full = [(o - 1) * s + reach + 1 for o, s, reach in zip(at.output, at.stride, at.reach, strict=True)]
    low = [pad - before for pad, before in zip(even, at.before, strict=True)]
    extra = [
        min(max(size - (f - 2 * pad + fix), 0), max(s, d) - 1)
        for size, f, pad, fix, s, d in zip(at.size, full, even, low, at.stride, at.dilation, strict=True)
    ]
    g = tape.op(
        "ConvTranspose",
        g,
        weight,
        group=at.group,
        strides=list(at.stride),
        dilations=list(at.dilation),
        pads=even + even,
        output_padding=extra,
        kernel_shape=list(at.kernel),
    )
    high = [
        size - (f - 2 * pad + e + fix) for size, f, pad, e, fix in zip(at.size, full, even, extra, low, strict=True)
    ]
    return tape.pad(g, [0, 0, *low], [0, 0, *high])


@rule(
    "ConvTranspose",
    cases=[
        Case("y = ConvTranspose(x, w)", (2, 3, 5, 6), {"w": (3, 4, 3, 3)}),
        Case("y = ConvTranspose<strides=[2,2], group=3>(x, w)", (2, 3, 5, 6), {"w": (3, 2, 2, 2)}),
        Case(
            "y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,0]>(x, w, b)",
            (2, 3, 5, 6),
            {"w": (3, 4, 3, 3), "b": (4,)},
        ),
        Case("y = ConvTranspose<strides=[3], dilations=[2], pads=[2,0]>(x, w)", (2, 3, 7), {"w": (3, 4, 3)}),
        Case('y = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER">(x, w)', (2, 3, 5, 6), {"w": (3, 4, 3, 3)}),
        Case('y = ConvTranspose<strides=[2,2], auto_pad="SAME_LOWER">(x, w)', (2, 3, 5, 6), {"w": (3, 4, 3, 3)}),
        Case("y = ConvTranspose<strides=[2,2], output_shape=[10,12]>(x, w)", (2, 3, 5, 6), {"w": (3, 4, 3, 3)}),
    ],
)
def _conv_transpose(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    x, weight = node.inputs[:2]
    if weight in tape.active:
        raise refusal(node, "its kernel depends on the image")
    kernel = tuple(int(size or 0) for size in tape.shape(weight)[2:])
    at = Geometry.of(tape, node, node.y, x, kernel)
    # The convolution must give exactly as many outputs as there were inputs: fix the far pad.
    after = [
        (o - 1) * s + reach + 1 - size - before
        for o, s, reach, size, before in zip(at.output, at.stride, at.reach, at.size, at.before, strict=True)
    ]
    g, before, after = _cropped(tape, gradients[0], list(at.before), after)
    return [
        tape.op(
            "Conv",
            g,
            weight,
            group=at.group,
            strides=list(at.stride),
            dilations=list(at.dilation),
            pads=[*before, *after],
            kernel_shape=list(kernel),
        )
    ]
