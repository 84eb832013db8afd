"""Rules of relevance on small nets whose answers are computed by hand, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.kinds import kept

LRP = ("lrp-epsilon", "lrp-alpha-beta", "lrp-composite")
EXCITATION = ("excitation", "contrastive-excitation")

X = np.array([[0.5, 2.0, 1.0], [1.0, 0.25, -0.5]], np.float32).reshape(2, 1, 1, 3)
W = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 1.0]], np.float32)
B = np.array([0.3, -0.2], np.float32)
V = np.array([[2.0, -1.0], [-0.5, 1.5]], np.float32)
START = np.array([[1.0, 0.0], [0.5, -2.0]], np.float32)


def model(text: str, shape: tuple[int, ...], outputs: int, **constants: Any) -> Any:
    """Wrap a graph from x to y, written in ONNX's textual syntax, whose scores are logits."""
    sizes = ",".join(map(str, shape))
    graph = parser.parse_graph(f"net (float[N,{sizes}] x) => (float[N,{outputs}] y) {{ {text} }}")
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bx.wrap(made, shape=shape, activation="none", bounds=(-9.0, 9.0), cache=False)


def relevance(box: Any, rules: str, images: np.ndarray, start: np.ndarray, **settings: float) -> np.ndarray:
    return box.with_backward(rules, **settings).scores_and_gradient(images, start)[1]


def by_epsilon(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray, epsilon: float = 1e-9) -> np.ndarray:
    z = x @ w + b
    return x * ((r / (z + epsilon * np.where(z >= 0, 1, -1))) @ w.T)


def by_sides(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Share by single contributions z_jk = x_j w_jk: (N, inputs, outputs)."""
    z = x[:, :, None] * w
    above, below = np.maximum(z, 0), np.minimum(z, 0)
    whole_up, whole_down = (
        side.sum(axis=1) + own for side, own in ((above, np.maximum(b, 0)), (below, np.minimum(b, 0)))
    )
    up = alpha * np.divide(r, whole_up, out=np.zeros_like(whole_up), where=whole_up != 0)
    down = beta * np.divide(r, whole_down, out=np.zeros_like(whole_down), where=whole_down != 0)
    return (above * up[:, None] - below * down[:, None]).sum(axis=2)


def by_excitation(x: np.ndarray, w: np.ndarray, r: np.ndarray) -> np.ndarray:
    x, w = np.maximum(x, 0), np.maximum(w, 0)
    z = x @ w
    return x * (np.divide(r, z, out=np.zeros_like(z), where=z > 0) @ w.T)


TWO_LAYERS = "f = Flatten(x)\nh = Gemm(f, w, b)\na = Relu(h)\ny = Gemm(a, v)"


def two_layers() -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a net of two dense layers, its rows of pixels, and what is behind Relu."""
    rows = X.reshape(2, 3).astype(np.float64)
    return model(TWO_LAYERS, (1, 1, 3), 2, w=W, b=B, v=V), rows, np.maximum(rows @ W + B, 0)


@pytest.mark.parametrize("rules", ["lrp-epsilon", "lrp-composite"])
@pytest.mark.parametrize("epsilon", [1e-9, 0.25])
def test_the_epsilon_rule_of_dense_layers(rules: str, epsilon: float) -> None:
    box, rows, hidden = two_layers()
    expected = by_epsilon(rows, W, B, by_epsilon(hidden, V, np.zeros(2), START, epsilon), epsilon)
    np.testing.assert_allclose(relevance(box, rules, X, START, epsilon=epsilon).reshape(2, 3), expected, rtol=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (2.0, 1.0)])
def test_the_alpha_beta_rule_of_dense_layers(alpha: float, beta: float) -> None:
    box, rows, hidden = two_layers()
    inner = by_sides(hidden, V, np.zeros(2), START, alpha, beta)
    expected = by_sides(rows, W, B, inner, alpha, beta)
    found = relevance(box, "lrp-alpha-beta", X, START, alpha=alpha, beta=beta).reshape(2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_excitation_of_dense_layers() -> None:
    box, rows, hidden = two_layers()
    inner = by_excitation(hidden, V, START)
    np.testing.assert_allclose(relevance(box, "excitation", X, START).reshape(2, 3), by_excitation(rows, W, inner))
    contrast = inner - by_excitation(hidden, -V, START)
    found = relevance(box, "contrastive-excitation", X, START).reshape(2, 3)
    np.testing.assert_allclose(found, by_excitation(rows, W, contrast), rtol=1e-5, atol=1e-7)
    assert np.any(found < 0)


@pytest.mark.parametrize(
    "rest",
    [
        "c = Conv(x, k, b)\nn = BatchNormalization(c, s, t, m, u)",
        "c = Conv(x, k, b)\nd = Mul(c, gain)\nn = Add(d, shift)",
        "n = Conv(x, merged, bias)",
    ],
)
@pytest.mark.parametrize("rules", kept([*LRP, *EXCITATION], "lrp-epsilon", "lrp-alpha-beta", "excitation"))
def test_scales_and_shifts_are_part_of_the_convolution_before_them(rest: str, rules: str) -> None:
    """Of both signs: a negative scale turns what excites into what inhibits."""
    rng = np.random.default_rng(0)
    kernel, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 2, 3, 3), (4,)))
    gain, shift = np.array([2.0, -0.7, 0.5, -1.5], np.float32), np.array([0.1, -0.2, 0.3, 0.4], np.float32)
    tail = "\na = Relu(n)\ng = GlobalAveragePool(a)\nf = Flatten(g)\ny = Gemm(f, v)"
    v = rng.standard_normal((4, 2)).astype(np.float32)
    constants = {"k": kernel, "b": bias, "v": v, "gain": gain.reshape(4, 1, 1), "shift": shift.reshape(4, 1, 1)}
    zero, one = np.zeros(4, np.float32), np.full(4, 1 - 1e-5, np.float32)
    constants |= {"s": gain, "t": shift, "m": zero, "u": one}
    constants |= {"merged": kernel * gain.reshape(4, 1, 1, 1), "bias": bias * gain + shift}
    images = rng.standard_normal((3, 2, 5, 5)).astype(np.float32)
    start = rng.random((3, 2)).astype(np.float32)
    apart, merged = (
        relevance(model(text + tail, (2, 5, 5), 2, **constants), rules, images, start)
        for text in (rest, "n = Conv(x, merged, bias)")
    )
    np.testing.assert_allclose(apart, merged, rtol=1e-3, atol=1e-4 * float(np.abs(merged).max()))


def test_a_convolution_of_both_signs_keeps_the_sum_by_the_plus_rule() -> None:
    """As a product with the matrix of the convolution, which its answers to unit images are."""
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((3, 2, 2, 2)).astype(np.float32)
    text = "c = Conv<strides=[2,1], pads=[1,0,0,1]>(x, k)\ny = Flatten(c)"
    box = model(text, (2, 4, 5), 30, k=kernel)
    matrix = box.scores(np.eye(40, dtype=np.float32).reshape(40, 2, 4, 5)).astype(np.float64)
    images = rng.standard_normal((5, 2, 4, 5)).astype(np.float32)
    start = rng.random((5, 30)).astype(np.float32)
    found = relevance(box, "lrp-alpha-beta", images, start)
    np.testing.assert_allclose(
        found.reshape(5, 40), by_sides(images.reshape(5, 40), matrix, np.zeros(30), start, 1, 0), rtol=1e-4, atol=1e-6
    )
    # At the border some outputs read few pixels, none of which contributes above 0: those have nothing to share with.
    some = np.any(images.reshape(5, 40, 1) * matrix > 0, axis=1)
    assert 0.8 < some.mean() < 1
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), (start * some).sum(axis=1), rtol=1e-4)
    excited = relevance(box, "excitation", images, start).reshape(5, 40)
    np.testing.assert_allclose(excited, by_excitation(images.reshape(5, 40), matrix, start), rtol=1e-4, atol=1e-6)
    flat = relevance(box, "lrp-composite", images, start).reshape(5, 40)
    even = (matrix != 0).astype(float)
    np.testing.assert_allclose(flat, (start / even.sum(axis=0)) @ even.T, rtol=1e-4)


def test_sums_are_shared_in_proportion() -> None:
    text = "f = Flatten(x)\na = Gemm(f, w)\nb = Gemm(f, u)\ny = Sub(a, b)"
    u = np.array([[0.5, 1.0], [-1.0, 0.2], [0.3, -0.4]], np.float32)
    box, rows = model(text, (1, 1, 3), 2, w=W, u=u), X.reshape(2, 3).astype(np.float64)
    a, b, none = rows @ W, rows @ u, np.zeros(2)
    expected = by_epsilon(rows, W, none, START * a / (a - b)) + by_epsilon(rows, u, none, -START * b / (a - b))
    np.testing.assert_allclose(relevance(box, "lrp-epsilon", X, START).reshape(2, 3), expected, rtol=1e-5)
    up, down = np.maximum(a, 0), np.maximum(-b, 0)
    whole = np.where(up + down > 0, up + down, np.inf)
    expected = by_excitation(rows, W, START * up / whole) + by_excitation(rows, u, START * down / whole)
    np.testing.assert_allclose(relevance(box, "excitation", X, START).reshape(2, 3), expected, rtol=1e-5)


@pytest.mark.parametrize("gate", ["g = Sigmoid(h)", "e = Add(h, three)\ng = Clip(e, zero, six)"])
def test_a_gate_gets_nothing(gate: str) -> None:
    """Relevance passes x · sigmoid(x) as it passes any other activation."""
    gated = f"f = Flatten(x)\nh = Gemm(f, w, b)\n{gate}\na = Mul(h, g)\ny = Identity(a)"
    numbers = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}
    rows = X.reshape(2, 3).astype(np.float64)
    found = relevance(model(gated, (1, 1, 3), 2, w=W, b=B, **numbers), "lrp-epsilon", X, START)
    np.testing.assert_allclose(found.reshape(2, 3), by_epsilon(rows, W, B, START), rtol=1e-5)


def test_two_signals_that_are_multiplied_share_alike() -> None:
    text = "f = Flatten(x)\na = Gemm(f, w)\nb = Gemm(f, u)\ny = Mul(a, b)"
    u, rows, none = W[:, ::-1] + np.float32(0.3), X.reshape(2, 3).astype(np.float64), np.zeros(2)
    found = relevance(model(text, (1, 1, 3), 2, w=W, u=u), "lrp-epsilon", X, START).reshape(2, 3)
    expected = by_epsilon(rows, W, none, START / 2) + by_epsilon(rows, u, none, START / 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sums_of_zero_share_out_nothing() -> None:
    box = model(TWO_LAYERS, (1, 1, 3), 2, w=W, b=np.zeros(2, np.float32), v=V)
    for rules in (*LRP, *EXCITATION):
        found = relevance(box, rules, np.zeros_like(X), START)
        np.testing.assert_array_equal(found, np.zeros_like(X))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("f = Flatten(x)\nh = Gemm(f, w)\ny = Softmax(h)", r"Softmax \(node .*of=\"logits\""),
        (
            "f = Flatten(x)\nt = Transpose<perm=[0,1,3,2]>(x)\nm = MatMul(t, x)\ny = ReduceSum<keepdims=0>(m, ax)",
            "MatMul",
        ),
        ("h = ReduceProd<keepdims=0>(x, ax)\nu = Unsqueeze(h, one)\ny = MatMul(u, row)", "ReduceProd .*no rule"),
    ],
)
def test_operators_without_a_rule_are_refused_by_name(text: str, why: str) -> None:
    row, ax = np.ones((1, 2), np.float32), np.array([1, 2])
    text = text.replace("ReduceProd<keepdims=0>(x, ax)", "ReduceProd<keepdims=0>(x, all)")
    box = model(text, (1, 1, 3), 3 if "MatMul(t" in text else 2, w=W, row=row, ax=ax, all=ax + 1, one=np.array([1]))
    for rules in (*LRP, *EXCITATION):
        with pytest.raises(UnsupportedModelError, match=why):
            box.with_backward(rules)


def test_settings_are_checked() -> None:
    box, *_ = two_layers()
    with pytest.raises(InputError, match=r"no such setting of 'excitation'.*epsilon=1e-06"):
        box.with_backward("excitation", epsilon=1e-6)
    with pytest.raises(InputError, match=r"no such setting of 'lrp-epsilon'.*alpha=1.*expected epsilon"):
        box.with_backward("lrp-epsilon", alpha=1)
    with pytest.raises(InputError, match="numbers"):
        box.with_backward("lrp-epsilon", epsilon="small")
    with pytest.raises(InputError, match="positive"):
        box.with_backward("lrp-epsilon", epsilon=0.0)
    with pytest.raises(InputError, match="alpha - beta is 1"):
        box.with_backward("lrp-alpha-beta", alpha=2, beta=0)
    changed = box.with_backward("lrp-epsilon", epsilon=1e-6)
    assert changed.fingerprint() != box.with_backward("lrp-epsilon").fingerprint()
    assert "lrp-epsilon (epsilon=1e-06)" in changed.assumptions[-1]


def test_leaks_are_guided_and_clips_of_pixels_are_not() -> None:
    leaky = model("f = Flatten(x)\nh = Gemm(f, w)\na = LeakyRelu<alpha=0.1>(h)\ny = Gemm(a, v)", (1, 1, 3), 2, w=W, v=V)
    slope = np.where(X.reshape(2, 3) @ W > 0, 1, 0.1)
    expected = np.maximum((START @ V.T) * slope, 0) @ W.T
    np.testing.assert_allclose(relevance(leaky, "guided", X, START).reshape(2, 3), expected, rtol=1e-5)
    text = "e = Clip(x, zero, one)\nf = Flatten(e)\nh = Gemm(f, w)\na = {}(h)\ny = Gemm(a, v)"
    numbers = {"zero": np.float32(0), "one": np.float32(1)}
    black_and_white = model(text.format("Relu"), (1, 1, 3), 2, w=W, v=V, **numbers)
    inside = (X.reshape(2, 3) >= 0) & (X.reshape(2, 3) <= 1)
    hidden = np.clip(X.reshape(2, 3), 0, 1) @ W
    expected = (np.maximum(START @ V.T, 0) * (hidden > 0)) @ W.T * inside
    np.testing.assert_allclose(relevance(black_and_white, "guided", X, START).reshape(2, 3), expected, rtol=1e-5)
    for rules in ("guided", "deconvnet"):
        with pytest.raises(UnsupportedModelError, match=r"nothing to guide.*activations are Sigmoid, Tanh"):
            model("f = Flatten(x)\nh = Gemm(f, w)\nt = Tanh(h)\ny = Sigmoid(t)", (1, 1, 3), 2, w=W).with_backward(rules)
