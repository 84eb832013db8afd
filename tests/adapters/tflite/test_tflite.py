"""TensorFlow Lite: what goes into an interpreter, what comes out, and what is refused."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from benchmarks.common.photos import data_folder
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.errors import BackendMissingError, InputError, UnsupportedModelError

if os.environ.get("REQUIRE_BACKENDS") == "1":
    import ai_edge_litert.interpreter as litert
else:
    litert: Any = pytest.importorskip("ai_edge_litert.interpreter")

from blackbox_explain_adapters._tflite.wrapping import load_tflite, wrap_tflite
from tests.adapters.tflite.models import ended, file, linear, operator, recurrent, rescaled, tensor

WEIGHTS = np.random.default_rng(0).integers(-3, 4, (5, 4 * 6 * 3)).astype(np.float64)
BYTES = np.random.default_rng(1).integers(0, 256, (7, 3, 4, 6))
IMAGES = (BYTES / 255).astype(np.float32)


def expected(images: np.ndarray, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    return np.moveaxis(images, 1, -1).reshape(len(images), 72).astype(np.float64) @ weights.T


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"batch": 3}, {"free": True}, {"free": True, "flattens": True}],
    ids=["one", "three", "any", "claim"],
)
def test_any_number_of_images_meets_any_batch_size(tmp_path: Path, options: dict[str, Any]) -> None:
    box = bx.wrap(stored(tmp_path, linear(WEIGHTS, (4, 6, 3), **options)), activation="none")
    assert box.spec.shape == (3, 4, 6)
    assert "the model reads channels last" in box.assumptions
    assert any("one image at a time" in one for one in box.assumptions) == ("flattens" in options)
    for rows in (7, 1, 3, 0):
        np.testing.assert_allclose(box.scores(IMAGES[:rows]), expected(IMAGES[:rows]), atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "quantisation"), [("uint8", (1 / 128, 128)), ("uint8", (1 / 255, 0)), ("int8", (1 / 255, -128))]
)
def test_pixels_become_the_bytes_of_a_quantised_model(
    tmp_path: Path, dtype: str, quantisation: tuple[float, int]
) -> None:
    output = (0.5, 100 if dtype == "uint8" else 3)
    content = linear(WEIGHTS, (4, 6, 3), dtype=dtype, quantisation=quantisation, output=output)
    box = bx.wrap(stored(tmp_path, content), activation="none")
    assert any("reads bytes" in one for one in box.assumptions)
    real = quantisation[0] * (BYTES + (-128 if dtype == "int8" else 0) - quantisation[1])
    found = box.scores(IMAGES)
    # Half a step of the output, and the last bits of its rounding.
    np.testing.assert_allclose(found, expected(real), atol=0.251)
    assert set(np.unique(found % 0.5)) == {0.0}
    # The description that comes out, put in again, means the same model.
    again = bx.wrap(tmp_path / "model.tflite", spec=box.spec, activation="none")
    np.testing.assert_array_equal(again.scores(IMAGES), found)
    wide = bx.wrap(tmp_path / "model.tflite", bounds=(-3.0, 1.0), activation="none")
    np.testing.assert_array_equal(wide.scores(4 * IMAGES - 3), found)


def test_an_image_is_rounded_alike_in_every_precision(tmp_path: Path) -> None:
    # The identity, which gives the bytes back.
    steps = (1 / 128, 128)
    content = linear(np.eye(72), (4, 6, 3), dtype="uint8", quantisation=steps, output=steps)
    box = bx.wrap(stored(tmp_path, content), activation="none")
    sent = np.moveaxis(BYTES, 1, -1).reshape(7, 72)
    np.testing.assert_array_equal(128 * box.scores(IMAGES) + 128, sent)
    # Halfway between two bytes, give or take the last bit.
    halves = np.tile((np.arange(72) + 100.5) / 255, (3, 1)).astype(np.float32)
    halves[1:] = np.nextafter(halves[1:], np.asarray([[0], [1]], np.float32))
    halves = halves.reshape(3, 3, 4, 6)
    np.testing.assert_array_equal(box.scores(halves.astype(np.float64)), box.scores(halves))
    assert box.scores(halves).dtype == np.float32


def test_preprocessing_that_was_said_is_quantised_as_the_model_asks(tmp_path: Path) -> None:
    content = linear(WEIGHTS, (4, 6, 3), dtype="int8", quantisation=(1 / 32, 5), output=(0.5, 0))
    preprocessing = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.25, 0.5, 0.3), channels="BGR")
    box = bx.wrap(stored(tmp_path, content), preprocessing=preprocessing, activation="none")
    assert not any("reads bytes" in one for one in box.assumptions)
    real = np.round(32 * preprocessing.forward(IMAGES)) / 32
    np.testing.assert_allclose(box.scores(IMAGES), expected(real), atol=0.251)
    with pytest.raises(InputError, match="not finite"):
        box.scores(np.full_like(IMAGES, np.nan))


def test_a_shape_that_was_said_decides_where_the_channels_are(tmp_path: Path) -> None:
    path = stored(tmp_path, linear(WEIGHTS, (2, 4, 9), free=True))
    assert bx.wrap(path).spec.shape == (9, 2, 4)
    box = bx.wrap(path, shape=(2, 4, 9), activation="none")
    images = IMAGES.reshape(7, 2, 4, 9)
    np.testing.assert_allclose(box.scores(images), images.reshape(7, -1) @ WEIGHTS.T, atol=1e-4)
    with pytest.raises(InputError, match="another shape"):
        bx.wrap(path, shape=(3, 4, 9))


def test_the_interpreter_of_a_user_is_not_resized_nor_pickled() -> None:
    interpreter = litert.Interpreter(model_content=linear(WEIGHTS, (4, 6, 3), free=True))
    box = bx.wrap(interpreter, activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), expected(IMAGES), atol=1e-4)
    assert tuple(interpreter.get_input_details()[0]["shape"]) == (1, 4, 6, 3)
    with pytest.raises(UnsupportedModelError, match="cannot be pickled"):
        pickle.dumps(box)
    same = bx.wrap(litert.Interpreter(model_content=linear(WEIGHTS, (4, 6, 3))), activation="none")
    other = bx.wrap(litert.Interpreter(model_content=linear(-WEIGHTS, (4, 6, 3))), activation="none")
    assert box.fingerprint() == same.fingerprint() != other.fingerprint()


def test_a_box_of_a_file_is_pickled_with_it(tmp_path: Path) -> None:
    path = stored(tmp_path, linear(WEIGHTS, (4, 6, 3), free=True))
    box = bx.wrap(path, threads=2)
    scores = box.scores(IMAGES)
    path.unlink()
    again = pickle.loads(pickle.dumps(box))  # noqa: S301
    np.testing.assert_array_equal(again.scores(IMAGES), scores)
    assert again.fingerprint() == box.fingerprint()
    assert again.spec == box.spec


def test_threads_share_an_interpreter(tmp_path: Path) -> None:
    box = bx.wrap(stored(tmp_path, linear(WEIGHTS, (4, 6, 3), free=True)), activation="none")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(box.scores, [IMAGES[: 1 + k % 7] for k in range(40)]))
    for k, scores in enumerate(found):
        np.testing.assert_allclose(scores, expected(IMAGES[: 1 + k % 7]), atol=1e-4)


def test_one_of_several_outputs_is_named(tmp_path: Path) -> None:
    path = stored(tmp_path, linear(WEIGHTS, (4, 6, 3)))
    box = bx.wrap(path, output="scores", activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), expected(IMAGES), atol=1e-4)
    with pytest.raises(InputError, match=r"no such output.*'scores'"):
        bx.wrap(path, output="probabilities")


IMAGE = ("float32", (1, 4, 4, 3))
SCORES = ("float32", (1, 5))


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([("string", (1, 4, 4, 3))], [SCORES], "does not read images.*type string"),
        ([("int64", (1, 4, 4, 3))], [SCORES], "does not read images.*type int64"),
        ([("float32", (1, 48))], [SCORES], r"does not read images.*\(1, 48\).*--shape"),
        ([IMAGE, IMAGE], [SCORES], "2 inputs: 'in0', 'in1'"),
        ([IMAGE], [SCORES, ("float32", (1, 4))], r"several outputs.*'out0' .*'out1' .*output='out0'"),
        ([IMAGE], [("int64", (1, 1))], "does not answer with class scores.*type int64"),
        ([IMAGE], [("string", (1, 5))], "does not answer with class scores.*type string"),
        ([IMAGE], [("float32", (1, 4, 4, 5))], r"does not answer with class scores.*\(1, 4, 4, 5\)"),
        ([IMAGE], [("float32", (2, 5))], r"does not answer with class scores.*\(2, 5\)"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused(
    tmp_path: Path, inputs: list[Any], outputs: list[Any], message: str
) -> None:
    tensors = [tensor(f"in{k}", *one) for k, one in enumerate(inputs)]
    tensors += [tensor(f"out{k}", *one) for k, one in enumerate(outputs)]
    content = file(tensors, range(len(inputs)), range(len(inputs), len(tensors)))
    with pytest.raises(UnsupportedModelError, match=message):
        bx.wrap(stored(tmp_path, content))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    content = linear(WEIGHTS, (4, 6, 3))
    for length in (0, 3, 100):
        with pytest.raises(UnsupportedModelError, match=r"not a TensorFlow Lite file|truncated or damaged"):
            bx.wrap(stored(tmp_path, content[:length]))
    with pytest.raises(UnsupportedModelError, match="truncated or damaged"):
        bx.wrap(stored(tmp_path, content[: len(content) // 2]))
    with pytest.raises(UnsupportedModelError, match="not a TensorFlow Lite file"):
        bx.wrap(stored(tmp_path, b"<html>not found</html>"))
    with pytest.raises(UnsupportedModelError, match="no TensorFlow Lite interpreter"):
        wrap_tflite(litert, Described())
    path = stored(tmp_path, content)
    with pytest.raises(InputError, match="threads=0"):
        bx.wrap(path, threads=0)
    with pytest.raises(InputError, match="do not fit the model"):
        bx.wrap(path).scores(IMAGES[:, :1])


def check_alone_in_company_twice(box: Any, images: np.ndarray, right: np.ndarray) -> None:
    for rows in (slice(0, 1), slice(0, 7), slice(0, 7), slice(3, 4), slice(2, 5)):
        np.testing.assert_allclose(box.scores(images[rows]), right[rows], atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"free": True}], ids=["one", "three", "any"])
def test_a_state_is_set_back_before_each_image(tmp_path: Path, options: dict[str, Any]) -> None:
    box = bx.wrap(stored(tmp_path, recurrent(3, (4, 6, 3), **options)), activation="none")
    # As the sums of each channel: channels are last, and 3 units take every third number.
    right = IMAGES.sum(axis=(2, 3))
    check_alone_in_company_twice(box, IMAGES, right)
    assert any("keeps a state" in one for one in box.assumptions)
    check_alone_in_company_twice(pickle.loads(pickle.dumps(box)), IMAGES, right)  # noqa: S301
    assert not any("answers differently" in one for one in box.assumptions)


def test_the_state_of_a_users_interpreter_is_set_back_too() -> None:
    interpreter = litert.Interpreter(model_content=recurrent(3, (4, 6, 3)))
    check_alone_in_company_twice(bx.wrap(interpreter, activation="none"), IMAGES, IMAGES.sum(axis=(2, 3)))


@pytest.mark.filterwarnings("ignore")
def test_variables_that_no_reset_reaches_are_forgotten(tmp_path: Path) -> None:
    """A stream: the last frame counts half, as in wake words; TensorFlow keeps it in a resource."""
    if os.environ.get("REQUIRE_BACKENDS") != "1":
        pytest.importorskip("tensorflow")
    tf = importlib.import_module("tensorflow")

    class Stream(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = tf.Variable(tf.constant([[0.1, 0.2, 0.3]]))

        @tf.function(input_signature=[tf.TensorSpec((1, 4, 6, 3), name="frame")])
        def __call__(self, frame: Any) -> Any:
            self.last.assign(0.5 * self.last + tf.reduce_mean(frame, axis=[1, 2]))
            return tf.identity(self.last)

    stream: Any = Stream()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([stream.__call__.get_concrete_function()], stream)
    converter.experimental_enable_resource_variables = True
    content = converter.convert()
    box = bx.wrap(stored(tmp_path, content), activation="none")
    right = IMAGES.mean(axis=(2, 3)) + np.array([0.05, 0.1, 0.15])
    check_alone_in_company_twice(box, IMAGES, right)
    assert any("keeps a state" in one for one in box.assumptions)
    # Of an interpreter that the caller made there is no other copy: it is said.
    own = bx.wrap(litert.Interpreter(model_content=content), activation="none")
    assert any("answers differently when the same image is given again" in one for one in own.assumptions)


@pytest.mark.parametrize(
    ("head", "activation", "reason"),
    [
        (None, "softmax", "linear layer"),
        ("softmax", "none", "ends in a softmax"),
        ("logistic", "none", "ends in a sigmoid"),
    ],
)
def test_the_last_operator_decides_at_wrap(tmp_path: Path, head: str | None, activation: str, reason: str) -> None:
    weights = np.abs(WEIGHTS) / 300
    box = bx.wrap(stored(tmp_path, ended(head, weights, (4, 6, 3))))
    assert box.activation == activation
    assert any(reason in one for one in box.assumptions)
    logits = expected(IMAGES, weights)
    powers = np.exp(logits)
    right = 1 / (1 + np.exp(-logits)) if head == "logistic" else powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(box.scores(IMAGES), right, atol=1e-5)


def test_a_model_that_rescales_is_given_what_it_asks_for(tmp_path: Path) -> None:
    for by, minus in ((1 / 255, 0.0), (1 / 127.5, 1.0)):
        path = stored(tmp_path, rescaled(by, minus, WEIGHTS, (4, 6, 3)))
        box = bx.wrap(path, activation="none")
        assert any("between 0 and 255" in one for one in box.assumptions)
        np.testing.assert_allclose(box.scores(IMAGES), expected(255 * by * IMAGES - minus), atol=1e-3)
        said = bx.wrap(path, activation="none", preprocessing=bx.Preprocessing())
        np.testing.assert_allclose(said.scores(IMAGES), expected(by * IMAGES - minus), atol=1e-3)
        assert any("may be wrong" in one for one in said.assumptions)


@pytest.mark.parametrize("sizes", [(8, 9), (72,)])
def test_grey_images_and_rows_are_told_by_their_shape(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    path = stored(tmp_path, linear(WEIGHTS, sizes, free=True))
    images = IMAGES.reshape(7, 1, 8, 9)
    box = bx.wrap(path, shape=(1, 8, 9), activation="none")
    assert box.spec.shape == (1, 8, 9)
    np.testing.assert_allclose(box.scores(images), images.reshape(7, 72) @ WEIGHTS.T, atol=1e-4)
    assert any("reshaped" in one for one in box.assumptions)
    again = pickle.loads(pickle.dumps(box))  # noqa: S301
    np.testing.assert_array_equal(again.scores(images), box.scores(images))
    if len(sizes) == 2:
        assert any("shape=(1, 8, 9)" in one for one in bx.wrap(path).assumptions)
    with pytest.raises(InputError, match="another shape"):
        bx.wrap(path, shape=(1, 9, 9))


def test_scores_at_many_steps_are_no_classes(tmp_path: Path) -> None:
    tensors = [
        tensor("in", "float32", (1, 4, 6, 3)),
        tensor("shape", "int32", (3,)),
        tensor("out", "float32", (1, 72, 1)),
    ]
    steps = file(tensors, [0], [2], [operator(1, (0, 1), (2,))], {1: np.asarray([1, 72, 1], np.int32)})
    path = stored(tmp_path, steps)
    with pytest.raises(UnsupportedModelError, match=r"\(1, 72, 1\).*reduce=\('mean', 1\)"):
        bx.wrap(path)
    box = bx.wrap(path, reduce=("mean", 1), activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), IMAGES.mean(axis=(1, 2, 3))[:, None], atol=1e-6)


def test_outputs_are_told_apart_or_asked_for(tmp_path: Path) -> None:
    shapes = [(1, 4, 6, 3), (1, 72), (1, 24, 3)]
    tensors = [tensor(f"t{place}", "float32", shape) for place, shape in enumerate(shapes)]
    tensors += [tensor("row", "int32", (2,)), tensor("steps", "int32", (3,))]
    constants = {3: np.asarray([1, 72], np.int32), 4: np.asarray([1, 24, 3], np.int32)}
    moves = [operator(1, (0, 3), (1,)), operator(1, (0, 4), (2,))]
    path = stored(tmp_path, file(tensors, [0], [2, 1], moves, constants))
    rows = np.moveaxis(IMAGES, 1, -1).reshape(7, 72)
    for given in ({}, {"output": 1}, {"output": "t1"}):
        np.testing.assert_allclose(bx.wrap(path, activation="none", **given).scores(IMAGES), rows, atol=1e-6)
    with pytest.raises(InputError, match=r"no such output.*'t2'"):
        bx.wrap(path, output=2)


def test_there_is_no_gradient(tmp_path: Path) -> None:
    box = bx.wrap(stored(tmp_path, linear(WEIGHTS, (4, 6, 3))))
    assert not isinstance(box, bx.Differentiable)
    assert not hasattr(box, "scores_and_gradient")


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    with contextlib.suppress(ImportError):
        # Whole first: what is imported while a part of it is away stays broken after that is back.
        _ = importlib.import_module("tensorflow").lite.Interpreter
    for part in ("contents", "interpreter", "wrapping"):
        monkeypatch.delitem(sys.modules, f"blackbox_explain_adapters._tflite.{part}")
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def test_a_missing_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, linear(WEIGHTS, (4, 6, 3)))
    without(monkeypatch, "ai_edge_litert.interpreter", "tensorflow.lite.python.interpreter")
    with pytest.raises(BackendMissingError, match=r"\.\[tflite\]"):
        bx.wrap(path)


@pytest.mark.filterwarnings("ignore")
def test_tensorflow_has_an_interpreter_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("REQUIRE_BACKENDS") != "1":
        pytest.importorskip("tensorflow")
    tensorflow = importlib.import_module("tensorflow.lite.python.interpreter")
    content = linear(WEIGHTS, (4, 6, 3))
    box = wrap_tflite(tensorflow.Interpreter(model_content=content), Described(activation="none"))
    np.testing.assert_allclose(box.scores(IMAGES), expected(IMAGES), atol=1e-4)
    without(monkeypatch, "ai_edge_litert.interpreter")
    alone = importlib.import_module("blackbox_explain_adapters._tflite.wrapping")
    loaded = alone.load_tflite(stored(tmp_path, content))
    assert isinstance(loaded, tensorflow.Interpreter)
    np.testing.assert_array_equal(
        alone.wrap_tflite(loaded, Described(activation="none")).scores(IMAGES), box.scores(IMAGES)
    )


def test_a_real_quantised_network(shared_photos: list[Path]) -> None:
    path = data_folder() / "tflite" / "mobilenet_v2_1.0_224_quant.tflite"
    box = bx.wrap(path)
    assert box.spec.shape == (3, 224, 224)
    assert box.spec.class_names is not None
    assert box.spec.class_names[:2] == ("background", "tench, Tinca tinca")
    photos = shared_photos[::2]
    scores = box.scores(bx.load_images(photos, box.spec))
    assert box.activation == "none"
    # Behind the background class.
    labels = np.asarray([int(photo.name.split("_")[0]) + 1 for photo in photos])
    # 0.783 on its own validation images; ± 2 standard errors of 40 photos.
    assert np.mean(scores.argmax(axis=1) == labels) >= 0.65
    given = bx.wrap(path, preprocessing=bx.Preprocessing(mean=0.5, std=0.5), class_names=[str(k) for k in range(1001)])
    assert given.spec.class_names is not None
    assert np.mean(given.scores(bx.load_images(photos, given.spec)).argmax(axis=1) == labels) >= 0.65
    assert load_tflite(path, threads=2).content == path.read_bytes()
