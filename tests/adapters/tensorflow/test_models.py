"""Models of every kind: the same scores and gradients, traced once, and nothing changed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.tensorflow import models
from tests.adapters.tensorflow.models import CLASSES, SHAPE, keras, tf

# Keras saves by what NumPy will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).random((5, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((5, CLASSES)).astype(np.float32)


@pytest.fixture(scope="module")
def small_box() -> Any:
    return bx.wrap(models.sequential())


def loaded(folder: Path) -> Any:
    return tf.saved_model.load(str(models.saved(folder / "saved")))


def file(name: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        models.sequential().save(folder / name)
        return folder / name

    return make


FORMS: dict[str, Callable[[Path], Any]] = {
    "sequential": lambda _folder: models.sequential(),
    "sequential without input": lambda _folder: models.without_input(),
    "functional": lambda _folder: models.functional(),
    "subclassed": lambda _folder: models.subclassed(),
    "keras file": file("model.keras"),
    "h5 file": file("model.h5"),
    "module": lambda _folder: models.Module(),
    "module with signature": lambda _folder: models.Signed(),
    "function": lambda _folder: models.function(),
    "concrete function": lambda _folder: models.concrete(),
    "concrete function of two images": lambda _folder: models.concrete(batch=2),
    "SavedModel folder": lambda folder: models.saved(folder / "saved"),
    "loaded SavedModel": loaded,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_scores_and_gradients(
    form: str, images: np.ndarray, weights: np.ndarray, tmp_path: Path
) -> None:
    box: Any = bx.wrap(FORMS[form](tmp_path), shape=SHAPE)
    expected, slope = models.reference(images, weights)
    scores, gradient = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, slope, atol=1e-6)
    assert box.activation == "softmax"
    assert any("channels last" in sentence for sentence in box.assumptions)


@pytest.mark.parametrize("normal", [{"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4), "channels": "BGR"}, {"std": 0.5}])
def test_preprocessing_is_differentiated_through(normal: Any, images: np.ndarray, weights: np.ndarray) -> None:
    rules = bx.Preprocessing(**normal)
    box: Any = bx.wrap(models.sequential(), preprocessing=rules)
    expected, slope = models.reference(rules.forward(images).astype(np.float32), weights)
    scores, gradient = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, rules.adjoint(slope), atol=1e-5)


def test_gradients_against_differences_in_double_precision() -> None:
    matrix = tf.constant(np.random.default_rng(0).standard_normal((3, CLASSES)))

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 5, 3), tf.float64)])
    def function(images: Any) -> Any:
        return tf.tanh(tf.reduce_sum(tf.sin(3 * images), axis=[1, 2])) @ matrix

    box: Any = bx.wrap(function, preprocessing=bx.Preprocessing(mean=0.3, std=0.7))
    rng = np.random.default_rng(3)
    images, weights = rng.random((2, 3, 6, 5)), rng.standard_normal((2, CLASSES))
    gradient = box.scores_and_gradient(images, weights)[1]
    for _ in range(5):
        way = rng.standard_normal(images.shape)
        ahead, behind = (np.sum(box.scores(images + sign * 1e-5 * way) * weights) for sign in (1, -1))
        assert (ahead - behind) / 2e-5 == pytest.approx(np.sum(gradient * way), rel=1e-6, abs=1e-9)


def test_nothing_is_traced_again_in_the_loop(images: np.ndarray) -> None:
    module = models.Module()
    box: Any = bx.wrap(module, shape=SHAPE)
    assert module.traces == 1
    for count in (5, 1, 3, 2):
        box.scores(images[:count])
        box.scores_and_gradient(images[:count], np.ones((count, CLASSES), np.float32))
    # With a tolerance rows leave the batch, so that it shrinks.
    options: dict[str, Any] = {"preset": "authors", "steps": 40, "tolerance": 5e-3}
    result = bx.explain(box, images, progress=False, batch_size=3, **options)
    ends = np.isfinite(result.history).sum(axis=1)
    assert len(set(ends.tolist())) > 1
    assert module.traces == 1


def test_keras_is_not_traced_again_in_the_loop(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    traces: list[int] = []
    call = models.Subclassed.call

    def counted(self: Any, images: Any, training: bool | None = None) -> Any:
        traces.append(1)
        return call(self, images, training=training)

    model = models.subclassed()
    monkeypatch.setattr(model, "call", counted.__get__(model))
    box = bx.wrap(model, shape=SHAPE)
    bx.explain(box, images, progress=False, preset="authors", steps=40, tolerance=5e-3, batch_size=3)
    assert len(traces) == 1


def test_a_model_that_was_just_fitted(images: np.ndarray, weights: np.ndarray) -> None:
    model = keras.Sequential(models.layers())
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.moveaxis(images, 1, -1), np.arange(5) % CLASSES, verbose=0)
    before = [one.numpy().copy() for one in model.variables]
    optimizer, trainable = model.optimizer, [one.trainable for one in model.layers]
    model.layers[0].trainable = False
    box: Any = bx.wrap(model)
    expected = tf.nn.softmax(model.predict(np.moveaxis(images, 1, -1), verbose=0)).numpy()
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    bx.explain(box, images[:2], progress=False, steps=2)
    assert model.optimizer is optimizer
    assert [one.trainable for one in model.layers] == [False, *trainable[1:]]
    for one, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(one.numpy(), value)


def test_a_model_that_trains_on_is_followed(images: np.ndarray) -> None:
    model = models.sequential()
    box: Any = bx.wrap(model)
    before, first = box.scores(images), box.fingerprint()
    model.weights[-1].assign(model.weights[-1] + [1.0, 0.0, 0.0, 0.0])
    assert (box.scores(images)[:, 0] > before[:, 0]).all()
    assert box.fingerprint() != first


def test_fingerprints_are_of_what_is_computed(tmp_path: Path) -> None:
    model = models.functional()
    model.save(tmp_path / "model.keras")
    names = [bx.wrap(one).fingerprint() for one in (model, tmp_path / "model.keras", models.functional())]
    assert len(set(names)) == 1
    assert bx.wrap(models.concrete()).fingerprint() == bx.wrap(models.concrete()).fingerprint()
    other = models.sequential()
    other.layers[2].activation = keras.activations.relu
    assert bx.wrap(other).fingerprint() != bx.wrap(models.sequential()).fingerprint()


def test_arrays_come_back_as_what_they_were(images: np.ndarray, weights: np.ndarray) -> None:
    torch = models.required("torch")
    box: Any = bx.wrap(models.sequential())
    expected, slope = box.scores_and_gradient(images, weights)
    for given in (torch.tensor(images), torch.tensor(images)[:, :, :, :], torch.tensor(images, requires_grad=True)):
        scores, gradient = box.scores_and_gradient(given, torch.tensor(weights))
        assert isinstance(scores, torch.Tensor)
        np.testing.assert_allclose(scores.numpy(), expected, atol=1e-7)
        np.testing.assert_allclose(gradient.numpy(), slope, atol=1e-7)
    scores, gradient = box.scores_and_gradient(tf.constant(images), tf.constant(weights))
    assert tf.is_tensor(scores)
    np.testing.assert_allclose(gradient.numpy(), slope, atol=1e-7)
    assert box.scores(tf.constant(images)[:0]).shape == (0, CLASSES)
    assert box.scores(images.astype(np.float64)).dtype == np.float64
    with pytest.raises(InputError, match="do not fit"):
        box.scores(tf.zeros((2, 12, 10, 3)))


@pytest.mark.parametrize("offset", range(0, 64, 4))
def test_memory_may_begin_anywhere(offset: int, small_box: Any, images: np.ndarray) -> None:
    torch = models.required("torch")
    room = np.zeros(images.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    moved = room[start : start + images.nbytes].view(np.float32).reshape(images.shape)
    moved[...] = images
    assert moved.ctypes.data % 64 == offset
    for given in (moved, torch.from_numpy(moved)):
        np.testing.assert_allclose(np.asarray(small_box.scores(given)), small_box.scores(images), atol=1e-6)


def test_keras_boxes_are_pickled_and_others_say_why_not(images: np.ndarray) -> None:
    normal = bx.Preprocessing(mean=0.5, std=0.25)
    box: Any = bx.wrap(models.functional(), preprocessing=normal, class_names=list("abcd"))
    again = pickle.loads(pickle.dumps(box))  # noqa: S301 - made here
    assert again.spec == box.spec
    np.testing.assert_allclose(again.scores(images), box.scores(images), atol=1e-6)
    for model in (models.Module(), models.subclassed()):
        with pytest.raises(UnsupportedModelError, match="cannot be pickled"):
            pickle.dumps(bx.wrap(model, shape=SHAPE))


def test_layouts_are_read_off_the_shape(images: np.ndarray) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 3, 12, 10))])
    def first(images: Any) -> Any:
        return tf.reduce_mean(images, axis=[2, 3])

    box: Any = bx.wrap(first)
    assert box.spec.preprocessing.layout == "channels_first"
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)), atol=1e-6)

    class Unsaid(tf.Module):
        def __call__(self, images: Any) -> Any:
            return tf.reduce_mean(tf.ensure_shape(images, (None, 3, 12, 10)), axis=[2, 3])

    box = bx.wrap(Unsaid(), shape=SHAPE)
    assert box.spec.preprocessing.layout == "channels_first"
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)), atol=1e-6)
    with pytest.raises(InputError, match="another shape"):
        bx.wrap(first, shape=(3, 10, 12))


@pytest.mark.parametrize("sizes", [(12, 10), (120,)])
def test_images_without_channels_and_rows_of_numbers(sizes: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(sizes), keras.layers.Flatten(), keras.layers.Dense(3)])
    box: Any = bx.wrap(model, shape=(1, 12, 10), activation="none")
    images = np.random.default_rng(0).random((2, 1, 12, 10), dtype=np.float32)
    np.testing.assert_allclose(box.scores(images), model(images.reshape(2, *sizes)).numpy(), atol=1e-6)
    assert any("reshaped" in sentence for sentence in box.assumptions)
    assert box.scores_and_gradient(images, np.ones((2, 3), np.float32))[1].shape == images.shape


def test_signals_and_volumes() -> None:
    for shape in ((2, 30), (2, 6, 5, 4)):
        rank = len(shape) - 1
        model = keras.Sequential(
            [
                keras.Input((*shape[1:], shape[0])),
                (keras.layers.Conv1D if rank == 1 else keras.layers.Conv3D)(4, 3),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        box: Any = bx.wrap(model)
        assert box.spec.shape == shape
        images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
        expected = tf.nn.softmax(model(np.moveaxis(images, 1, -1))).numpy()
        np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)


def bytes_keras() -> Any:
    image = keras.Input((12, 10, 3), dtype="uint8")
    outputs = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for layer in models.layers():
        outputs = layer(outputs)
    return models.seeded(keras.Model(image, outputs))


def bytes_saved(folder: Path) -> Any:
    model = models.sequential()

    class Bytes(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), tf.uint8)])
        def __call__(self, images: Any) -> Any:
            moved = tf.reverse(images, axis=[2])
            return self.model(tf.image.convert_image_dtype(moved, tf.float32)[:, :, ::-1] * 2 - 1, training=False)

    tf.saved_model.save(Bytes(), str(folder / "bytes"))
    return folder / "bytes"


@pytest.mark.parametrize("make", [lambda _folder: bytes_keras(), bytes_saved])
def test_models_that_read_bytes_have_the_gradient_before_the_cast(
    make: Any, weights: np.ndarray, tmp_path: Path
) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (5, *SHAPE))
    images = (whole / 255).astype(np.float32)
    box: Any = bx.wrap(make(tmp_path))
    expected, slope = models.reference((whole / 127.5 - 1).astype(np.float32), weights)
    scores, gradient = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    np.testing.assert_allclose(gradient, 2 * slope, atol=5e-6)
    np.testing.assert_allclose(box.scores(images + 0.3 / 255), expected, atol=2e-6)
    assert any("bytes" in sentence for sentence in box.assumptions)


def test_bytes_that_are_computed_with_have_no_gradient() -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), tf.int32)])
    def function(images: Any) -> Any:
        return tf.cast(tf.reduce_sum(images * images, axis=[1, 2]), tf.float32)

    box: Any = bx.wrap(function)
    assert not hasattr(box, "scores_and_gradient")
    assert "computes with bytes" in str(box.no_gradient)
    assert "Mul" in str(box.no_gradient)


@pytest.mark.parametrize(
    ("outputs", "note"),
    [
        (lambda scores: (scores, tf.zeros(2)), "the output '0'"),
        (lambda scores: {"embedding": tf.zeros((1, 9)), "logits": scores}, "'logits'"),
        (lambda scores: {"anything": scores}, ""),
        (lambda scores: scores[:, None, None, :], ""),
    ],
)
def test_scores_among_other_outputs(outputs: Any, note: str, images: np.ndarray) -> None:
    function = tf.function(lambda images: outputs(tf.reduce_mean(images, axis=[1, 2])), autograph=False)
    box: Any = bx.wrap(function, shape=SHAPE)
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)), atol=1e-6)
    assert note in " ".join(box.assumptions)


def test_activations(images: np.ndarray) -> None:
    mean = images.mean(axis=(2, 3)) * 8 - 4
    function = tf.function(lambda images: tf.reduce_mean(images, axis=[1, 2]) * 8 - 4, autograph=False)
    exponents = np.exp(mean)
    expected = {
        "none": mean,
        "sigmoid": 1 / (1 + np.exp(-mean)),
        "softmax": exponents / exponents.sum(axis=1, keepdims=True),
        "log_softmax": mean - np.log(exponents.sum(axis=1, keepdims=True)),
    }
    for name, scores in expected.items():
        box: Any = bx.wrap(function, shape=SHAPE, activation=name)
        np.testing.assert_allclose(box.scores(images), scores, atol=1e-5)
    probable = keras.Sequential([models.sequential(), keras.layers.Softmax()])
    box = bx.wrap(probable)
    assert box.activation == "none"
    assert any("ends in a softmax" in sentence for sentence in box.assumptions)
    lone = tf.function(lambda images: tf.reduce_mean(images, axis=[1, 2, 3]) * 8 - 4, autograph=False)
    box = bx.wrap(lone, shape=SHAPE)
    assert box.activation == "sigmoid"
    assert box.scores(images).shape == (5, 1)


def test_plain_python_that_asks_tensors(images: np.ndarray) -> None:
    class Asks(tf.Module):
        def __call__(self, images: Any) -> Any:
            means = tf.reduce_mean(images, axis=[1, 2])
            if tf.reduce_mean(means) > 100.0:
                return means * 0
            return means

    np.testing.assert_allclose(bx.wrap(Asks(), shape=SHAPE).scores(images), images.mean(axis=(2, 3)), atol=1e-6)


def test_a_graph_that_only_claims_a_free_batch(images: np.ndarray) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3))])
    def function(images: Any) -> Any:
        return tf.reshape(tf.reduce_mean(tf.reshape(images, (120, 3)), axis=0), (1, 3))

    box: Any = bx.wrap(function)
    np.testing.assert_allclose(box.scores(images), images.mean(axis=(2, 3)), atol=1e-6)
    assert any("one image at a time" in sentence for sentence in box.assumptions)


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_a_fixed_batch_is_padded_and_cropped(count: int, images: np.ndarray, weights: np.ndarray) -> None:
    box: Any = bx.wrap(models.concrete(batch=4))
    expected, slope = models.reference(images, weights)
    scores, gradient = box.scores_and_gradient(images[:count], weights[:count])
    np.testing.assert_allclose(scores, expected[:count], atol=1e-6)
    np.testing.assert_allclose(gradient, slope[:count], atol=1e-6)
