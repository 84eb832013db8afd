"""Files and folders, good, bad and untrusted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.tensorflow import models
from tests.adapters.tensorflow.models import SHAPE, keras, tf

# Keras saves by what NumPy will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

IMAGES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)


def with_lambda() -> Any:
    return keras.Sequential(
        [keras.Input((12, 10, 3)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


def within() -> Any:
    return keras.Sequential([keras.Input((12, 10, 3)), with_lambda(), keras.layers.Softmax()])


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5"])
@pytest.mark.parametrize("make", [with_lambda, within])
def test_code_in_a_file_is_refused_unless_allowed_by_name(make: Any, name: str, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / name)
    with pytest.raises(UnsupportedModelError, match="allow_lambda=True"):
        bx.wrap(tmp_path / name)
    with pytest.raises(UnsupportedModelError, match="allow_lambda=True"):
        bx.wrap(tmp_path / name, allow_lambda=False)
    box = bx.wrap(tmp_path / name, allow_lambda=True)
    expected = bx.wrap(model).scores(IMAGES)
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_refused_code_is_not_run(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "was_run"
    source = f"lambda x: (__import__('pathlib').Path({str(trace)!r}).touch(), x)[1]"
    model = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.Lambda(eval(source)), keras.layers.Flatten()])  # noqa: S307
    trace.unlink()
    model.save(tmp_path / name)
    trace.unlink(missing_ok=True)
    with pytest.raises(UnsupportedModelError, match="holds code of its own"):
        bx.wrap(tmp_path / name)
    assert not trace.exists()
    bx.wrap(tmp_path / name, allow_lambda=True)
    assert trace.exists()


def test_a_graph_from_elsewhere_is_refused(tmp_path: Path) -> None:
    models.saved(tmp_path / "saved")
    layer = keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve")
    keras.Sequential([keras.Input((12, 10, 3)), layer]).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedModelError, match="TFSMLayer"):
        bx.wrap(tmp_path / "model.keras")


def rewritten(path: Path, change: Callable[[Any], None]) -> Path:
    """Change the description of a model in a file."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def set_groups(count: int) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        layers = [one for one in config["config"]["layers"] if one["class_name"] == "DepthwiseConv2D"]
        layers[0]["config"]["groups"] = count

    return change


def test_an_old_depthwise_convolution_is_read(tmp_path: Path) -> None:
    model = models.sequential()
    model.save(tmp_path / "old.h5")
    rewritten(tmp_path / "old.h5", set_groups(1))
    with pytest.raises((TypeError, ValueError), match="groups"):
        keras.saving.load_model(tmp_path / "old.h5", compile=False)
    box = bx.wrap(tmp_path / "old.h5")
    np.testing.assert_allclose(box.scores(IMAGES), bx.wrap(model).scores(IMAGES), atol=1e-6)
    rewritten(tmp_path / "old.h5", set_groups(2))
    with pytest.raises(UnsupportedModelError, match="groups"):
        bx.wrap(tmp_path / "old.h5")


def test_a_compiled_model_is_read_without_its_training(tmp_path: Path) -> None:
    model = models.sequential()
    model.compile("sgd", loss="mse", metrics=["mae"])
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        np.testing.assert_allclose(bx.wrap(tmp_path / name).scores(IMAGES), bx.wrap(model).scores(IMAGES), atol=1e-6)


class Unknown(keras.layers.Layer):
    def call(self, images: Any) -> Any:
        return 2 * images


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_an_unknown_layer_says_what_to_do(name: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.Flatten(), Unknown(), keras.layers.Dense(3)])
    model.save(tmp_path / name)

    def forget(config: Any) -> None:
        for one in config["config"]["layers"]:
            if one["class_name"] == "Unknown":
                one.update(class_name="Forgotten", module="nowhere", registered_name="Forgotten")

    rewritten(tmp_path / name, forget)
    with pytest.raises(UnsupportedModelError, match=r"Forgotten.*register_keras_serializable"):
        bx.wrap(tmp_path / name)


def junk(path: Path) -> None:
    path.write_bytes(b"junk" * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    models.sequential().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def other_format(path: Path) -> None:
    other = path.with_name("other.h5" if path.suffix == ".keras" else "other.keras")
    models.sequential().save(other)
    shutil.copy(other, path)


def no_description(path: Path) -> None:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
    else:
        models.sequential().save_weights(path.with_suffix(".weights.h5"))
        shutil.move(path.with_suffix(".weights.h5"), path)


def broken_description(path: Path) -> None:
    models.sequential().save(path)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{")
    else:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = "{"


def without_weights(path: Path) -> None:
    models.sequential().save(path)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist() if "weights" not in name}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    else:
        with h5py.File(path, "r+") as file:
            del file["model_weights"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of zipfile, while a test writes
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(
    "spoil", [junk, empty, truncated, other_format, no_description, broken_description, without_weights]
)
def test_bad_files_are_errors_with_a_remedy(spoil: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    spoil(tmp_path / name)
    with pytest.raises(UnsupportedModelError, match=rf"{name}.*[Tt]ry: "):
        bx.wrap(tmp_path / name, shape=SHAPE)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    for name in ("absent.keras", "absent.h5"):
        with pytest.raises(UnsupportedModelError, match="no such model file"):
            bx.wrap(tmp_path / name)
    with pytest.raises(UnsupportedModelError, match=r"saved_model\.pb"):
        bx.wrap(tmp_path)


def without_signature(folder: Path) -> None:
    module = tf.Module()
    module.net = models.sequential()
    for name in ("rank", "sort"):
        setattr(module, name, tf.function(lambda a, b: a @ b, input_signature=[tf.TensorSpec((2, 2))] * 2))
    tf.saved_model.save(module, str(folder))


def test_a_saved_model_without_signature_lists_what_is_there(tmp_path: Path) -> None:
    without_signature(tmp_path / "saved")
    with pytest.raises(UnsupportedModelError, match=r"no signatures; functions rank, sort.*signatures=") as caught:
        bx.wrap(tmp_path / "saved")
    assert "tf.saved_model.save" in str(caught.value)


class Several(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = models.sequential()

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), name="pixels")])
    def probabilities(self, pixels: Any) -> Any:
        return {"probabilities": tf.nn.softmax(self.net(pixels, training=False))}

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 10, 3), name="pixels")])
    def first_only(self, pixels: Any) -> Any:
        return {"one": tf.sigmoid(self.net(pixels, training=False)[:, :1])}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
    def serialised(self, encoded: Any) -> Any:
        return {"length": tf.cast(tf.strings.length(encoded), tf.float32)}


def saved_with(folder: Path, **signatures: str) -> Path:
    module = Several()
    tf.saved_model.save(
        module, str(folder), signatures={name: getattr(module, one) for name, one in signatures.items()}
    )
    return folder


def test_signatures_are_chosen_or_named(tmp_path: Path) -> None:
    one = saved_with(tmp_path / "one", serving_default="serialised", classify="probabilities")
    assert bx.wrap(one).scores(IMAGES).shape == (2, 4)
    two = saved_with(tmp_path / "two", classify="probabilities", detect="first_only")
    with pytest.raises(UnsupportedModelError, match="signature='classify'"):
        bx.wrap(two)
    assert bx.wrap(two, signature="detect").scores(IMAGES).shape == (2, 1)
    with pytest.raises(UnsupportedModelError, match=r"no such signature.*'classify' \(pixels: float32"):
        bx.wrap(two, signature="absent")
    three = saved_with(tmp_path / "three", serving_default="serialised")
    with pytest.raises(UnsupportedModelError, match="encoded: string"):
        bx.wrap(three)
    with pytest.raises(UnsupportedModelError, match="string"):
        bx.wrap(three, signature="serving_default", shape=SHAPE)
    with pytest.raises(InputError, match="no signatures"):
        bx.wrap(models.Module(), shape=SHAPE, signature="serving_default")


def test_a_saved_module_that_can_be_called_needs_no_signature(tmp_path: Path) -> None:
    class Called(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(3.0)

        @tf.function
        def __call__(self, images: Any, training: bool = True) -> Any:
            return tf.reduce_mean(images, axis=[1, 2]) * (0.0 if training else self.factor)

    module = Called()
    for training in (True, False):
        module.__call__.get_concrete_function(tf.TensorSpec((None, 12, 10, 3)), training=training)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    box = bx.wrap(tmp_path / "saved")
    assert box.activation == "softmax"
    expected = tf.nn.softmax(3 * IMAGES.mean(axis=(2, 3))).numpy()
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-6)


def test_damaged_folders(tmp_path: Path) -> None:
    models.saved(tmp_path / "cut")
    (tmp_path / "cut" / "saved_model.pb").write_bytes(b"\x08\x01junk")
    models.saved(tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "variables")
    for name in ("cut", "bare"):
        with pytest.raises(UnsupportedModelError, match=rf"{name}.*export it again"):
            bx.wrap(tmp_path / name)


QUIET = """
import sys, warnings
warnings.simplefilter("always")
import numpy as np
import tensorflow, keras
print("-- loaded", file=sys.stderr, flush=True)
import blackbox_explain as bx
for path in sys.argv[1:]:
    box = bx.wrap(path)
    box.scores_and_gradient(np.zeros((2, 3, 12, 10), np.float32), np.ones((2, 4), np.float32))
"""


@pytest.mark.exhaustive
def test_good_files_are_read_in_silence(tmp_path: Path) -> None:
    model = models.sequential()
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    models.saved(tmp_path / "saved")
    paths = [str(tmp_path / name) for name in ("model.keras", "model.h5", "saved")]
    done = subprocess.run([sys.executable, "-c", QUIET, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stderr.partition("-- loaded")[2]
    assert done.stdout == ""
    # What TensorFlow says of the processor when it first computes is not about the model.
    about = [
        line
        for line in said.splitlines()
        if line.strip() and not line.startswith(("I0000", "To enable", "WARNING: All"))
    ]
    assert about == []


def test_what_cannot_be_wrapped_says_why() -> None:
    two = [keras.Input((12, 10, 3)), keras.Input((2,))]
    flat = keras.layers.Flatten()(two[0])
    several = keras.Model(two, keras.layers.Dense(3)(keras.layers.Concatenate()([flat, two[1]])))
    with pytest.raises(UnsupportedModelError, match="2 inputs"):
        bx.wrap(several)
    segmenter = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.Conv2D(5, 3)])
    with pytest.raises(UnsupportedModelError, match="class scores"):
        bx.wrap(segmenter)
    with pytest.raises(UnsupportedModelError, match="120 numbers"):
        bx.wrap(keras.Sequential([keras.Input((120,)), keras.layers.Dense(3)]))
    with pytest.raises(InputError, match="--shape"):
        bx.wrap(models.function())
    with pytest.raises(InputError, match="--shape"):
        bx.wrap(keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()]))
    with pytest.raises(UnsupportedModelError, match="cannot be called"):
        bx.wrap(tf.Module(), shape=SHAPE)
    with pytest.raises(UnsupportedModelError, match="not among the outputs"):
        bx.wrap(tf.function(lambda images: {"a": images, "b": images}, autograph=False), shape=SHAPE)
    with pytest.raises(UnsupportedModelError, match="cannot trace"):
        bx.wrap(tf.function(lambda images: images.numpy().mean(), autograph=False), shape=SHAPE)
    with pytest.raises(InputError, match="another shape"):
        bx.wrap(models.subclassed(), shape=(5, 12, 10))


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (lambda x: tf.one_hot(tf.argmax(x, axis=1), 3), "ArgMax"),
        (lambda x: tf.stop_gradient(x) * 2, "StopGradient"),
        (lambda x: tf.numpy_function(lambda a: a * 2, [x], tf.float32), "PyFunc"),
        (lambda x: tf.image.hsv_to_rgb(x), "HSVToRGB"),
        (lambda x: tf.cast(tf.floor(10 * x) > 5, tf.float32), "Floor"),
    ],
)
def test_models_without_a_gradient_say_where_it_ends(inner: Any, reason: str) -> None:
    function = tf.function(lambda images: inner(tf.reduce_mean(images, axis=[1, 2])), autograph=False)
    box: Any = bx.wrap(function, shape=SHAPE)
    assert not hasattr(box, "scores_and_gradient")
    assert isinstance(box.no_gradient, UnsupportedModelError)
    assert reason in str(box.no_gradient)
    assert box.scores(IMAGES).shape == (2, 3)
    assert reason in bx.explain(box, IMAGES, queries=100, progress=False).provenance.why_estimated
