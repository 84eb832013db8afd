"""Small models of every kind that TensorFlow has, all of one function: the same weights, the same scores."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def required(name: str) -> Any:
    """Import a module; without it skip, or fail where REQUIRE_BACKENDS=1."""
    return importlib.import_module(name) if os.environ.get("REQUIRE_BACKENDS") == "1" else pytest.importorskip(name)


tf, keras = required("tensorflow"), required("keras")

SHAPE = (3, 12, 10)
CLASSES = 4


def layers() -> list[Any]:
    return [
        keras.layers.Conv2D(6, 3, strides=2, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.Activation("swish"),
        keras.layers.DepthwiseConv2D(3, padding="same"),
        keras.layers.Dropout(0.5),
        keras.layers.Flatten(),
        keras.layers.Dense(CLASSES),
    ]


def seeded(model: Any) -> Any:
    rng = np.random.default_rng(0)
    for variable in model.weights:
        low, high = (0.5, 1.5) if "variance" in variable.name or "gamma" in variable.name else (-0.3, 0.3)
        if variable.dtype != "uint32" and "seed" not in variable.name:
            variable.assign(rng.uniform(low, high, variable.shape))
    return model


def sequential() -> Any:
    return seeded(keras.Sequential([keras.Input((12, 10, 3)), *layers()]))


def without_input() -> Any:
    model = keras.Sequential(layers())
    model.build((None, 12, 10, 3))
    return seeded(model)


def functional() -> Any:
    image = outputs = keras.Input((12, 10, 3))
    for layer in layers():
        outputs = layer(outputs)
    return seeded(keras.Model(image, outputs))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.parts = layers()

    def call(self, images: Any, training: bool | None = None) -> Any:
        for layer in self.parts:
            takes = "training" in layer.call.__code__.co_varnames
            images = layer(images, training=training) if takes else layer(images)
        return images


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((2, 12, 10, 3), np.float32))
    return seeded(model)


class Module(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = sequential()
        self.traces = 0

    def __call__(self, images: Any, training: bool = True) -> Any:
        self.traces += 1
        return self.model(images, training=training)


class Signed(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = sequential()

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), tf.float32)])
    def __call__(self, images: Any) -> Any:
        return {"logits": self.model(images, training=False), "embedding": tf.reduce_mean(images, axis=[1, 2])}


def function() -> Any:
    model = sequential()
    made = tf.function(lambda images: model(images, training=False), autograph=False)
    made.model = model
    return made


def concrete(batch: int | None = None) -> Any:
    made = function()
    found = made.get_concrete_function(tf.TensorSpec((batch, 12, 10, 3), tf.float32))
    found.model = made.model
    return found


def saved(folder: Path) -> Path:
    sequential().export(folder, verbose=False)
    return folder


def reference(images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and gradient by a tape of our own, channels first."""
    model = sequential()
    leaf = tf.constant(np.moveaxis(images, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        scores = tf.nn.softmax(model(leaf, training=False))
        total = tf.reduce_sum(scores * weights)
    return scores.numpy(), np.moveaxis(tape.gradient(total, leaf).numpy(), -1, 1)
