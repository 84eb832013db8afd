"""Keras models by tf2onnx, channels last, against GradientTape."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.onnx.test_networks import error

if os.environ.get("REQUIRE_BACKENDS") == "1":
    import tensorflow as tf
else:
    tf: Any = pytest.importorskip("tensorflow")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tf2onnx

pytestmark = pytest.mark.filterwarnings("ignore")

layers = tf.keras.layers


def small() -> list[Any]:
    return [
        layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, strides=2, padding="same"),
        layers.Activation("swish"),
        layers.Conv2D(24, 1),
        layers.LeakyReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


def valid() -> list[Any]:
    return [
        layers.ZeroPadding2D(2),
        layers.Conv2D(8, 5, dilation_rate=2, activation="elu"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.SeparableConv2D(12, 3, activation="softplus"),
        layers.AveragePooling2D(2),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Conv2DTranspose(6, 3, strides=2, padding="same"),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]


def normalised() -> list[Any]:
    return [
        layers.Conv2D(16, 4, strides=4),
        layers.LayerNormalization(),
        layers.Dense(32, activation="mish"),
        layers.UnitNormalization(),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


@pytest.mark.parametrize("make", [small, valid, normalised])
@pytest.mark.parametrize("opset", [13, 18])
def test_keras_models(make: Callable[[], list[Any]], opset: int) -> None:
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.Input((32, 32, 3)), *make()])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [np.random.default_rng(k).uniform(0.5, 1.5, w.shape) for k, w in enumerate(layer.get_weights())]
            )
    signature = [tf.TensorSpec((None, 32, 32, 3), tf.float32, name="images")]
    exported, _ = tf2onnx.convert.from_function(
        tf.function(lambda images: model(images, training=False), input_signature=signature), signature, opset=opset
    )
    box = bx.wrap(exported, cache=False)
    assert box.spec.shape == (3, 32, 32)
    assert isinstance(box, bx.DifferentiableBlackBox), getattr(box, "no_gradient", "")
    rng = np.random.default_rng(1)
    images = rng.random((6, 3, 32, 32), dtype=np.float32)
    weights = rng.standard_normal((6, 10)).astype(np.float32)
    leaf = tf.constant(np.moveaxis(images, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        scores = model(leaf, training=False)
        total = tf.reduce_sum(scores * weights)
    expected = np.moveaxis(tape.gradient(total, leaf).numpy(), -1, 1)
    found_scores, found = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(found_scores, scores.numpy(), atol=1e-5)
    # Both are in single precision, in which a unit may flip.
    assert np.median(error(found.astype(np.float64), expected.astype(np.float64))) <= 2e-5
