"""Models whose inner sizes follow the values of pixels, such as the number of those that are not black."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.graph.pixel_dependence import sized_by_pixels, without_pixels

COUNTED = """
    over = ReduceMax<keepdims = 1>(x, channel)
    seen = Greater(over, zero)
    mask = Cast<to = 1>(seen)
    places = NonZero(seen)
    shape = Shape(places)
    many = Gather(shape, one)
    count = Cast<to = 1>(many)
    kept = Mul(x, mask)
    total = ReduceSum<keepdims = 0>(kept, axes)
    y = Div(total, count)
"""
"""The mean of the pixels that are not black, by channel."""

CONSTANTS = {"channel": np.array([1]), "zero": np.float32(0), "one": np.array(1), "axes": np.array([2, 3])}


def model(text: str, batch: str, **constants: Any) -> onnx.ModelProto:
    head = f'<ir_version: 9, opset_import: ["": 18]> g (float[{batch}, 3, 8, 8] x) => (float[{batch}, 3] y) {{'
    made = onnx.parser.parse_model(head + text + "}")
    made.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    return made


def test_sizes_that_follow_pixels_are_no_constants() -> None:
    made = model(COUNTED, "1", **CONSTANTS)
    assert sized_by_pixels(made) == {"places"}
    assert not {"shape", "many", "count"} & without_pixels(made)


@pytest.mark.parametrize("batch", ["1", "N"])
@pytest.mark.parametrize("black", [0, 2, 5])
def test_a_mean_over_what_is_not_black(black: int, batch: str) -> None:
    box = bx.wrap(model(COUNTED, batch, **CONSTANTS), activation="none", cache=False)
    image = np.random.default_rng(0).uniform(0.2, 1, (1, 3, 8, 8)).astype(np.float32)
    image[:, :, :black] = 0
    weights = np.array([[1, 0, 0]], np.float32)
    scores, gradient = box.scores_and_gradient(image, weights)
    np.testing.assert_allclose(scores, image[:, :, black:].mean(axis=(2, 3)), rtol=1e-5)
    expected = np.zeros_like(image)
    expected[:, 0, black:] = 1 / (8 * (8 - black))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


CROPPED = """
    rows = ReduceMax<keepdims = 0>(x, others)
    seen = Greater(rows, zero)
    ones = Cast<to = 7>(seen)
    many = ReduceSum<keepdims = 1>(ones)
    crop = Slice(x, start, many, down)
    y = ReduceMean<keepdims = 0>(crop, axes)
"""
"""The mean of the first rows, as many as there are that are not black."""


def test_what_cannot_be_followed_is_told_when_the_model_is_wrapped() -> None:
    made = model(
        CROPPED,
        "1",
        others=np.array([0, 1, 3]),
        zero=np.float32(0),
        start=np.array([0]),
        down=np.array([2]),
        axes=np.array([2, 3]),
    )
    box = bx.wrap(made, activation="none", cache=False)
    image = np.random.default_rng(0).uniform(0.2, 1, (1, 3, 8, 8)).astype(np.float32)
    image[:, :, 5:] = 0
    np.testing.assert_allclose(box.scores(image), image[:, :, :5].mean(axis=(2, 3)), rtol=1e-5)
    assert not isinstance(box, bx.Differentiable)
    assert "cannot be differentiated" in str(box.no_gradient)
