"""Rules under attributes that nobody chose: strides, pads, axes, broadcasting and the like, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blackbox_explain_adapters._onnx.backward.operators import Case
from tests.adapters.onnx.backward.test_operators import check

varied = settings(max_examples=40, deadline=None, derandomize=True)


def ints(low: int, high: int, count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=count, max_size=count)


def listed(values: list[int]) -> str:
    return f"[{', '.join(map(str, values))}]"


@st.composite
def windows(draw: st.DrawFn, axes: int, largest: int = 4) -> dict[str, Any]:
    """Draw kernel, strides, dilations, pads and sizes that give at least one output."""
    kernel, strides = draw(ints(1, largest, axes)), draw(ints(1, 3, axes))
    dilations = draw(ints(1, 2, axes))
    pads = [draw(st.integers(0, max(0, kernel[i % axes] - 1))) for i in range(2 * axes)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    sizes = [draw(st.integers(max(1, r - pads[i] - pads[i + axes]), r + 6)) for i, r in enumerate(reach)]
    return {"kernel": kernel, "strides": strides, "dilations": dilations, "pads": pads, "sizes": sizes}


@varied
@given(st.data(), st.integers(1, 3), st.sampled_from([(1, 2, 3), (2, 2, 2), (3, 1, 1), (3, 1, 2)]), st.booleans())
def test_convolutions(data: st.DataObject, axes: int, channels: tuple[int, int, int], auto: bool) -> None:
    one = data.draw(windows(axes))
    group, inputs, outputs = channels
    pads = f"pads={listed(one['pads'])}"
    if auto:
        pads = f'auto_pad="{data.draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))}"'
        one["dilations"] = [1] * axes
        one["sizes"] = [max(size, k) for size, k in zip(one["sizes"], one["kernel"], strict=True)]
    text = f"y = Conv<group={group}, strides={listed(one['strides'])}, dilations={listed(one['dilations'])}, {pads}>(x, w, b)"
    constants = {"w": (group * outputs, inputs, *one["kernel"]), "b": (group * outputs,)}
    check(Case(text, (2, group * inputs, *one["sizes"]), constants))


@varied
@given(st.data(), st.integers(1, 2), st.sampled_from([(1, 2, 3), (2, 2, 2), (3, 1, 1)]))
def test_transposed_convolutions(data: st.DataObject, axes: int, channels: tuple[int, int, int]) -> None:
    one = data.draw(windows(axes))
    group, inputs, outputs = channels
    extra = [data.draw(st.integers(0, s - 1)) for s in one["strides"]]
    for size, stride, dilation, k, low, high, e in zip(
        one["sizes"],
        one["strides"],
        one["dilations"],
        one["kernel"],
        one["pads"],
        one["pads"][axes:],
        extra,
        strict=False,
    ):
        assume((size - 1) * stride + dilation * (k - 1) + 1 + e - low - high >= 1)
    text = (
        f"y = ConvTranspose<group={group}, strides={listed(one['strides'])}, dilations={listed(one['dilations'])}, "
        f"pads={listed(one['pads'])}, output_padding={listed(extra)}>(x, w)"
    )
    check(Case(text, (2, group * inputs, *one["sizes"]), {"w": (group * inputs, outputs, *one["kernel"])}))


@pytest.mark.exhaustive
@varied
@given(windows(2, largest=3), st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 4), (4, 2)]), st.booleans())
def test_deformable_convolutions(one: dict[str, Any], groups: tuple[int, int], masked: bool) -> None:
    group, apart = groups
    taps = apart * int(np.prod(one["kernel"]))
    window = f"strides={listed(one['strides'])}, dilations={listed(one['dilations'])}, pads={listed(one['pads'])}"
    text = (
        f"t = Conv<{window}>(x, v)\no = Sin(t)\nm = Conv<{window}>(x, u)\n"
        f"y = DeformConv<{window}, group={group}, offset_group={apart}>(x, w, o{', , m' if masked else ''})"
    )
    filters = {"w": (4, 4 // group, *one["kernel"]), "v": (2 * taps, 4, *one["kernel"]), "u": (taps, 4, *one["kernel"])}
    check(Case(text, (2, 4, *one["sizes"]), filters, opset=19))


@varied
@given(st.data(), st.integers(1, 3), st.sampled_from([0, 1]))
def test_max_pooling(data: st.DataObject, axes: int, ceil: int) -> None:
    one = data.draw(windows(axes))
    text = (
        f"y = MaxPool<kernel_shape={listed(one['kernel'])}, strides={listed(one['strides'])}, "
        f"dilations={listed(one['dilations'])}, pads={listed(one['pads'])}, ceil_mode={ceil}>(x)"
    )
    check(Case(text, (2, 3, *one["sizes"])))


@varied
@given(st.data(), st.integers(1, 3), st.sampled_from([0, 1]), st.sampled_from([0, 1]))
def test_average_pooling(data: st.DataObject, axes: int, ceil: int, counted: int) -> None:
    one = data.draw(windows(axes))
    text = (
        f"y = AveragePool<kernel_shape={listed(one['kernel'])}, strides={listed(one['strides'])}, "
        f"dilations={listed(one['dilations'])}, pads={listed(one['pads'])}, ceil_mode={ceil}, "
        f"count_include_pad={counted}>(x)"
    )
    check(Case(text, (2, 3, *one["sizes"]), opset=19))


@st.composite
def broadcast(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw two shapes that broadcast; the first axis of the first is the batch."""
    whole = draw(ints(1, 4, draw(st.integers(2, 4))))
    first = [whole[0], *(size if draw(st.booleans()) else 1 for size in whole[1:])]
    second = [size if draw(st.booleans()) else 1 for size in whole[draw(st.integers(0, len(whole))) :]]
    return tuple(first), tuple(second)


@varied
@given(broadcast(), st.sampled_from(["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean", "Pow"]), st.booleans())
def test_broadcasting(shapes: tuple[tuple[int, ...], tuple[int, ...]], operator: str, swapped: bool) -> None:
    rng = np.random.default_rng(0)
    images = rng.random(shapes[0]).astype(np.float32) + 0.5
    constant = (rng.random(shapes[1]) * 2 + 0.3).astype(np.float32)
    a, b = ("w", "x") if swapped else ("x", "w")
    check(Case(f"y = {operator}({a}, {b})", images, {"w": constant}, dynamic=False))


@varied
@given(
    st.data(),
    st.sampled_from(
        [
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSumExp",
            "ReduceProd",
        ]
    ),
)
def test_reductions(data: st.DataObject, operator: str) -> None:
    rank = data.draw(st.integers(2, 5))
    shape = tuple(data.draw(ints(1, 4, rank)))
    axes = data.draw(st.lists(st.integers(1, rank - 1), min_size=1, unique=True))
    signed = [axis - rank if data.draw(st.booleans()) else axis for axis in axes]
    keep = data.draw(st.sampled_from([0, 1]))
    check(Case(f"b = {operator}<keepdims={keep}>(x, ax)\ny = Sin(b)", shape, {"ax": np.array(signed)}))


def _taken(start: int, end: int, step: int, size: int) -> int:
    """Count the elements of a slice by the standard's rules for clamping."""
    start, end = (one + size if one < 0 else one for one in (start, end))
    if step > 0:
        return len(range(min(max(start, 0), size), min(max(end, 0), size), step))
    return len(range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step))


@varied
@given(st.data())
def test_slices(data: st.DataObject) -> None:
    shape = (2, *data.draw(ints(1, 7, 3)))
    axes = data.draw(st.lists(st.integers(1, 3), min_size=1, unique=True))
    bounds = st.one_of(st.integers(-9, 9), st.sampled_from([2**62, -(2**62)]))
    starts, ends, steps = [], [], []
    for axis in axes:
        step = data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3]))
        start, end = data.draw(st.tuples(bounds, bounds).filter(lambda ends: _taken(*ends, step, shape[axis]) > 0))  # noqa: B023 - drawn at once
        starts, ends, steps = [*starts, start], [*ends, end], [*steps, step]
    constants = {"st": np.array(starts), "en": np.array(ends), "ax": np.array(axes), "sp": np.array(steps)}
    check(Case("y = Slice(x, st, en, ax, sp)", shape, constants))


@varied
@given(st.data(), st.sampled_from(["constant", "reflect", "edge", "wrap"]))
def test_pads(data: st.DataObject, mode: str) -> None:
    sizes = data.draw(ints(3, 6, 2))
    pads = data.draw(ints(-2, 2, 4))
    for size, low, high in zip(sizes, pads, pads[2:], strict=False):
        left = size + min(low, 0) + min(high, 0)
        assume(left >= 1 and (mode != "reflect" or max(low, high) < left))
    check(
        Case(
            f'y = Pad<mode="{mode}">(x, p, , ax)', (2, *sizes), {"p": np.array(pads), "ax": np.array([1, -1])}, opset=19
        )
    )


@varied
@given(st.data())
def test_matrix_products(data: st.DataObject) -> None:
    rows, inner, columns = data.draw(ints(1, 4, 3))
    stack = data.draw(ints(1, 3, data.draw(st.integers(0, 2))))
    left = [size if data.draw(st.booleans()) else 1 for size in stack[data.draw(st.integers(0, len(stack))) :]]
    right = [size if data.draw(st.booleans()) else 1 for size in stack]
    first, second = (*left, rows, inner), (*right, inner, columns)
    if data.draw(st.booleans()):
        check(Case("y = MatMul(x, w)", first, {"w": second}, dynamic=False))
    else:
        check(Case("y = MatMul(w, x)", second, {"w": first}, dynamic=False))


@varied
@given(st.data())
def test_gathers(data: st.DataObject) -> None:
    shape = (2, *data.draw(ints(1, 5, 2)))
    axis = data.draw(st.sampled_from([1, 2, -1, -2]))
    size = shape[axis]
    index = np.asarray(data.draw(ints(-size, size - 1, 4)))
    places = data.draw(st.sampled_from([(), (4,), (2, 2), (1, 4, 1)]))
    check(
        Case(
            f"y = Gather<axis={axis}>(x, i)",
            shape,
            {"i": index[:1].reshape(()) if places == () else index.reshape(places)},
        )
    )


@varied
@given(st.data(), st.sampled_from([11, 13, 18]))
def test_splits_and_concatenations(data: st.DataObject, opset: int) -> None:
    widths = data.draw(ints(1, 3, 3))
    axis = data.draw(st.sampled_from([1, -2]))
    parts = {"sp": np.array(widths)}
    split = f"Split<axis={axis}>(x, sp)" if opset >= 13 else f"Split<axis={axis}, split={listed(widths)}>(x)"
    text = f"a, b, c = {split}\nd = Exp(b)\ny = Concat<axis={axis}>(d, a)"
    check(Case(text, (2, sum(widths), 3), parts if opset >= 13 else {}, opset=opset))


@varied
@given(st.data(), st.sampled_from([9, 11, 13, 18, 21]))
def test_opsets(data: st.DataObject, opset: int) -> None:
    """Operators whose form changed: softmax, squeeze, clip, reductions."""
    axis = data.draw(st.sampled_from([1, 2]))
    if opset >= 13:
        text = f"a = Softmax<axis={1 if axis == 2 else -1}>(x)\nb = Unsqueeze(a, u)\nc = Squeeze(b, u)\nq = Mul(c, c)\nd = ReduceMean<keepdims=0>(q, m)\ny = Exp(d)"
        constants = {"u": np.array([1]), "m": np.array([1])}
        if opset < 18:
            text, constants = text.replace("<keepdims=0>(q, m)", "<axes=[1], keepdims=0>(q)"), {"u": np.array([1])}
    else:
        text = (
            f"a = Softmax<axis={axis}>(x)\nb = Unsqueeze<axes=[1]>(a)\nc = Squeeze<axes=[1]>(b)\nq = Mul(c, c)\n"
            "d = ReduceMean<axes=[1], keepdims=0>(q)\ny = Exp(d)"
        )
        constants = {}
    check(Case(text, (2, 3, 4), constants, opset=opset))


@pytest.mark.parametrize("bounds", [(-1000.0, 1000.0), (0.0, 300.0), (-np.inf, 0.5), (-0.5, np.inf), (1e-30, 6.0)])
def test_clips_at_every_scale(bounds: tuple[float, float]) -> None:
    images = (np.random.default_rng(0).standard_normal((2, 40)) * 500).astype(np.float32)
    low, high = (np.float32(one) for one in bounds)
    check(Case("y = Clip(x, lo, hi)", images, {"lo": low, "hi": high}))


@pytest.mark.parametrize("operator", ["Relu", "Sigmoid", "HardSwish", "Gelu", "Mish", "Elu", "Selu", "Softplus"])
@pytest.mark.parametrize("size", [1e-4, 1.0, 30.0])
def test_activations_at_every_scale(operator: str, size: float) -> None:
    images = (np.random.default_rng(0).standard_normal((2, 40)) * size).astype(np.float32)
    check(Case(f"y = {operator}(x)", images, opset=20))
