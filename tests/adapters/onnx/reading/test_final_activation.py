"""What a graph ends in decides what turns its outputs into scores, before the range of any output does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import ModelError
from blackbox_explain_adapters._onnx.reading.final_activation import View, axis_of, ends_in
from tests.adapters.onnx.reading.test_bad_models import IMAGE, model

WEIGHTS = {
    "w": np.array([[12, 1, 0], [-12, 0, 1], [0.5, 0, 0]], np.float32),
    "b": np.zeros(3, np.float32),
    "c": np.ones((3, 3, 1, 1), np.float32),
    "half": np.float32(0.5),
    "one": np.ones(1, np.float32),
    "k": np.array([1]),
    "s": np.array([0, 0, 1]),
}


def made(body: str) -> onnx.ModelProto:
    text = f"m ({IMAGE}) => (float[N,3] y) {{ p = GlobalAveragePool(x)\nf = Flatten(p)\n{body} }}"
    return model(text, domains=("ai.onnx.ml",), **WEIGHTS)


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("y = MatMul(f, w)", "linear"),
        ("y = Gemm(f, w, b)", "linear"),
        ("m = MatMul(f, w)\ny = Add(m, b)", "linear"),
        ("m = MatMul(f, w)\nn = Mul(m, half)\no = Sub(n, b)\ny = Identity(o)", "linear"),
        ("m = MatMul(f, w)\nn = Gemm(f, w)\nd = Add(m, n)\ny = Add(d, n)", "linear"),
        ("c0 = Conv(x, c)\nr = Relu(c0)\ng = GlobalAveragePool(r)\ny = Flatten(g)", "linear"),
        ("m = MatMul(f, w)\ny = Gather<axis=1>(m, s)", "linear"),
        ("m = MatMul(f, w)\ny = Softmax(m)", "softmax"),
        ("c0 = Conv(x, c)\nt = Softmax<axis=1>(c0)\ng = GlobalAveragePool(t)\ny = Flatten(g)", "softmax"),
        ("m = MatMul(f, w)\nl = LogSoftmax(m)\ny = Identity(l)", "log_softmax"),
        ("m = MatMul(f, w)\ny = Sigmoid(m)", "sigmoid"),
        ("m = MatMul(f, w)\nt = Sigmoid(m)\nu = Sigmoid(f)\ny = Concat<axis=1>(t, u)", "sigmoid"),
        ("y = ai.onnx.ml.LinearRegressor<coefficients=[1.0, 2.0, 3.0]>(f)", "linear"),
        # What the graph does not tell, or what is bounded in another way.
        ("m = MatMul(f, w)\ne = Exp(m)\nt = ReduceSum<keepdims=1>(e, k)\ny = Div(e, t)", None),
        ("m = MatMul(f, w)\nt = Softmax(m)\ny = MatMul(t, w)", None),
        ("m = MatMul(f, w)\nt = Softmax(m)\ny = Mul(t, half)", None),
        ("m = MatMul(f, w)\nt = Sigmoid(m)\ny = Mul(t, m)", None),
        ("m = MatMul(f, w)\ny = Tanh(m)", None),
        ("m = MatMul(f, w)\nh = HardSigmoid(m)\ny = Identity(h)", None),
        ("y = Identity(f)", None),
    ],
)
def test_how_a_graph_ends(body: str, ending: str | None) -> None:
    assert ends_in(View(made(body)), "y") == ending


GREY, RED = np.full((1, 3, 8, 8), 0.5, np.float32), np.zeros((1, 3, 8, 8), np.float32)
RED[:, 0] = 1


def test_logits_that_lie_in_the_unit_interval_for_plain_images_are_logits() -> None:
    box = bx.wrap(made("y = MatMul(f, w)"))
    assert box.activation == "softmax"
    assert any("ends in a linear layer" in one for one in box.assumptions)
    logits = RED.mean((2, 3)) @ WEIGHTS["w"]
    np.testing.assert_allclose(box.scores(RED), np.exp(logits) / np.exp(logits).sum(), rtol=1e-5)


def test_a_guess_by_the_range_is_revised_loudly() -> None:
    guessed = bx.wrap(made("m = MatMul(f, w)\ny = Abs(m)"))
    assert guessed.activation == "none"
    np.testing.assert_allclose(guessed.scores(GREY), [[0.25, 0.5, 0.5]], atol=1e-6)
    for ask in (guessed.scores, lambda images: guessed.scores_and_gradient(images, np.ones((1, 3), np.float32))):
        with pytest.raises(ModelError, match=r"an output of 12.*--activation softmax"):
            ask(RED)
    said = bx.wrap(made("m = MatMul(f, w)\ny = Abs(m)"), activation="none")
    np.testing.assert_allclose(said.scores(RED), [[12, 1, 0]], atol=1e-5)


def test_one_logit_and_one_chance() -> None:
    one = {"u": np.array([[0.1], [0.2], [0.3]], np.float32)}
    text = "m ({}) => (float[N,1] y) {{ p = GlobalAveragePool(x)\nf = Flatten(p)\n{} }}"
    logit = bx.wrap(model(text.format(IMAGE, "y = MatMul(f, u)"), **one))
    chance = bx.wrap(model(text.format(IMAGE, "m = MatMul(f, u)\ny = Sigmoid(m)"), **one))
    assert (logit.activation, chance.activation) == ("sigmoid", "none")
    np.testing.assert_allclose(logit.scores(GREY), 1 / (1 + np.exp(-0.3)), rtol=1e-5)
    np.testing.assert_allclose(chance.scores(GREY), logit.scores(GREY), rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "rank", "axis", "kind"),
    [
        ("c0 = Conv(x, c)\ny = Sigmoid(c0)", 4, 1, "channels"),
        ("c0 = Conv(x, c)\ny = Sigmoid(c0)", 4, 3, "places"),
        ("c0 = Conv(x, c)\ny = Transpose<perm=[0,2,3,1]>(c0)", 4, 1, "places"),
        ("c0 = Conv(x, c)\ny = Transpose<perm=[0,2,3,1]>(c0)", 4, 3, "channels"),
        ("c0 = Conv(x, c)\ng = GlobalAveragePool(c0)\nq = Squeeze(g, k2)\ny = Unsqueeze(q, k2)", 4, 1, "channels"),
        ("c0 = Conv(x, c)\nu = Unsqueeze(c0, k)\ny = Mul(half, u)", 5, 2, "channels"),
        ("c0 = Conv(x, c)\nu = Unsqueeze(c0, k)\ny = Mul(half, u)", 5, 4, "places"),
        ("y = MatMul(f, w)", 2, 1, "channels"),
        ("c0 = Conv(x, c)\ny = Reshape(c0, s)", 3, 1, None),
    ],
)
def test_what_an_axis_counts(body: str, rank: int, axis: int, kind: str | None) -> None:
    graph = made(body)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3]), "k2"))
    assert axis_of(View(graph), "y", axis, rank) == kind
