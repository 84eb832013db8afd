"""`models inspect` for every format: facts, operators, whether there is a gradient, and why not."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.inspection import Inspection
from blackbox_explain.box.wrapping import inspect_file
from blackbox_explain.errors import UnsupportedModelError

# Keras saves by what NumPy will no longer do, and PyTorch calls its own TorchScript old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def required(name: str) -> Any:
    return importlib.import_module(name) if os.environ.get("REQUIRE_BACKENDS") == "1" else pytest.importorskip(name)


def facts(found: Inspection) -> dict[str, str]:
    return dict(found.facts)


def operators(found: Inspection) -> dict[str, tuple[int, str]]:
    return {name: (count, how) for name, count, how in found.operators}


def test_tflite(tmp_path: Path) -> None:
    required("ai_edge_litert.interpreter")
    from tests.adapters.tflite.models import ended, recurrent

    weights = np.ones((5, 72))
    (tmp_path / "ended.tflite").write_bytes(ended("softmax", weights, (4, 6, 3)))
    found = inspect_file(tmp_path / "ended.tflite")
    assert facts(found)["inputs"] == "images: float32 1 × 4 × 6 × 3"
    assert facts(found)["outputs"] == "scores: float32 1 × 5"
    assert facts(found)["parameters"] == "365"
    assert facts(found)["ends in"] == "softmax"
    assert facts(found)["images"] == "(3, 4, 6), channels last"
    assert operators(found) == {"FULLY_CONNECTED": (1, "no"), "SOFTMAX": (1, "no")}
    assert (found.usable, found.differentiable) == (True, False)
    assert "no gradients" in found.why_not
    (tmp_path / "recurrent.tflite").write_bytes(recurrent(3, (4, 6, 3)))
    assert facts(inspect_file(tmp_path / "recurrent.tflite"))["state"] == "kept between calls"
    (tmp_path / "rows.tflite").write_bytes(ended(None, weights, (72,)))
    assert not inspect_file(tmp_path / "rows.tflite").usable
    assert inspect_file(tmp_path / "rows.tflite", (3, 4, 6)).usable


def test_keras_and_saved_models(tmp_path: Path) -> None:
    required("tensorflow")
    from tests.adapters.tensorflow.models import keras, sequential, tf

    model: Any = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.Rescaling(1 / 255), sequential()])
    model.export(tmp_path / "saved", verbose=False)
    for name in ("model.keras", "model.h5", "saved"):
        if name != "saved":
            model.save(tmp_path / name)
        found = inspect_file(tmp_path / name)
        told = facts(found)
        assert (found.usable, found.differentiable, found.why_not) == (True, True, "")
        assert told["ends in"] == "linear"
        assert told["images"] == "(3, 12, 10), channels last"
        assert any("between 0 and 255" in value for _, value in found.facts)
        assert operators(found)["Conv2D"] == (1, "yes")
        assert operators(found)["Rsqrt"][1] == "not needed: does not read pixels"
        assert told["file"].endswith(" kB")
        assert "a softmax is applied" in found.to_dict()["assumed"]
        if name != "saved":
            assert "float32 ? × 12 × 10 × 3" in told["inputs"]
            assert "Rescaling × 1" in told["layers"]
            assert told["parameters"] == f"{model.count_params():,}"
        else:
            assert "float32 ? × 12 × 10 × 3 → " in told["signature serving_default"]
    module = tf.Module()
    module.best = tf.function(
        lambda x: tf.one_hot(tf.argmax(tf.reduce_mean(x, axis=[1, 2]), axis=1), 3),
        input_signature=[tf.TensorSpec((None, 12, 10, 3))],
    )
    tf.saved_model.save(module, str(tmp_path / "best"), signatures=module.best)
    found = inspect_file(tmp_path / "best")
    assert (found.usable, found.differentiable) == (True, False)
    assert "ArgMax" in found.why_not
    assert operators(found)["ArgMax"] == (1, "no")


def test_pytorch(tmp_path: Path) -> None:
    torch = required("torch")
    parts = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, 5)]
    module = torch.nn.Sequential(*parts).eval()
    image = torch.zeros(1, 3, 8, 8)
    torch.export.save(torch.export.export(module, (image,)), tmp_path / "model.pt2")
    for suffix in ("pt", "jit"):
        torch.jit.trace(module, image).save(str(tmp_path / f"model.{suffix}"))
    for name, shape in (("model.pt2", None), ("model.pt", (3, 8, 8)), ("model.jit", (3, 8, 8))):
        found = inspect_file(tmp_path / name, shape)
        assert (found.usable, found.differentiable, found.why_not) == (True, True, "")
        assert facts(found)["parameters"] == "837"
        assert facts(found)["images"] == "(3, 8, 8), channels first"
        assert operators(found)["linear"] == (1, "yes")
        assert operators(found)["relu"] == (1, "yes")
    assert facts(inspect_file(tmp_path / "model.pt2"))["inputs"].endswith("float32 1 × 3 × 8 × 8")
    untold = inspect_file(tmp_path / "model.pt")
    assert not untold.usable
    assert "--shape" in untold.why_not
    torch.jit.trace(torch.nn.Conv2d(3, 4, 3).eval(), image).save(str(tmp_path / "map.pt"))
    assert "--reduce" in inspect_file(tmp_path / "map.pt", (3, 8, 8)).why_not
    assert inspect_file(tmp_path / "map.pt", (3, 8, 8), reduce=("mean", (2, 3))).differentiable
    assert "no such output" in inspect_file(tmp_path / "map.pt", (3, 8, 8), output="scores").why_not


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"folder holds no model.*saved_model\.pb"):
        inspect_file(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"no such model file"):
        inspect_file(tmp_path / "absent.keras")
    with pytest.raises(UnsupportedModelError, match=r"not inspected.*\.keras.*\.tflite.*SavedModel"):
        inspect_file(tmp_path / "model.xyz")
