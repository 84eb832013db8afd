"""What is around a model: devices, threads, global state, and the backend of Keras."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

import blackbox_explain as bx
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain_adapters._tensorflow.arrays import device_arrays
from tests.adapters.tensorflow import models
from tests.adapters.tensorflow.models import SHAPE, keras


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).random((5, *SHAPE), dtype=np.float32)


def test_threads_get_the_same_scores(images: np.ndarray) -> None:
    box: Any = bx.wrap(models.sequential())
    expected = box.scores(images)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(box.scores, [images] * 12):
            np.testing.assert_array_equal(found, expected)


def test_devices(images: np.ndarray) -> None:
    box: Any = bx.wrap(models.sequential(), device="cpu")
    np.testing.assert_allclose(box.scores(images), bx.wrap(models.sequential()).scores(images), atol=1e-7)
    with pytest.raises(InputError, match="no such device"):
        bx.wrap(models.sequential(), device="gpu:7")


HOST, OTHER, GROWTH = "a PyTorch with CUDA", "another GPU to PyTorch", "TF_FORCE_GPU_ALLOW_GROWTH=true"


@pytest.mark.parametrize(
    ("place", "gpus", "differently", "expected"),
    [
        (None, 0, {}, None),
        (None, 2, {}, "cuda:0"),
        ("/device:GPU:1", 2, {}, "cuda:1"),
        ("/device:CPU:0", 2, {}, None),
        ("/device:GPU:1", 2, {"of_torch": 1}, HOST),
        ("/device:GPU:0", 2, {"visible": 1}, OTHER),
        ("/device:GPU:1", 2, {"physical": 1}, OTHER),
        ("/device:GPU:1", 2, {"growth": False}, GROWTH),
        ("/device:GPU:1", 2, {"growth": False, "variable": "true"}, "cuda:1"),
    ],
)
def test_arrays_are_torch_s_where_the_model_computes_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, place: str | None, gpus: int, differently: dict[str, Any], expected: str | None
) -> None:
    physical = [f"physical {k}" for k in range(differently.get("physical", gpus))]
    logical = [SimpleNamespace(name=f"/device:GPU:{k}") for k in range(gpus)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: logical if kind == "GPU" else [])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: physical)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _kind: physical[: differently.get("visible", gpus)])
    monkeypatch.setattr(tf.config.experimental, "get_memory_growth", lambda _one: differently.get("growth", True))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: differently.get("of_torch", gpus))
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", differently.get("variable", ""))
    device, notes = device_arrays(place)
    if expected in (HOST, OTHER, GROWTH):
        assert device is None
        assert expected in " ".join(notes)
    else:
        assert (device, notes) == (expected, ())


def test_the_loop_runs_in_torch_where_the_box_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # PyTorch's arrays on a CPU stand for those on a GPU: the way through the box is the same.
    box: Any = bx.wrap(models.sequential())
    images = np.random.default_rng(2).random((2, *SHAPE), dtype=np.float32)
    settings: dict[str, Any] = {"preset": "paper", "steps": 5, "progress": False}
    expected = bx.explain(box, images, **settings)
    assert isinstance(box.native(images), np.ndarray)
    monkeypatch.setattr(box, "_parts", dataclasses.replace(box._parts, native="cpu"))
    given: list[Any] = []
    usual = type(box).scores_and_gradient
    monkeypatch.setattr(type(box), "scores_and_gradient", lambda *a: given.extend(a[1:]) or usual(*a))
    found = bx.explain(box, images, **settings)
    assert given
    assert all(isinstance(one, torch.Tensor) for one in given)
    np.testing.assert_allclose(found.saliency, expected.saliency, atol=1e-4)


GLOBAL_STATE = """
import json, logging, os, random, sys
import numpy as np
import keras
import tensorflow as tf
tf.random.set_seed(5), np.random.seed(5), random.seed(5)

def state():
    return repr((
        tf.executing_eagerly(), tf.config.functions_run_eagerly(), tf.config.get_soft_device_placement(),
        tf.get_logger().level, tf.get_logger().filters, logging.getLogger().level, logging.getLogger("absl").filters,
        tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads(),
        [tf.config.experimental.get_memory_growth(one) for one in tf.config.list_physical_devices("GPU")],
        sorted(os.environ.items()), random.getstate(), np.random.get_state(), keras.config.floatx(),
        keras.config.image_data_format(), keras.config.dtype_policy().name,
        keras.config.is_traceback_filtering_enabled(),
        sorted(keras.saving.get_custom_objects()),
    ))

parts = [keras.layers.Dropout(0.5), keras.layers.Flatten(), keras.layers.Dense(3)]
model = keras.Sequential([keras.Input((8, 8, 3)), *parts])
model.save(sys.argv[1] + "/model.keras")
model.export(sys.argv[1] + "/saved", verbose=False)
tf.random.set_seed(5), random.seed(5)
expected = tf.random.uniform((3,)).numpy().tolist()
tf.random.set_seed(5), random.seed(5)
before = state()
import blackbox_explain as bx
for one in (model, sys.argv[1] + "/model.keras", sys.argv[1] + "/saved"):
    box = bx.wrap(one)
    bx.explain(box, np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32), progress=False, steps=2)
    assert isinstance(box, bx.Differentiable)
    assert not isinstance(box, bx.Layered) or box.layers()
assert state() == before
assert tf.random.uniform((3,)).numpy().tolist() == expected
"""


def test_no_global_state_is_changed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GLOBAL_STATE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


ON_TORCH = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import sys
import keras, numpy as np, torch
import blackbox_explain as bx
model = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.Conv2D(4, 3), keras.layers.Dropout(0.5),
                          keras.layers.Flatten(), keras.layers.Dense(3)])
box = bx.wrap(model)
images = np.random.default_rng(0).random((2, 3, 12, 10), dtype=np.float32)
expected = torch.softmax(model(torch.tensor(images).permute(0, 2, 3, 1), training=False), dim=1)
np.testing.assert_allclose(box.scores(images), expected.detach().numpy(), atol=1e-6)
assert type(box).__name__ == "LayeredTorch" and box.spec.preprocessing.layout == "channels_last"
bx.explain(box, images, progress=False, steps=2)
assert "tensorflow" not in sys.modules
"""


def test_keras_on_pytorch_is_wrapped_as_pytorch() -> None:
    models.required("torch")
    done = subprocess.run([sys.executable, "-c", ON_TORCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_keras_on_another_backend_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.sequential()
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UnsupportedModelError, match="KERAS_BACKEND=tensorflow"):
        bx.wrap(model)


# Keras saves by what NumPy will no longer do.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.exhaustive
def test_nothing_but_the_program_speaks(tmp_path: Path) -> None:
    models.sequential().save(tmp_path / "model.keras")
    models.saved(tmp_path / "saved")
    sample = Path(bx.__file__).parent / "samples" / "coffee.jpg"
    told = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GRPC_", "GLOG_"))}
    for name in ("model.keras", "saved"):
        command = [sys.executable, "-m", "blackbox_explain", "explain", str(sample), "--preset", "fast"]
        command += ["--model", str(tmp_path / name), "--out", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=told)
        assert done.returncode == 0, done.stderr
        lines = [one for one in done.stderr.splitlines() if one.strip()]
        assert lines[0].startswith("assumed: ")
        noise = ("I0000", "W0000", "E0000", "WARNING", "INFO", "absl", "oneDNN", "rebuild TensorFlow", "Warning")
        assert not [one for one in lines if any(word in one for word in noise)]


def test_a_level_that_the_user_set_is_kept() -> None:
    code = (
        "import os, sys\n"
        "import blackbox_explain_adapters._tensorflow\n"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'], 'tensorflow' in sys.modules)"
    )
    # Without one it is imported here, so that what it writes meanwhile is kept back.
    for given, kept, there in ((None, "3", "True"), ("0", "0", "False")):
        told = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        told |= {} if given is None else {"TF_CPP_MIN_LOG_LEVEL": given}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=told)
        assert done.stdout.split() == [kept, there]
        assert given is not None or not done.stderr


def test_wrapping_by_another_framework_loads_no_tensorflow() -> None:
    code = (
        "import sys, numpy as np, blackbox_explain as bx\n"
        "bx.wrap(lambda images: images.mean(axis=(2, 3)), shape=(3, 8, 8)).scores(np.zeros((1, 3, 8, 8), 'f4'))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
