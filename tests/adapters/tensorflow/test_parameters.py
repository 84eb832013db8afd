"""Random parameters in Keras models: in a copy, in the order in which layers are done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.random_parameters import drawn_like
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.tensorflow.models import CLASSES, functional, keras, saved, seeded, sequential, subclassed, tf
from tests.adapters.tensorflow.test_layers import IMAGES, WEIGHTS, blocks


def kinds(model: Any, layers: Any) -> list[str]:
    """Return the kinds of layers, whose names count on through a run."""
    return [type(model.get_layer(name)).__name__ for name in layers]


def test_scores_and_gradient_are_those_of_a_model_with_what_is_drawn() -> None:
    model = functional()
    model.layers[1].trainable = False  # frozen, and learned all the same
    box: Any = bx.wrap(model, activation="softmax")
    assert isinstance(box, bx.Randomizable)
    layers = box.parameter_layers()
    assert kinds(model, layers) == ["Dense", "DepthwiseConv2D", "BatchNormalization", "Conv2D"]
    before = [one.numpy() for one in model.weights]
    score, fingerprint = box.scores(IMAGES), box.fingerprint()
    made = box.randomized(layers, 2)
    with pytest.raises(InputError, match="No layer with parameters"):
        box.randomized([layers[0], "dropout"], 2)
    assert all(np.array_equal(one.numpy(), kept) for one, kept in zip(model.weights, before, strict=True))
    np.testing.assert_array_equal(box.scores(IMAGES), score)
    assert box.fingerprint() == fingerprint != made.fingerprint()
    assert not model.layers[1].trainable
    for name in layers:
        layer = model.get_layer(name)
        layer.trainable = True
        for place, variable in enumerate(layer.trainable_variables):
            variable.assign(drawn_like(variable.numpy(), 2, f"{name}/{place}"))
    expected: Any = bx.wrap(model, activation="softmax")
    for one, other in zip(
        made.scores_and_gradient(IMAGES, WEIGHTS), expected.scores_and_gradient(IMAGES, WEIGHTS), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    dense = made.inner(IMAGES, WEIGHTS, [layers[1]])[layers[1]][1]
    np.testing.assert_allclose(dense, expected.inner(IMAGES, WEIGHTS, [layers[1]])[layers[1]][1], atol=1e-6)


def test_logits_of_a_random_model() -> None:
    box: Any = bx.wrap(sequential(), activation="softmax")
    made = box.randomized(box.parameter_layers()[:1], 0)
    logits = made.with_backward("exact", of="logits").scores(IMAGES)
    np.testing.assert_allclose(tf.nn.softmax(logits).numpy(), made.scores(IMAGES), atol=1e-6)


def test_layers_inside_of_layers() -> None:
    box: Any = bx.wrap(blocks(), shape=(3, 12, 10), activation="softmax")
    assert box.parameter_layers() == ("head", "block/conv")
    assert not np.allclose(box.randomized(["block/conv"], 0).scores(IMAGES), box.scores(IMAGES), atol=1e-5)


def test_the_cell_of_a_recurrent_layer() -> None:
    image = keras.Input((12, 10, 3))
    steps = keras.layers.Reshape((12, 30))(image)
    model = seeded(keras.Model(image, keras.layers.Dense(CLASSES, name="d")(keras.layers.LSTM(5, name="r")(steps))))
    box: Any = bx.wrap(model, activation="softmax")
    layers = box.parameter_layers()
    assert layers[0] == "d"
    assert len(layers) == 2
    assert layers[1].startswith("r/")
    assert not np.allclose(box.randomized(layers[1:], 0).scores(IMAGES), box.scores(IMAGES), atol=1e-5)


def test_what_is_refused(tmp_path: Any) -> None:
    box: Any = bx.wrap(subclassed(), shape=(3, 12, 10), activation="softmax")
    with pytest.raises(UnsupportedModelError, match="register_keras_serializable"):
        box.parameter_layers()
    assert not isinstance(bx.wrap(saved(tmp_path)), bx.Randomizable)


def test_models_of_bytes_have_the_gradient_of_what_is_drawn() -> None:
    """Their gradient is that of a graph written anew, which holds its weights."""
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    rows = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    box: Any = bx.wrap(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(rows)))
    images = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    weights = np.eye(3, dtype=np.float32)[:2]
    made = box.randomized(box.parameter_layers(), 1)
    scores, gradient = made.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, made.scores(images), atol=1e-6)
    assert np.abs(gradient - box.scores_and_gradient(images, weights)[1]).max() > 1e-4
    assert any("weights that the model had when it was wrapped" in one for one in box.assumptions)


def test_wider_whole_numbers_are_not_cut_to_bytes() -> None:
    inputs = keras.Input((4, 4, 3), dtype="int16")
    rows = keras.layers.Flatten()(keras.layers.Rescaling(1 / 4095)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(rows))
    images = np.random.default_rng(0).integers(-2000, 4096, (2, 3, 4, 4)).astype(np.float32)
    for rules in (None, bx.Preprocessing()):
        box: Any = bx.wrap(model, preprocessing=rules, bounds=(-2000, 4095), activation="none")
        expected = model.predict(np.moveaxis(images, 1, -1).astype(np.int16), verbose=0)
        np.testing.assert_allclose(box.scores(images), expected, atol=1e-5)
        scores, gradient = box.scores_and_gradient(images, np.eye(3, dtype=np.float32)[:2])
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        assert np.abs(gradient).min() > 0


def test_half_precision_has_slopes_of_classes_that_are_nearly_certain() -> None:
    def made(policy: str) -> Any:
        keras.utils.set_random_seed(0)
        inputs = keras.Input((32, 32, 3))
        kept = keras.layers.Conv2D(4, 3, activation="relu", dtype=policy)(inputs)
        pooled = keras.layers.GlobalAveragePooling2D(dtype=policy)(kept)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32")(pooled))

    half, single = made("mixed_float16"), made("float32")
    kernel = single.layers[-1].get_weights()
    bias = np.array([9, 0, 0], np.float32)
    for one in (half, single):
        one.set_weights(single.get_weights())
        one.layers[-1].set_weights([kernel[0], bias])
    images = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
    weights = np.eye(3, dtype=np.float32)[:1]
    found, expected = (bx.wrap(one).scores_and_gradient(images, weights)[1] for one in (half, single))
    assert np.abs(expected).max() < 1e-6
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_half_precision_has_slopes_that_are_large() -> None:
    inputs = keras.Input((2, 2, 3))
    rows = keras.layers.Flatten(dtype="mixed_float16")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_float16")(rows))
    kernel = 200 * np.random.default_rng(0).choice([-1.0, 1.0], (12, 3)).astype(np.float32)
    model.set_weights([kernel, np.zeros(3, np.float32)])
    box: Any = bx.wrap(model, activation="none")
    images = np.random.default_rng(0).random((1, 3, 2, 2), dtype=np.float32)
    _, gradient = box.scores_and_gradient(images, np.eye(3, dtype=np.float32)[:1])
    np.testing.assert_array_equal(np.moveaxis(gradient[0], 0, -1).ravel(), kernel[:, 0])
