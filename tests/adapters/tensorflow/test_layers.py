"""Layers of Keras models: values and gradients inside, and a model that stays as it was."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import UnsupportedModelError
from tests.adapters.tensorflow.models import CLASSES, functional, keras, seeded, sequential, tf, without_input

IMAGES = np.random.default_rng(0).random((3, 3, 12, 10), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((3, CLASSES)).astype(np.float32)


@keras.saving.register_keras_serializable()
class Blocks(keras.Model):
    """A block inside a model, a layer that is called twice, and one that is never called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.block = keras.Sequential(
            [keras.layers.Conv2D(4, 3, padding="same", name="conv"), keras.layers.ReLU(name="relu")], name="block"
        )
        self.twice = keras.layers.Activation("sigmoid", name="twice")
        self.unused = keras.layers.Activation("relu", name="unused")
        self.head = keras.layers.Dense(CLASSES, name="head")

    def call(self, images: Any, training: bool = False) -> Any:
        inner = self.twice(self.block(images))
        return self.head(self.twice(tf.reduce_mean(inner, (1, 2))))


def blocks() -> Any:
    model = Blocks()
    model(np.zeros((1, 12, 10, 3), np.float32))
    return seeded(model)


def by_tape(model: Any, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a layer of a chain of layers gives, and the gradient by it: from there on the others are run."""
    values: Any = tf.transpose(tf.constant(IMAGES), [0, 2, 3, 1])
    for layer in model.layers[: start + 1]:
        values = layer(values, training=False) if "training" in layer._call_signature.parameters else layer(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = values
        for layer in model.layers[start + 1 :]:
            outputs = layer(outputs)
        total = tf.reduce_sum(tf.nn.softmax(outputs) * WEIGHTS)
    return values.numpy(), tape.gradient(total, values).numpy()


def test_layers_in_the_order_in_which_they_are_done() -> None:
    model = sequential()
    box = bx.wrap(model, activation="softmax")
    assert isinstance(box, bx.Layered)
    layers = box.layers()
    assert [one.name for one in layers] == [one.name for one in model.layers]
    assert (layers[0].kind, layers[0].shape) == ("Conv2D", (6, 6, 5))
    assert (layers[-1].kind, layers[-1].shape) == ("Dense", (CLASSES,))


@pytest.mark.parametrize("start", [0, 2, 3, 5, 6])
def test_values_and_gradients_are_those_of_the_tape(start: int) -> None:
    model = sequential()
    box: Any = bx.wrap(model, activation="softmax")
    name = model.layers[start].name
    found = box.inner(IMAGES, WEIGHTS, [name])[name]
    for one, expected in zip(found, by_tape(model, start), strict=True):
        if expected.ndim == 4:
            expected = expected.transpose(0, 3, 1, 2)  # maps come channels first, as images do
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_inner_layers_are_named_by_the_way_to_them() -> None:
    box: Any = bx.wrap(blocks())
    assert {one.name for one in box.layers()} >= {"block", "twice", "head"}
    values, slopes = box.inner(IMAGES, WEIGHTS, ["block/conv"])["block/conv"]
    assert values.shape == slopes.shape == (3, 4, 12, 10)
    # Of a layer that is called twice the last.
    assert box.inner(IMAGES, WEIGHTS, ["twice"])["twice"][0].shape == (3, 4)


def test_several_at_once_alone_and_as_tensors() -> None:
    model = functional()
    box: Any = bx.wrap(model)
    first, last = model.layers[1].name, model.layers[-1].name
    together = box.inner(tf.constant(IMAGES), tf.constant(WEIGHTS), [last, first])
    assert list(together) == [last, first]
    assert tf.is_tensor(together[first][0])
    for row in range(3):
        alone = box.inner(IMAGES[row : row + 1], WEIGHTS[row : row + 1], [first])[first]
        for one, part in zip(together[first], alone, strict=True):
            np.testing.assert_allclose(one[row], part[0], atol=1e-6)


@pytest.mark.parametrize("make", [sequential, functional, without_input, blocks])
def test_the_model_stays_as_it_was(make: Any) -> None:
    model = make()
    before = [value.copy() for value in model.get_weights()]
    box: Any = bx.wrap(model)
    name = box.layers()[0].name
    box.inner(IMAGES, WEIGHTS, [name])
    flat = list(model._flatten_layers())
    assert not any("call" in vars(layer) for layer in flat)
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))
    again: Any = pickle.loads(pickle.dumps(box))  # noqa: S301 - made here
    assert again.layers() == box.layers()


def test_a_layer_whose_call_was_replaced_keeps_the_replacement() -> None:
    model = sequential()
    layer, own = model.layers[2], lambda images: tf.nn.relu(images)
    vars(layer)["call"] = own
    box: Any = bx.wrap(model)
    values, _ = box.inner(IMAGES, WEIGHTS, [layer.name])[layer.name]
    assert (values >= 0).all()
    assert vars(layer)["call"] is own


def test_what_is_refused() -> None:
    box: Any = bx.wrap(blocks())
    with pytest.raises(UnsupportedModelError, match=r"no such layer. Got 'blok'; expected 'block'"):
        box.inner(IMAGES, WEIGHTS, ["blok"])
    with pytest.raises(UnsupportedModelError, match="'unused'; expected one between the images and the scores"):
        box.inner(IMAGES, WEIGHTS, ["unused"])
    # A trace that fails leaves nothing behind either.
    assert not any("call" in vars(layer) for layer in box._parts.owner._flatten_layers())


def test_bytes_are_no_hindrance() -> None:
    image = keras.Input((12, 10, 3), dtype="uint8")
    inner = keras.layers.Conv2D(4, 3, name="inner")(keras.layers.Rescaling(1 / 255)(image))
    outputs = keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling2D()(inner))
    box: Any = bx.wrap(seeded(keras.Model(image, outputs)))
    values, slopes = box.inner(IMAGES, WEIGHTS, ["inner"])["inner"]
    assert values.shape == (3, 4, 10, 8)
    assert np.abs(slopes).max() > 0


def test_a_saved_model_has_no_layers_to_ask_for(tmp_path: Any) -> None:
    sequential().export(str(tmp_path / "saved"), verbose=False)
    box = bx.wrap(str(tmp_path / "saved"))
    assert isinstance(box, bx.Differentiable)
    assert not isinstance(box, bx.Layered)


class Windows(keras.Model):
    """Cuts the images into windows that lie in one batch, and has a layer that is the same for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = keras.layers.Activation("relu", name="windows")
        self.position = keras.layers.Activation("sigmoid", name="position")
        self.first = keras.layers.Conv2D(4, 3, padding="same", name="conv")
        self.second = keras.layers.Conv2D(4, 3, padding="same", name="conv")
        self.head = keras.layers.Dense(CLASSES, name="head")

    def call(self, images: Any) -> Any:
        maps = self.second(self.first(images))
        parts = self.windows(tf.reshape(maps, (-1, 6, 10, 4)))
        whole = tf.reshape(parts, (-1, 12, 10, 4)) + self.position(tf.ones((1, 12, 10, 4)))
        return self.head(tf.reduce_mean(whole, (1, 2)))


def windows() -> Any:
    model = Windows()
    model(np.zeros((1, 12, 10, 3), np.float32))
    return seeded(model)


def test_layers_without_a_row_for_each_image_are_none() -> None:
    box: Any = bx.wrap(windows())
    names = [one.name for one in box.layers()]
    assert "windows" not in names
    assert "position" not in names
    for name in ("windows", "position"):
        with pytest.raises(UnsupportedModelError, match=f"not a row for each image. Got '{name}'"):
            box.inner(IMAGES, WEIGHTS, [name])


def test_layers_of_one_name_are_told_apart() -> None:
    model = windows()
    box: Any = bx.wrap(model)
    assert [one.name for one in box.layers() if one.kind == "Conv2D"] == ["conv", "conv (2)"]
    found = box.inner(IMAGES, WEIGHTS, ["conv", "conv (2)"])
    first = model.first(IMAGES.transpose(0, 2, 3, 1))
    for name, expected in (("conv", first), ("conv (2)", model.second(first))):
        np.testing.assert_allclose(found[name][0], expected.numpy().transpose(0, 3, 1, 2), atol=1e-6)


def test_channels_are_where_the_layer_says_they_are() -> None:
    image = keras.Input((3, 12, 10))
    last = keras.layers.Permute((2, 3, 1), name="turned")(image)
    maps = keras.layers.Conv2D(5, 3, padding="same", data_format="channels_last", name="conv")(last)
    active = keras.layers.Activation("relu", name="active")(maps)
    summed = keras.layers.Add(name="summed")([maps, active])
    outputs = keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling2D(data_format="channels_last")(summed))
    model = seeded(keras.Model(image, outputs))
    box: Any = bx.wrap(model, preprocessing=bx.Preprocessing(layout="channels_first"), shape=(3, 12, 10))
    assert {one.name: one.shape for one in box.layers() if one.name in ("conv", "active", "summed")} == dict.fromkeys(
        ("conv", "active", "summed"), (5, 12, 10)
    )
    values, slopes = box.inner(IMAGES, WEIGHTS, ["active"])["active"]
    expected = np.maximum(model.get_layer("conv")(IMAGES.transpose(0, 2, 3, 1)).numpy(), 0)
    np.testing.assert_allclose(values, expected.transpose(0, 3, 1, 2), atol=1e-6)
    assert np.abs(slopes).max() > 0


def test_heads_of_attention_are_no_maps() -> None:
    image = keras.Input((12, 10, 3))
    tokens = keras.layers.Reshape((30, 8), name="tokens")(keras.layers.Conv2D(8, 2, strides=2, name="patches")(image))
    attended = keras.layers.MultiHeadAttention(2, 4, flash_attention=False, name="attention")(tokens, tokens)
    model = seeded(keras.Model(image, keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling1D()(attended))))
    box: Any = bx.wrap(model)
    shapes = {one.name: one.shape for one in box.layers()}
    assert shapes["patches"] == (8, 6, 5)
    assert shapes["attention"] == (30, 8)
    assert shapes["attention/query"] == (30, 2, 4)


def test_threads_leave_the_model_as_it_was_and_find_the_same() -> None:
    model = sequential()
    boxes: list[Any] = [bx.wrap(model, activation="softmax") for _ in range(2)]
    names = [layer.name for layer in model.layers]
    expected = {name: boxes[0].inner(IMAGES, WEIGHTS, [name])[name] for name in names}

    def work(k: int) -> None:
        if k % 3 == 2:
            model(IMAGES.transpose(0, 2, 3, 1), training=False)
            return
        box: Any = bx.wrap(model, activation="softmax") if k % 3 else boxes[k % 2]
        found = box.inner(IMAGES, WEIGHTS, [names[k % len(names)]])[names[k % len(names)]]
        for one, other in zip(found, expected[names[k % len(names)]], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(18)))
    assert not any("call" in vars(layer) for layer in model._flatten_layers())
