"""Boxes of logits: what the last activation is applied to, be it the box's own or the model's."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.tensorflow.models import CLASSES, Signed, functional, keras, seeded, sequential, tf
from tests.kinds import kept

IMAGES = np.random.default_rng(0).random((3, 3, 12, 10), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((3, CLASSES)).astype(np.float32)


def ended(make: Any, *behind: Any) -> Any:
    """Return a model with more layers at its end; its weights are those of the model without them."""
    whole = make()
    outputs = whole.outputs[0]
    for layer in behind:
        outputs = layer(outputs)
    return keras.Model(whole.inputs, outputs)


def chain(*behind: Any) -> Any:
    return keras.Sequential([keras.Input((12, 10, 3)), *sequential().layers, *behind])


def with_activation(name: str) -> Any:
    model = sequential()
    config = model.layers[-1].get_config()
    last = keras.layers.Dense.from_config({**config, "activation": name})
    made = keras.Sequential([keras.Input((12, 10, 3)), *model.layers[:-1], last])
    last.set_weights(model.layers[-1].get_weights())
    return made


def by_tape() -> tuple[np.ndarray, np.ndarray]:
    """Return logits and d Σ(weights · logits) / d images, channels first."""
    model = sequential()
    leaf = tf.constant(np.moveaxis(IMAGES, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        logits = model(leaf, training=False)
        total = tf.reduce_sum(logits * WEIGHTS)
    return logits.numpy(), np.moveaxis(tape.gradient(total, leaf).numpy(), -1, 1)


LAYERS = keras.layers
MODELS = {
    "functional, ours": functional,
    "sequential, ours": sequential,
    "functional, a last layer": lambda: ended(functional, LAYERS.Softmax()),
    "sequential, a last layer": lambda: chain(LAYERS.Softmax()),
    "sequential, an activation layer": lambda: chain(LAYERS.Activation("softmax")),
    "sequential, in the last dense": lambda: with_activation("softmax"),
    "sigmoid in the last dense": lambda: with_activation("sigmoid"),
    "logarithms": lambda: with_activation("log_softmax"),
    "moved afterwards": lambda: chain(LAYERS.Softmax(), LAYERS.Reshape((1, 1, CLASSES)), LAYERS.Permute((2, 1, 3))),
}


@pytest.mark.parametrize("name", kept(MODELS, "functional, a last layer", "sequential, in the last dense"))
def test_logits_of_keras_models(name: str) -> None:
    box: Any = bx.wrap(MODELS[name]())
    made = box.with_backward("exact", of="logits")
    logits, slopes = by_tape()
    scores, gradient = made.scores_and_gradient(IMAGES, WEIGHTS)
    np.testing.assert_allclose(scores, logits, atol=1e-5)
    np.testing.assert_allclose(made.scores(IMAGES), logits, atol=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-5)
    assert np.abs(box.scores(IMAGES) - logits).max() > 0.1
    assert (made.activation, made.spec) == ("none", box.spec)
    assert made.fingerprint() != box.fingerprint()


@pytest.mark.parametrize("name", ["sequential, ours", "functional, a last layer", "sequential, in the last dense"])
def test_the_box_of_logits_can_be_looked_into(name: str) -> None:
    made: Any = bx.wrap(MODELS[name]()).with_backward("exact", of="logits")  # type: ignore[attr-defined]
    assert isinstance(made, bx.Layered)
    layers = made.layers()
    flat = next(one.name for one in layers if one.kind == "Flatten")
    values, slopes = made.inner(IMAGES, WEIGHTS, [flat])[flat]
    kernel, bias = sequential().layers[-1].get_weights()
    np.testing.assert_allclose(values @ kernel + bias, by_tape()[0], atol=1e-5)
    np.testing.assert_allclose(slopes, WEIGHTS @ kernel.T, atol=1e-5)
    if name != "sequential, ours":
        with pytest.raises(UnsupportedModelError, match="has no gradient"):
            made.inner(IMAGES, WEIGHTS, [layers[-1].name])  # it gives the softmax, which is left out


def test_weights_follow_the_model_and_the_pickle_holds_logits() -> None:
    model = with_activation("softmax")
    made: Any = bx.wrap(model).with_backward("exact", of="logits")  # type: ignore[attr-defined]
    again: Any = pickle.loads(pickle.dumps(made))  # noqa: S301 - made here
    np.testing.assert_allclose(again.scores(IMAGES), made.scores(IMAGES), atol=1e-6)
    assert (again.activation, again.fingerprint()) == ("none", made.fingerprint())
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + 1])
    np.testing.assert_allclose(made.scores(IMAGES), by_tape()[0] + 1, atol=1e-5)
    np.testing.assert_allclose(made.with_backward("exact", of="logits").scores(IMAGES), by_tape()[0] + 1, atol=1e-5)
    assert made.with_backward("exact") is made


def test_a_saved_model_that_ends_in_a_softmax(tmp_path: Path) -> None:
    with_activation("softmax").export(tmp_path, verbose=False)
    made: Any = bx.wrap(tmp_path).with_backward("exact", of="logits")  # type: ignore[attr-defined]
    logits, slopes = by_tape()
    scores, gradient = made.scores_and_gradient(IMAGES, WEIGHTS)
    np.testing.assert_allclose(scores, logits, atol=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-5)
    assert any("weights that the model had" in one for one in made.assumptions)


def test_a_module_of_its_own_function() -> None:
    box: Any = bx.wrap(Signed(), output="logits")
    np.testing.assert_allclose(box.with_backward("exact", of="logits").scores(IMAGES), by_tape()[0], atol=1e-5)


def test_what_a_box_cannot_do_is_said() -> None:
    average = seeded(
        keras.Sequential(
            [keras.Input((12, 10, 3)), LAYERS.Conv2D(CLASSES, 3, activation="softmax"), LAYERS.GlobalAveragePooling2D()]
        )
    )
    with pytest.raises(UnsupportedModelError, match=r"ends in a softmax that cannot be left out.*averages"):
        bx.wrap(average).with_backward("exact", of="logits")  # type: ignore[attr-defined]
    box: Any = bx.wrap(sequential())
    with pytest.raises(UnsupportedModelError, match=r"rules='guided'.*tf2onnx, and wrap the file"):
        box.with_backward("guided")
    with pytest.raises(InputError, match="'scores' or 'logits'"):
        box.with_backward("exact", of="outputs")
    with pytest.raises(InputError, match="no settings"):
        box.with_backward("exact", epsilon=1)


def test_scores_of_unknown_make_are_taken_for_logits_and_it_is_said() -> None:
    spots = tf.function(lambda images: tf.clip_by_value(tf.reduce_mean(images, (1, 2)), 0, 1), autograph=False)
    box: Any = bx.wrap(spots, shape=(3, 12, 10), preprocessing=bx.Preprocessing(layout="channels_last"))
    made = box.with_backward("exact", of="logits")
    np.testing.assert_array_equal(made.scores(IMAGES), box.scores(IMAGES))
    assert any("taken for the logits" in one for one in made.assumptions)
