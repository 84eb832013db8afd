"""The class scores among several outputs, and outputs that are no row of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.tensorflow.models import SHAPE, keras, tf

# Keras saves by what NumPy will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

IMAGES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
MEANS = IMAGES.mean(axis=(2, 3))


def function(outputs: Any) -> Any:
    return tf.function(lambda images: outputs(tf.reduce_mean(images, axis=[1, 2])), autograph=False)


@pytest.mark.parametrize(
    "outputs",
    [
        lambda scores: ((features := tf.concat([scores, scores], 1)), tf.matmul(features, PICK)),
        lambda scores: (scores, tf.argmax(scores, axis=1)),
        lambda scores: {"boxes": tf.tile(scores[:, :, None], (1, 1, 4)), "anything": scores},
        lambda scores: {"probabilities": scores, "embedding": tf.sin(scores)},
    ],
    ids=["features, logits", "scores, class", "boxes", "names"],
)
def test_scores_are_told_from_their_company(outputs: Any) -> None:
    box: Any = bx.wrap(function(outputs), shape=SHAPE, activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), MEANS, atol=1e-6)
    assert any("the class scores are the output" in one for one in box.assumptions)


PICK = np.eye(6, 3, dtype=np.float32)


def two(scores: Any) -> Any:
    return {"colour": tf.sin(scores), "shape": tf.concat([scores[:, :1], 1 - scores], 1)}


def test_two_heads_are_asked_for() -> None:
    with pytest.raises(UnsupportedModelError, match=r"'colour' .*'shape' .*output='colour' \(--output colour\)"):
        bx.wrap(function(two), shape=SHAPE)
    for wanted, count in (("colour", 3), ("shape", 4), (0, 3), (-1, 4), ("1", 4)):
        box: Any = bx.wrap(function(two), shape=SHAPE, output=wanted)
        assert box.scores(IMAGES).shape == (2, count)
    named: Any = bx.wrap(function(two), shape=SHAPE, class_names=list("abcd"))
    assert named.scores(IMAGES).shape == (2, 4)
    with pytest.raises(InputError, match=r"no such output.*'colour'"):
        bx.wrap(function(two), shape=SHAPE, output="size")


def headed() -> Any:
    image = keras.Input((12, 10, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    heads = [keras.layers.Dense(count, name=name)(pooled) for name, count in (("species", 5), ("age", 2))]
    return keras.Model(image, heads)


def test_heads_of_keras_have_names(tmp_path: Path) -> None:
    model: Any = headed()
    model.save(tmp_path / "heads.keras")
    model.export(tmp_path / "saved", verbose=False)
    expected = tf.nn.softmax(model(np.moveaxis(IMAGES, 1, -1))[1]).numpy()
    for one in (model, tmp_path / "heads.keras"):
        with pytest.raises(UnsupportedModelError, match=r"'species' .*'age' "):
            bx.wrap(one)
        box: Any = bx.wrap(one, output="age")
        np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-6)
    saved: Any = bx.wrap(tmp_path / "saved", output=1)
    np.testing.assert_allclose(saved.scores(IMAGES), expected, atol=1e-6)


def test_scores_at_many_steps_are_no_classes() -> None:
    steps = tf.function(lambda x: tf.reshape(x, (-1, 120, 3))[:, :, :1], autograph=False)
    with pytest.raises(UnsupportedModelError, match=r"\(None, 120, 1\).*reduce=\('mean', 1\)") as caught:
        bx.wrap(steps, shape=SHAPE)
    assert "output=" not in str(caught.value)
    box: Any = bx.wrap(steps, shape=SHAPE, reduce=("mean", 1), activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), MEANS[:, :1], atol=1e-6)
    most: Any = bx.wrap(steps, shape=SHAPE, reduce=["max", [1]], activation="none")
    np.testing.assert_allclose(most.scores(IMAGES), IMAGES.max(axis=(2, 3))[:, :1], atol=1e-6)
    pair = tf.function(lambda x: {"steps": tf.reshape(x, (-1, 120, 3)), "map": x}, autograph=False)
    with pytest.raises(UnsupportedModelError, match="reduce=") as caught:
        bx.wrap(pair, shape=SHAPE, output="steps")
    assert "output=" not in str(caught.value)
    joined: Any = bx.wrap(pair, shape=SHAPE, output="steps", reduce=("mean", 1), activation="none")
    np.testing.assert_allclose(joined.scores(IMAGES), MEANS, atol=1e-6)
    for wrong in ("mean", ("median", 1), ("mean", [])):
        with pytest.raises(InputError, match="no reduction"):
            bx.wrap(steps, shape=SHAPE, reduce=wrong)
    with pytest.raises(InputError, match="join the scores of different images"):
        bx.wrap(steps, shape=SHAPE, reduce=("mean", 0))
    with pytest.raises(InputError, match="no such axis"):
        bx.wrap(steps, shape=SHAPE, reduce=("mean", 3))
