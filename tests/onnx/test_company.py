"""Scores that are drawn, and scores that depend on the company an image is in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.onnx.test_bad_models import HEAD, IMAGE, model

ONES = {name: np.ones(3, np.float32) for name in ("s", "v")} | {name: np.zeros(3, np.float32) for name in ("o", "m")}

IMAGES = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)


def wrapped(body: str, source: str = IMAGE, **constants: Any) -> Any:
    return bx.wrap(model(f"m ({source}) => (float[N,3] y) {{ {body}\n{HEAD} }}", **constants), cache=False)


def test_dropout_left_on_is_turned_off() -> None:
    box = wrapped("d = Dropout(x, r, t)\na = Exp(d)", r=np.float32(0.5), t=np.bool_(True))
    assert any("turned off here" in one and "model.eval()" in one for one in box.assumptions)
    plain = wrapped("a = Exp(x)")
    weights = np.ones((2, 3), np.float32)
    for one, other in zip(
        box.scores_and_gradient(IMAGES, weights), plain.scores_and_gradient(IMAGES, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
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
    assert any("draws lots" in one for one in box.assumptions)
    if "Bernoulli" not in body:
        assert isinstance(box, bx.DifferentiableBlackBox)


def test_random_numbers_that_lead_nowhere_are_not_said() -> None:
    assert not any("draws lots" in one for one in wrapped("z = RandomNormalLike(x)\na = Exp(x)").assumptions)
