"""The public contract over every kind of TensorFlow model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blackbox_explain as bx
from blackbox_explain.testing import CHECKS, Case
from tests.adapters.tensorflow import models
from tests.adapters.tensorflow.models import keras, tf
from tests.kinds import kept


def state_of(model: Any) -> Callable[[], Any]:
    def state() -> Any:
        return [variable.numpy().tobytes() for variable in model.weights], [one.trainable for one in model.layers]

    return state


def keras_case(_folder: Path) -> Case:
    model = models.sequential()
    normal = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), channels="BGR")
    return Case(lambda: bx.wrap(model, preprocessing=normal), state=state_of(model))


def saved_model_case(folder: Path) -> Case:
    path = models.saved(folder / "saved")
    return Case(lambda: bx.wrap(path))


def module_case(_folder: Path) -> Case:
    module = models.Module()
    return Case(lambda: bx.wrap(module, shape=models.SHAPE), state=state_of(module.model))


def fixed_batch_case(_folder: Path) -> Case:
    function = models.concrete(batch=2)
    return Case(lambda: bx.wrap(function), state=state_of(function.model))


def half_precision_case(_folder: Path) -> Case:
    policy = keras.DTypePolicy("mixed_float16")
    parts = [keras.layers.Conv2D(6, 3, dtype=policy), keras.layers.GlobalAveragePooling2D(dtype=policy)]
    model = models.seeded(keras.Sequential([keras.Input((12, 10, 3)), *parts, keras.layers.Dense(4, dtype=policy)]))
    return Case(lambda: bx.wrap(model), state=state_of(model), tolerance=2e-3, gradient_tolerance=0.1)


def double_precision_case(_folder: Path) -> Case:
    weights = tf.random.stateless_normal((3, 4), seed=(0, 1), dtype=tf.float64)

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), tf.float64)])
    def function(images: Any) -> Any:
        return tf.reduce_mean(images**2, axis=[1, 2]) @ weights

    return Case(lambda: bx.wrap(function))


def scores_alone_case(_folder: Path) -> Case:
    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), tf.float32)])
    def function(images: Any) -> Any:
        whole = tf.cast(tf.round(255 * images), tf.int32)
        return tf.cast(tf.reduce_sum(whole, axis=[1, 2]), tf.float32) / 1e4

    return Case(lambda: bx.wrap(function), gradient=False)


CASES = [
    keras_case,
    saved_model_case,
    module_case,
    fixed_batch_case,
    half_precision_case,
    double_precision_case,
    scores_alone_case,
]


@pytest.fixture(
    scope="module",
    params=kept(CASES, keras_case),
    ids=lambda make: make.__name__.removesuffix("_case"),
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return request.param(tmp_path_factory.mktemp("contract"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract(check: Callable[[Case], None], case: Case) -> None:
    check(case)
