"""Convolutions, forward and transposed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain_adapters._onnx.backward.phases import Geometry, by_phases, cropped, flipped
from blackbox_explain_adapters._onnx.backward.registry import Case, rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal


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
    image, low, high = cropped(tape, image, list(at.before), after)
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
    return (_by_flipped if max(at.stride) == 1 else by_phases)(tape, g, weight, at)


def _by_flipped(tape: Tape, g: str, weight: str, at: Geometry) -> str:
    """Stride 1: a convolution with the flipped kernel."""
    before = [reach - pad for reach, pad in zip(at.reach, at.before, strict=True)]
    after = [
        size + reach - out - low for size, reach, out, low in zip(at.size, at.reach, at.output, before, strict=True)
    ]
    g, before, after = cropped(tape, g, before, after)
    return tape.op(
        "Conv",
        g,
        flipped(tape, weight, at),
        group=at.group,
        pads=[*before, *after],
        dilations=list(at.dilation),
        kernel_shape=list(at.kernel),
    )


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
    g, before, after = cropped(tape, gradients[0], list(at.before), after)
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
