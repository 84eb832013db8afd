"""Slopes that are infinite or none: 0 is taken, and the gradient of everything else stays what it is."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.backward.operators import Case
from blackbox_explain_adapters._onnx.backward.slopes import without_slope
from tests.adapters.onnx.oracle import build

KNOWN = {"z": np.float32(0), "one": np.float32(1), "half": np.float32(0.5), "ax": np.array([1])}


def gradient(text: str, x: list[float]) -> np.ndarray:
    """Return d Σy / dx of one row."""
    model, row = build(Case(text, np.array([x]), KNOWN)), np.array([x], np.float32)
    forward, backward = (
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        for one in (model, differentiate(model))
    )
    answers = forward.run(None, {"x": row})
    return backward.run(None, {"x": row, WEIGHTS: np.ones_like(answers[0])})[1][0]


GUARDED = "c = Greater(x, half)\na = {}\ny = Where(c, a, z)"
"""What is chosen from `a` only where x is above a half."""


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("y = Sqrt(x)", [0, 4, 0.25], [0, 0.25, 1]),
        ("q = Mul(x, x)\ny = Sqrt(q)", [0, 3, -3], [0, 1, -1]),
        ("q = Mul(x, x)\ny = Pow(q, half)", [0, 3, -3], [0, 1, -1]),
        ("q = Abs(x)\ny = Pow(q, half)", [0, 4, -4], [0, 0.25, -0.25]),
        ("h = Mul(half, one)\nr = Mul(x, z)\ne = Add(r, h)\nq = Abs(x)\ny = Pow(q, e)", [0, 4], [0, 0.25]),
        ("y = Log(x)", [0, 4], [0, 0.25]),
        ("y = Reciprocal(x)", [0, 2], [0, -0.25]),
        ("y = Div(one, x)", [0, 2], [0, -0.25]),
        ("a = Abs(x)\nn = Equal(a, z)\nd = Div(x, a)\ny = Where(n, z, d)", [0, -2, 3], [0, 0, 0]),
        ("a = Abs(x)\nn = Equal(a, z)\nd = Div(x, a)\ne = Where(n, z, d)\ny = Mul(e, x)", [0, -2, 3], [0, -1, 1]),
        ("s = Sin(x)\nn = Equal(x, z)\nd = Div(s, x)\ny = Where(n, one, d)", [0, 2],
         [0, (2 * math.cos(2) - math.sin(2)) / 4]),
        ("y = Asin(x)", [1, -1, 0.6], [0, 0, 1.25]),
        ("y = Acos(x)", [1, -1, 0.6], [0, 0, -1.25]),
        ("y = Acosh(x)", [1, 1.25], [0, 1 / 0.75]),
        ("y = ReduceL2(x, ax)", [0, 0], [0, 0]),
        ("y = ReduceL2(x, ax)", [3, -4], [0.6, -0.8]),
        ("y = ReduceLogSum(x, ax)", [0, 0], [0, 0]),
        ("y = ReduceLogSum(x, ax)", [3, 1], [0.25, 0.25]),
        ("y = LpNormalization<axis=1>(x)", [0, 0], [0, 0]),
        (GUARDED.format("Sqrt(x)"), [-1, 0, 4], [0, 0, 0.25]),
        (GUARDED.format("Log(x)"), [-1, 0, 4], [0, 0, 0.25]),
        (GUARDED.format("Pow(x, half)"), [-1, 0, 4], [0, 0, 0.25]),
        (GUARDED.format("Div(one, x)"), [-1, 0, 2], [0, 0, -0.25]),
        ("e = Exp(x)\na = Add(e, one)\nl = Log(a)\nc = Greater(x, half)\ny = Where(c, x, l)", [200, 0], [1, 0.5]),
    ],
)  # fmt: skip
def test_a_slope_that_is_none_is_zero(text: str, x: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(gradient(text, x), expected, rtol=2e-6, atol=1e-7)


def spectrogram() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Make a classifier of the magnitudes √(re² + im²) of a clip's windows."""
    rng = np.random.default_rng(0)
    real = rng.standard_normal((8, 1, 16)).astype(np.float32)
    head = rng.standard_normal((8, 2)).astype(np.float32) * 0.3
    text = (
        "re = Conv<strides=[8]>(x, rw)\nim = Conv<strides=[8]>(x, iw)\nr2 = Mul(re, re)\ni2 = Mul(im, im)\n"
        "s = Add(r2, i2)\nmag = Sqrt(s)\np = GlobalAveragePool(mag)\nf = Flatten(p)\nz = Gemm(f, head)\ny = Softmax(z)"
    )
    graph = parser.parse_graph(f"clip (float[N,1,512] x) => (float[N,2] y) {{ {text} }}")
    weights = {"rw": real, "iw": np.roll(real, 3, 2), "head": head}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), weights


def test_a_clip_that_is_silent_in_part_has_a_gradient_and_is_explained() -> None:
    model, weights = spectrogram()
    box = bx.wrap(model, shape=(1, 512), bounds=(-1, 1))
    assert any("Sqrt" in one and "the gradient is 0" in one for one in box.assumptions)
    clip = (0.3 * np.sin(np.arange(512) / 3))[None, None].astype(np.float32)
    clip[..., :256] = 0
    asked = np.array([[1.0, -0.5]], np.float32)
    scores, found = box.scores_and_gradient(clip, asked)

    # By hand, in double precision: windows of silence have the subgradient 0.
    windows = np.lib.stride_tricks.sliding_window_view(clip[0, 0].astype(np.float64), 16)[::8]
    real, imaginary = (windows @ weights[name][:, 0].T.astype(np.float64) for name in ("rw", "iw"))
    size = np.hypot(real, imaginary)
    logits = size.mean(0) @ weights["head"].astype(np.float64)
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    by_logits = chances * (asked[0] - (asked[0] * chances).sum())
    by_size = (weights["head"] @ by_logits) / len(windows)
    over = np.divide(by_size, size, out=np.zeros_like(size), where=size > 0)
    by_window = (over * real) @ weights["rw"][:, 0] + (over * imaginary) @ weights["iw"][:, 0]
    expected = np.zeros(512)
    for place, row in enumerate(by_window):
        expected[8 * place : 8 * place + 16] += row
    np.testing.assert_allclose(scores[0], chances, atol=1e-6)
    np.testing.assert_allclose(found[0, 0], expected, atol=2e-6 * np.abs(expected).max())
    assert np.all(expected[:240] == 0)

    result = bx.explain(box, clip, perturbation=bx.Constant(0.0), progress=False)
    assert np.isfinite(result.mask).all()
    assert not result.outcome[0].failed


def test_what_is_kept_above_zero_is_not_noted() -> None:
    normalised = (
        "m = ReduceMean(x, ax)\nd = Sub(x, m)\nq = Mul(d, d)\nv = ReduceMean(q, ax)\nw = Add(v, half)\nr = Sqrt(w)\n"
        "n = Div(d, r)\ne = Exp(n)\nt = ReduceSum(e, ax)\ny = Div(e, t)"
    )
    assert without_slope(build(Case(normalised, (2, 5), KNOWN))) == ()
    (told,) = without_slope(build(Case(normalised.replace("Sqrt(w)", "Sqrt(v)"), (2, 5), KNOWN)))
    assert "Sqrt (node 'r')" in told
    assert "Div (node 'n')" in told
    assert "'y'" not in told
