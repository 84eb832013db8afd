"""Models whose answers depend on what was asked before or beside: found, mended where it can be, and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.adapters.tensorflow.models import SHAPE, keras, tf

IMAGES = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).random((3, 3), dtype=np.float32)


class Counting(tf.Module):
    """Adds up all that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.total = tf.Variable(tf.zeros(3), name="total")

    def __call__(self, images: Any) -> Any:
        means = tf.reduce_mean(images, axis=[1, 2])
        self.total.assign_add(tf.reduce_sum(means, axis=0))
        return means + self.total


def check_alone_in_company_twice(box: Any, expected: np.ndarray) -> None:
    for rows in (slice(0, 1), slice(0, 3), slice(0, 3), slice(2, 3), slice(1, 3)):
        np.testing.assert_allclose(box.scores(IMAGES[rows]), expected[rows], atol=1e-6)
        np.testing.assert_allclose(box.scores_and_gradient(IMAGES[rows], WEIGHTS[rows])[0], expected[rows], atol=1e-6)


def test_variables_are_set_back_before_each_call() -> None:
    module = Counting()
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    check_alone_in_company_twice(box, 2 * IMAGES.mean(axis=(2, 3)))
    gradient = box.scores_and_gradient(IMAGES, WEIGHTS)[1]
    np.testing.assert_allclose(gradient, np.broadcast_to(WEIGHTS[:, :, None, None] / 120, gradient.shape), atol=1e-6)
    assert not module.total.numpy().any()
    assert any("total" in one and "one at a time" in one for one in box.assumptions)
    module.total.assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(box.scores(IMAGES), 2 * IMAGES.mean(axis=(2, 3)) + [1, 2, 3], atol=1e-6)
    np.testing.assert_array_equal(module.total.numpy(), [1, 2, 3])


@pytest.mark.parametrize("kind", ["dropout", "normalisation", "recurrent"])
def test_keras_layers_with_a_state(kind: str) -> None:
    image = keras.Input((12, 10, 3), batch_size=1 if kind == "recurrent" else None)
    if kind == "dropout":
        inner = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.5)(image, training=True))
    elif kind == "normalisation":
        layer = keras.layers.BatchNormalization()
        inner = keras.layers.GlobalMaxPooling2D()(layer(image, training=True))
    else:
        inner = keras.layers.LSTM(4, stateful=True)(keras.layers.Reshape((12, 30))(image))
    model: Any = keras.Model(image, keras.layers.Dense(3)(inner))
    before = [one.numpy().copy() for one in model.variables]
    box: Any = bx.wrap(model)
    expected = np.concatenate([box.scores(IMAGES[row : row + 1]) for row in range(3)])
    check_alone_in_company_twice(box, expected)
    assert len({row.tobytes() for row in expected}) == 3
    for one, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(one.numpy(), value)


def test_what_looks_at_the_whole_batch_gets_one_image_at_a_time() -> None:
    function = tf.function(lambda x: tf.reduce_mean(x, axis=[1, 2]) / tf.reduce_max(x), autograph=False)
    box: Any = bx.wrap(function, shape=SHAPE, activation="none")
    expected = IMAGES.mean(axis=(2, 3)) / IMAGES.max(axis=(1, 2, 3))[:, None]
    check_alone_in_company_twice(box, expected)
    assert any("images beside it" in one for one in box.assumptions)


def test_random_numbers_are_said_loudly() -> None:
    function = tf.function(lambda x: tf.reduce_mean(x, axis=[1, 2]) + tf.random.normal((1, 3)), autograph=False)
    box: Any = bx.wrap(function, shape=SHAPE, activation="none")
    assert any("answers differently when the same image is given again" in one for one in box.assumptions)
