"""Scores that are drawn, and scores that depend on the company an image is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import quantize_dynamic

import blackbox_explain as bx
from tests.adapters.onnx.reading.test_bad_models import HEAD, IMAGE, model

ONES = {name: np.ones(3, np.float32) for name in ("s", "o")}

IMAGES = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)


def wrapped(body: str, source: str = IMAGE, **constants: Any) -> Any:
    return bx.wrap(model(f"m ({source}) => (float[N,3] y) {{ {body}\n{HEAD} }}", **constants), cache=False)


STATISTICS = {"m": np.array([0.4, 0.5, 0.6], np.float32), "v": np.array([0.2, 0.1, 0.3], np.float32)}


@pytest.mark.parametrize(
    ("left_on", "meant"),
    [
        ("d = Dropout(x, r, t)\na = Exp(d)", "a = Exp(x)"),
        (
            "d, bm, bv = BatchNormalization<training_mode=1, momentum=0.5>(x, s, o, m, v)\na = Exp(d)",
            "d = BatchNormalization(x, s, o, m, v)\na = Exp(d)",
        ),
        (
            "d = BatchNormalization<training_mode=1>(x, s, o, m, v)\na = Exp(d)",
            "d = BatchNormalization(x, s, o, m, v)\na = Exp(d)",
        ),
    ],
)
def test_what_was_left_in_training_mode_is_evaluated(left_on: str, meant: str) -> None:
    weights = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    constants = {**ONES, **STATISTICS, "r": np.float32(0.5), "t": np.bool_(True)}
    box, plain = wrapped(left_on, **constants), wrapped(meant, **constants)
    assert any("left in training mode" in one and "model.eval()" in one for one in box.assumptions)
    assert not any("training mode" in one for one in plain.assumptions)
    for one, other in zip(
        box.scores_and_gradient(IMAGES, weights), plain.scores_and_gradient(IMAGES, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_dropout_that_is_off_is_no_news() -> None:
    evaluated = wrapped("d = Dropout(x, r, t)\na = Exp(d)", r=np.float32(0.5), t=np.bool_(False))
    assert not any("Dropout" in one for one in evaluated.assumptions)


@pytest.mark.parametrize(
    "body",
    [
        "z = RandomNormalLike<scale=0.1>(x)\na = Add(x, z)",
        "z = RandomUniform<shape=[1,3,8,8]>()\na = Mul(x, z)",
        "b = Bernoulli(x)\na = Mul(x, b)",
    ],
)
def test_random_numbers_are_said(body: str) -> None:
    box = wrapped(body)
    assert sum("draws lots" in one or "answers differently" in one for one in box.assumptions) == 1
    assert any("draws lots" in one for one in box.assumptions)
    if "Bernoulli" not in body:
        assert isinstance(box, bx.Differentiable)


def test_random_numbers_that_lead_nowhere_are_not_said() -> None:
    assert not any("draws lots" in one for one in wrapped("z = RandomNormalLike(x)\na = Exp(x)").assumptions)


COMPANY = "e = ReduceMax<axes=[0]>(x)\nd = Sub(x, e)\na = Exp(d)"
"""Less the largest of the batch."""


def together(source: str) -> Any:
    text = f"m ({source}) => (float[N,3] y) {{ {COMPANY}\n{HEAD} }}"
    return bx.wrap(model(text, opset=13), cache=False)


@pytest.mark.parametrize("count", ["N", "3"])
def test_an_image_whose_scores_depend_on_its_company_is_asked_alone(count: str) -> None:
    box = together(f"float[{count},3,8,8] x")
    assert any("depend on the images beside it" in one for one in box.assumptions)
    scores = box.scores(IMAGES)
    for k in range(2):
        np.testing.assert_allclose(box.scores(IMAGES[k : k + 1])[0], scores[k], atol=1e-7)
    # Alone, an image is the largest of its batch.
    np.testing.assert_allclose(scores, np.ones((2, 3)), atol=1e-6)


def test_a_batch_that_is_normalised_has_a_gradient_alone() -> None:
    body = "e = ReduceMean<axes=[0]>(x)\nd = Sub(x, e)\nf = Add(d, e)\ng = Mul(f, e)\na = Exp(g)"
    box = bx.wrap(
        model(f"m ({IMAGE}) => (float[N,3] y) {{ {body}\n{HEAD} }}", opset=13), cache=False, activation="none"
    )
    weights = np.ones((2, 3), np.float32)
    scores, gradient = box.scores_and_gradient(IMAGES, weights)
    np.testing.assert_allclose(scores, np.exp(IMAGES**2).mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * IMAGES * np.exp(IMAGES**2) / 64, rtol=1e-5)


def test_dynamic_quantisation_does_not_see_other_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = "m (float[N,1,16,16] x) => (float[N,3] y) { f = Flatten(x)\nh = MatMul(f, w1)\nr = Relu(h)\nz = MatMul(r, w2)\ny = Softmax(z) }"
    weights = {"w1": rng.standard_normal((256, 32)), "w2": rng.standard_normal((32, 3))}
    plain = model(text, opset=17, **{name: one.astype(np.float32) for name, one in weights.items()})
    onnx.save(plain, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "quantised.onnx")
    box = bx.wrap(tmp_path / "quantised.onnx")
    assert any("depend on the images beside it" in one for one in box.assumptions)
    dark = (rng.random((1, 1, 16, 16)) * 0.05).astype(np.float32)
    bright = np.ones((1, 1, 16, 16), np.float32)
    alone = onnxruntime.InferenceSession(str(tmp_path / "quantised.onnx")).run(None, {"x": dark})[0]
    np.testing.assert_allclose(box.scores(np.concatenate([bright, dark]))[1:], alone, atol=1e-6)
    assert not any("beside it" in one for one in bx.wrap(plain).assumptions)
