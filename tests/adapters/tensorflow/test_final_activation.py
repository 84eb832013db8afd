"""Activations are read off what a model ends in, and never depend on which images come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError
from tests.adapters.tensorflow.models import SHAPE, keras, tf

# Keras saves by what NumPy will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

IMAGES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)


def ended(*layers: Any) -> Any:
    """Return a model whose scores are small, so that they look like probabilities."""
    parts = [keras.Input((12, 10, 3)), keras.layers.GlobalAveragePooling2D(), *layers]
    model = keras.Sequential(parts)
    for one in model.weights:
        one.assign(np.full(one.shape, 0.1))
    return model


def as_model(model: Any, _folder: Path) -> Any:
    return model


def as_function(model: Any, _folder: Path) -> Any:
    return tf.function(lambda images: model(images, training=False), autograph=False)


def as_saved(model: Any, folder: Path) -> Any:
    model.export(folder / "saved", verbose=False)
    return folder / "saved"


@pytest.mark.parametrize("form", [as_model, as_function, as_saved])
def test_the_last_operation_decides(form: Any, tmp_path: Path) -> None:
    dense = keras.layers.Dense
    cases = [
        ([dense(3)], "softmax", "linear layer"),
        ([dense(3), keras.layers.Reshape((3,))], "softmax", "linear layer"),
        ([dense(1)], "sigmoid", "linear layer"),
        ([dense(3, activation="softmax")], "none", "ends in a softmax"),
        ([dense(3, activation="sigmoid")], "none", "ends in a sigmoid"),
        ([dense(3, activation="tanh")], "none", r"lie in [0, 1]"),
    ]
    for place, (layers, activation, reason) in enumerate(cases):
        (tmp_path / str(place)).mkdir()
        box = bx.wrap(form(ended(*layers), tmp_path / str(place)), shape=SHAPE)
        assert box.activation == activation
        assert any(reason in one for one in box.assumptions)


def test_scores_are_the_same_whatever_was_asked_before() -> None:
    function = tf.function(lambda x: 12 * (tf.reduce_mean(x, axis=[1, 2, 3])[:, None] - 0.4), autograph=False)
    bright, dim = np.full((1, *SHAPE), 1, np.float32), np.full((1, *SHAPE), 0.42, np.float32)
    fresh: Any = bx.wrap(function, shape=SHAPE)
    asked: Any = bx.wrap(function, shape=SHAPE)
    asked.scores(dim)
    assert fresh.scores(bright) == asked.scores(bright)
    assert fresh.scores(bright).item() == pytest.approx(1 / (1 + np.exp(-7.2)), abs=1e-6)


def test_a_guess_by_range_is_revised_loudly() -> None:
    function = tf.function(lambda x: tf.tanh(tf.reduce_max(x, axis=[1, 2])) ** 3 * 20 * x[:, 5, 5], autograph=False)
    box: Any = bx.wrap(function, shape=SHAPE, bounds=(0.0, 0.1))
    assert box.activation == "none"
    with pytest.raises(ModelError, match=r"activation=\"softmax\".*--activation softmax"):
        box.scores(IMAGES)
    stated: Any = bx.wrap(function, shape=SHAPE, bounds=(0.0, 0.1), activation="none")
    assert stated.scores(IMAGES).max() > 1


def test_an_activation_that_is_there_is_not_applied_twice() -> None:
    model = ended(keras.layers.Dense(3, activation="softmax"))
    box: Any = bx.wrap(model, activation="softmax")
    assert any("so that none is applied" in one for one in box.assumptions)
    plain: Any = bx.wrap(model)
    np.testing.assert_array_equal(box.scores(IMAGES), plain.scores(IMAGES))
    with pytest.raises(InputError, match="cannot be replaced"):
        bx.wrap(model, activation="sigmoid")
