"""Looking into an ONNX box, and other rules for its gradient, once it is wrapped."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

import blackbox_explain as bx
from blackbox_explain.box.info import require
from blackbox_explain.errors import InputError, NoGradientError
from tests.adapters.onnx.test_box import guided, small


def test_layers_are_named_with_their_shapes_and_asked_by_name(images: np.ndarray, weights: np.ndarray) -> None:
    box = bx.wrap(small())
    assert isinstance(box, bx.Layered)
    layers = box.layers()
    assert all(not one.name.startswith("blackbox_explain") for one in layers)
    by_name = {one.name: one for one in layers}
    assert by_name["c"].kind == "Conv"
    found = box.inner(images, weights, [one.name for one in layers])
    for one in layers:
        values, gradients = found[one.name]
        assert values.shape == gradients.shape == (len(images), *one.shape)
    assert box.layers() is layers
    assert pickle.loads(pickle.dumps(box)).layers() == layers  # noqa: S301 it was made here


def test_layers_of_the_default_model_lead_from_the_image_to_the_scores(default_box: Any) -> None:
    layers = default_box.layers()
    assert next(one.shape for one in layers if one.kind == "Conv") == (32, 112, 112)
    assert [one.shape for one in layers if len(one.shape) == 3][-1] == (1280, 1, 1)
    assert layers[-1].shape == (1000,)


def test_rules_by_name_are_those_by_operator(images: np.ndarray, weights: np.ndarray) -> None:
    box: Any = bx.wrap(small(), activation="none")
    assert isinstance(box, bx.Rewritable)
    by_name = box.with_backward("guided")
    by_hand = bx.wrap(small(), activation="none", rules={"Relu": guided})
    scores, gradient = by_name.scores_and_gradient(images, weights)
    np.testing.assert_array_equal(scores, box.scores(images))
    np.testing.assert_allclose(gradient, by_hand.scores_and_gradient(images, weights)[1], atol=1e-7)
    np.testing.assert_array_equal(box.with_backward({"Relu": guided}).scores_and_gradient(images, weights)[1], gradient)
    assert not np.allclose(gradient, box.scores_and_gradient(images, weights)[1])
    assert "the gradient passes by other rules: guided" in by_name.assumptions
    exact = box.with_backward("exact")
    np.testing.assert_array_equal(
        exact.scores_and_gradient(images, weights)[1], box.scores_and_gradient(images, weights)[1]
    )
    assert exact.assumptions == box.assumptions


def test_a_deconvolution_ignores_where_units_are_active(images: np.ndarray, weights: np.ndarray) -> None:
    box: Any = bx.wrap(small(), activation="none")
    by_relu = box.with_backward("deconvnet").inner(images, weights, ["c", "r"])
    np.testing.assert_allclose(by_relu["c"][1], np.maximum(by_relu["r"][1], 0), atol=1e-7)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_are_reached_after_wrapping(activation: Any, images: np.ndarray, weights: np.ndarray) -> None:
    raw: Any = bx.wrap(small(), activation="none")
    box: Any = bx.wrap(small(), activation=activation)
    logits = box.with_backward("exact", of="logits")
    found, gradient = logits.scores_and_gradient(images, weights)
    np.testing.assert_allclose(found, raw.scores(images), atol=1e-6)
    np.testing.assert_allclose(gradient, raw.scores_and_gradient(images, weights)[1], atol=1e-6)
    assert logits.activation == "none"
    np.testing.assert_allclose(box.scores(images).sum(axis=1) if activation == "softmax" else 1, 1, atol=1e-5)


def test_logits_before_the_models_own_softmax(default_box: Any, sample_images: np.ndarray) -> None:
    logits = default_box.with_backward("exact", of="logits").scores(sample_images[:2])
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = default_box.scores(sample_images[:2])
    np.testing.assert_allclose(exponentials / exponentials.sum(axis=1, keepdims=True), expected, atol=1e-5)
    assert logits.max() > 1.5


@pytest.mark.parametrize("head", ["y = Identity(l)", "y = Softmax<axis=1>(l)"])
def test_the_box_of_logits_can_be_looked_into(head: str, images: np.ndarray, weights: np.ndarray) -> None:
    model = small(head=head)
    box: Any = bx.wrap(model)
    made = box.with_backward("exact", of="logits")
    assert isinstance(made, bx.Layered)
    matrix = next(numpy_helper.to_array(one) for one in model.graph.initializer if one.name == "v")
    assert [one.name for one in made.layers() if one.kind == "GlobalAveragePool"] == ["p"]
    values, slopes = made.inner(images, weights, ["p"])["p"]
    by_pooled = weights @ matrix.T
    np.testing.assert_allclose(slopes[:, :, 0, 0], by_pooled, atol=1e-5)
    assert not np.allclose(slopes, box.inner(images, weights, ["p"])["p"][1], atol=1e-3)
    maps, by_maps = made.inner(images, weights, ["r"])["r"]
    np.testing.assert_allclose(values, maps.mean((2, 3), keepdims=True), atol=1e-5)
    np.testing.assert_allclose(by_maps * maps[0, 0].size, np.broadcast_to(slopes, maps.shape), atol=1e-5)


def test_scores_without_an_activation_are_logits(images: np.ndarray) -> None:
    box: Any = bx.wrap(small(), activation="none")
    np.testing.assert_array_equal(box.with_backward("exact", of="logits").scores(images), box.scores(images))


def test_what_is_refused() -> None:
    box: Any = bx.wrap(small())
    with pytest.raises(InputError, match=r"no such set of rules.*'guidet'.*did you mean 'guided'"):
        box.with_backward("guidet")
    with pytest.raises(InputError, match="no such operator"):
        box.with_backward({"relu": guided})
    with pytest.raises(InputError, match=r"no such output.*of='logit'"):
        box.with_backward("guided", of="logit")
    scores_alone = bx.wrap(lambda x: x[:, 0, 0, :3], shape=(1, 8, 8))
    with pytest.raises(NoGradientError, match=r"scores but no gradients; looking inside needs Layered"):
        require(scores_alone, bx.Layered, "looking inside")
