"""Gradients where there is no finite slope: of norms and spectrograms at silence, of logarithms and roots at 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from tests.adapters.tensorflow.models import SHAPE, tf

IMAGES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
IMAGES[:, :, :6] = 0
ONES = np.ones((2, 3), np.float32)
LIT = IMAGES > 0

CASES: dict[str, tuple[Any, Any]] = {
    "Sqrt": (lambda x: tf.sqrt(x), lambda x: 0.5 / np.sqrt(x)),
    "Sqrt of squares": (lambda x: tf.sqrt(x**2 + (2 * x) ** 2), lambda x: np.sqrt(5) * np.ones_like(x)),
    "Pow": (lambda x: x**0.3, lambda x: 0.3 * x**-0.7),
    "Log": (lambda x: tf.where(x > 0, tf.math.log(x), 0.0), lambda x: 1 / x),
    "RealDiv": (lambda x: tf.where(x > 0, tf.sin(x) / x, 1.0), lambda x: np.cos(x) / x - np.sin(x) / x**2),
}


def mean_of(inner: Any) -> Any:
    return tf.function(lambda images: tf.reduce_mean(inner(images), axis=[1, 2]), autograph=False)


def as_function(inner: Any, _folder: Path) -> Any:
    return mean_of(inner)


def as_inner_function(inner: Any, _folder: Path) -> Any:
    made = mean_of(inner).get_concrete_function(tf.TensorSpec((None, 12, 10, 3)))
    return tf.function(lambda images: 1.0 * made(images), autograph=False)


def as_saved(inner: Any, folder: Path) -> Any:
    module = tf.Module()
    module.called = mean_of(inner)
    signature = module.called.get_concrete_function(tf.TensorSpec((None, 12, 10, 3)))
    tf.saved_model.save(module, str(folder / "saved"), signatures=signature)
    return folder / "saved"


@pytest.mark.parametrize("form", [as_function, as_inner_function, as_saved])
@pytest.mark.parametrize("name", CASES)
def test_no_slope_is_a_slope_of_0(name: str, form: Any, tmp_path: Path) -> None:
    inner, slope = CASES[name]
    box: Any = bx.wrap(form(inner, tmp_path), shape=SHAPE, activation="none")
    scores, gradient = box.scores_and_gradient(IMAGES, ONES)
    expected = np.zeros_like(IMAGES)
    expected[LIT] = slope(IMAGES[LIT]) / 120
    np.testing.assert_allclose(gradient, expected, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(scores, box.scores(IMAGES), atol=1e-6)
    kind = name.split(" ", maxsplit=1)[0]
    assert any("no finite slope" in one and kind in one for one in box.assumptions)


def test_a_spectrogram_at_silence() -> None:
    def loudness(signal: Any) -> Any:
        frames = tf.signal.stft(tf.transpose(signal, [0, 2, 1])[:, 0], 16, 8)
        size = tf.sqrt(tf.math.real(frames) ** 2 + tf.math.imag(frames) ** 2)
        return tf.reduce_mean(size, axis=1)

    box: Any = bx.wrap(tf.function(loudness, autograph=False), shape=(1, 64), activation="none")
    silent = np.zeros((1, 1, 64), np.float32)
    silent[:, :, 40:] = np.sin(np.arange(24))
    weights = np.ones((1, box.scores(silent).shape[1]), np.float32)
    gradient = box.scores_and_gradient(silent, weights)[1]
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[:, :, 48:]).max() > 1e-2
    # The spectrum of silence has the slope 0, and frames before the sound hold nothing else.
    np.testing.assert_array_equal(gradient[:, :, :24], 0)


def test_slopes_that_exist_everywhere_are_not_spoken_of() -> None:
    def normalised(x: Any) -> Any:
        mean, variance = tf.nn.moments(x, axes=[1, 2, 3], keepdims=True)
        found = tf.reduce_mean((x - mean) * tf.math.rsqrt(variance + 1e-3), axis=[1, 2])
        powers = tf.exp(found)
        return powers / tf.reduce_sum(powers, axis=1, keepdims=True)

    box: Any = bx.wrap(tf.function(normalised, autograph=False), shape=SHAPE)
    assert not any("finite slope" in one for one in box.assumptions)


def test_a_gradient_that_is_nan_all_the_same_is_not_used() -> None:
    @tf.custom_gradient
    def broken(x: Any) -> Any:
        return x, lambda upstream: upstream / 0.0 * 0.0

    box: Any = bx.wrap(tf.function(lambda x: tf.reduce_mean(broken(x), axis=[1, 2]), autograph=False), shape=SHAPE)
    assert not hasattr(box, "scores_and_gradient")
    assert "not finite" in str(box.no_gradient)
    result = bx.explain(box, IMAGES, queries=100, progress=False)
    assert "not finite" in result.provenance.why_estimated
