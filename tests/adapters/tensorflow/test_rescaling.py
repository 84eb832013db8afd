"""Models that rescale their pixels themselves are given those that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.adapters.tensorflow.models import keras, tf

# Keras saves by what NumPy will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

LAYERS = keras.layers
SHAPE = (3, 16, 16)


def bright(*first: Any) -> Any:
    """Return a classifier that tells dark from bright: above a quarter of the range, after `first` made it 0 to 1."""
    parts = [keras.Input((16, 16, 3)), *first, LAYERS.GlobalAveragePooling2D(), LAYERS.Dense(2, activation="softmax")]
    model = keras.Sequential(parts)
    weights = np.tile(np.array([[-40.0, 40.0]], np.float32) / 3, (3, 1))
    model.layers[-1].set_weights([weights, np.array([10.0, -10.0], np.float32)])
    return model


def normalised(mean: float, deviation: float) -> Any:
    return LAYERS.Normalization(mean=[mean] * 3, variance=[deviation**2] * 3)


def undone(mean: float, deviation: float) -> Any:
    """Return a layer behind the normalisation that makes pixels 0 to 1 again."""
    return LAYERS.Rescaling(deviation / 255, offset=mean / 255)


BYTES = [
    [LAYERS.Rescaling(1 / 255)],
    [LAYERS.Rescaling(1 / 127.5, offset=-1), LAYERS.Rescaling(0.5, offset=0.5)],
    [normalised(120.0, 60.0), undone(120.0, 60.0)],
]


@pytest.mark.parametrize("first", BYTES, ids=["255", "127.5", "normalisation"])
@pytest.mark.parametrize("form", ["model", "saved", "file", "function"])
def test_a_model_of_bytes_is_given_bytes(first: list[Any], form: str, tmp_path: Path) -> None:
    model: Any = bright(*first)
    if form == "saved":
        model.export(tmp_path / "saved", verbose=False)
    elif form == "file":
        model.save(tmp_path / "model.keras")
    found = {
        "model": model,
        "saved": tmp_path / "saved",
        "file": tmp_path / "model.keras",
        "function": tf.function(lambda images: model(images), autograph=False),
    }[form]
    box: Any = bx.wrap(found, shape=SHAPE, class_names=["dark", "bright"])
    images = np.stack([np.full(SHAPE, 0.8), np.full(SHAPE, 0.1)]).astype(np.float32)
    expected = 1 / (1 + np.exp(-2 * (40 * np.array([0.8, 0.1]) - 10)))
    np.testing.assert_allclose(box.scores(images)[:, 1], expected, atol=1e-5)
    np.testing.assert_allclose(box.spec.preprocessing.std, 1 / 255)
    assert any("between 0 and 255" in one for one in box.assumptions)
    assert not any("no preprocessing was given" in one for one in box.assumptions)
    same: Any = bx.wrap(found, shape=SHAPE, preprocessing=bx.Preprocessing(std=1 / 255))
    np.testing.assert_allclose(box.scores(images), same.scores(images), atol=1e-6)
    whole: Any = bx.wrap(found, shape=SHAPE, bounds=(0, 255))
    np.testing.assert_allclose(whole.scores(255 * images), box.scores(images), atol=1e-6)


@pytest.mark.parametrize("first", [[normalised(0.45, 0.25)], [LAYERS.Rescaling(2.0, offset=-1)], []])
def test_a_model_of_shares_is_given_shares(first: list[Any]) -> None:
    model: Any = bright(*first)
    images = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    box: Any = bx.wrap(model)
    np.testing.assert_allclose(box.scores(images), model(np.moveaxis(images, 1, -1)).numpy(), atol=1e-6)


def test_what_was_said_is_done_and_questioned() -> None:
    model = bright(LAYERS.Rescaling(1 / 255))
    images = np.full((1, *SHAPE), 0.8, np.float32)
    for said in (bx.Preprocessing(), bx.Preprocessing(mean=0.5, std=0.25)):
        box: Any = bx.wrap(model, preprocessing=said)
        given = np.moveaxis(said.forward(images), 1, -1)
        np.testing.assert_allclose(box.scores(images), model(given).numpy(), atol=1e-6)
        assert any("may be wrong" in one for one in box.assumptions)
    ordered: Any = bx.wrap(model, preprocessing=bx.Preprocessing(channels="BGR"))
    assert ordered.spec.preprocessing.channels == "BGR"
    assert ordered.scores(images)[0, 1] > 0.999


@pytest.mark.exhaustive
def test_networks_that_bring_their_own_rescaling() -> None:
    for make in (keras.applications.EfficientNetB0, keras.applications.MobileNetV3Small):
        model = make(weights=None, input_shape=(32, 32, 3), classes=5)
        box: Any = bx.wrap(model)
        np.testing.assert_allclose(box.spec.preprocessing.std, 1 / 255)
        images = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
        expected = model(255 * np.moveaxis(images, 1, -1), training=False).numpy()
        np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)


def test_caffe_and_torch_preprocessing_inside() -> None:
    for mode in ("caffe", "tf", "torch"):
        prepared = keras.applications.imagenet_utils.preprocess_input
        function = tf.function(
            lambda images, mode=mode, prepared=prepared: tf.reduce_mean(prepared(images, mode=mode), axis=[1, 2]),
            autograph=False,
        )
        box: Any = bx.wrap(function, shape=SHAPE, activation="none")
        np.testing.assert_allclose(box.spec.preprocessing.std, 1 / 255, err_msg=mode)
