"""Keras models by tf2onnx, channels last, against GradientTape."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.adapters.onnx.backward.test_networks import error

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
    agrees(model, opset, (32, 32, 3))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(6),
        lambda: layers.Bidirectional(layers.LSTM(6)),
        lambda: layers.GRU(6),
        lambda: layers.GRU(6, reset_after=False, go_backwards=True),
        lambda: layers.SimpleRNN(6),
    ],
    ids=["lstm", "both ways", "gru", "gru backwards", "rnn"],
)
def test_recurrent_layers(layer: Callable[[], Any]) -> None:
    # GRU and SimpleRNN are exported as loops.
    tf.keras.utils.set_random_seed(0)
    agrees(tf.keras.Sequential([tf.keras.Input((9, 8)), layer(), layers.Dense(10, activation="softmax")]), 17, (9, 8))


def test_recurrent_convolutions() -> None:
    tf.keras.utils.set_random_seed(0)
    parts = [layers.ConvLSTM2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
    agrees(tf.keras.Sequential([tf.keras.Input((5, 16, 16, 3)), *parts]), 17, (5, 16, 16, 3))


def agrees(model: Any, opset: int, shape: tuple[int, ...]) -> None:
    """Hold scores and gradients by ONNX against GradientTape's, for images (channels last) or rows of a signal."""
    signature = [tf.TensorSpec((None, *shape), tf.float32, name="images")]
    exported, _ = tf2onnx.convert.from_function(
        tf.function(lambda images: model(images, training=False), input_signature=signature), signature, opset=opset
    )
    rows = len(shape) == 2  # nothing tells a signal's channels from its samples
    box = bx.wrap(exported, cache=False, shape=shape if rows else (shape[-1], *shape[:-1]))
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")
    rng = np.random.default_rng(1)
    images = rng.random((6, *box.spec.shape), dtype=np.float32)
    weights = rng.standard_normal((6, 10)).astype(np.float32)
    leaf = tf.constant(images if rows else np.moveaxis(images, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        scores = model(leaf, training=False)
        total = tf.reduce_sum(scores * weights)
    expected = tape.gradient(total, leaf).numpy()
    found_scores, found = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(found_scores, scores.numpy(), atol=1e-5)
    # Both are in single precision, in which a unit may flip.
    wanted = expected if rows else np.moveaxis(expected, -1, 1)
    assert np.median(error(found.astype(np.float64), wanted.astype(np.float64))) <= 2e-5
