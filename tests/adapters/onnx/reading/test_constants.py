"""Models with more inputs than the images, the others held constant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.cli import app
from blackbox_explain.errors import InputError, UnsupportedModelError
from tests.adapters.onnx.test_box import small

ENDS = {"shift": np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1) / 10, "scale": 2.0, "training": False}


def model() -> onnx.ModelProto:
    return small(
        "float[N,3,12,12] x, float[1,3,1,1] shift, float[1,3,1,1] scale, bool training",
        "m = Sub(x, shift)\ns = Mul(m, scale)\nk = Not(training)\nt = Cast<to=1>(k)\na = Mul(s, t)",
    )


def test_constants_take_the_place_of_inputs() -> None:
    given = model()
    box = bx.wrap(given, constants=ENDS, cache=False)
    plain = bx.wrap(small(), cache=False)
    rng = np.random.default_rng(0)
    images, weights = rng.random((3, 3, 12, 12), dtype=np.float32), rng.standard_normal((3, 5)).astype(np.float32)
    scores, gradient = plain.scores_and_gradient((images - ENDS["shift"]) * 2, weights)
    found_scores, found = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(found_scores, scores, atol=1e-6)
    np.testing.assert_allclose(found, gradient * 2, atol=1e-6)
    assert len(given.graph.input) == 4  # the given model stays as it was
    assert box.fingerprint() != bx.wrap(given, constants={**ENDS, "scale": 3.0}, cache=False).fingerprint()


def test_free_sizes_are_taken_from_the_value() -> None:
    given = small(
        "float[N,3,12,12] x, float[B,3,H,W] shift, float[B,3,H,W] scale", "m = Sub(x, shift)\na = Mul(m, scale)"
    )
    images = np.random.default_rng(0).random((2, 3, 12, 12), dtype=np.float32)
    box = bx.wrap(given, constants={"shift": ENDS["shift"], "scale": 2}, cache=False)
    expected = bx.wrap(small(), cache=False).scores((images - ENDS["shift"]) * 2)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    with pytest.raises(InputError, match="'shift' does not fit"):
        bx.wrap(given, constants={"shift": np.zeros((1, 4, 1, 1)), "scale": 2})


def test_mistakes() -> None:
    with pytest.raises(UnsupportedModelError, match="constants="):
        bx.wrap(model())
    with pytest.raises(UnsupportedModelError, match="'training'"):
        bx.wrap(model(), constants={"shift": 0.0, "scale": 1.0})
    with pytest.raises(InputError, match=r"no such input.*'speed'"):
        bx.wrap(model(), constants={"speed": 1})
    with pytest.raises(InputError, match=r"'shift' does not fit.*shape \(7,\), where the model reads \(1, 3, 1, 1\)"):
        bx.wrap(model(), constants={**ENDS, "shift": np.zeros(7)})


def test_on_the_command_line(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "several.onnx")
    values = json.dumps({"shift": 0.1, "scale": 2, "training": False})
    call = ["explain", str(samples.CAT), "--model", str(tmp_path / "several.onnx"), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*call, "--option", f"constants={values}"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "cat.png").is_file()
    look = ["models", "inspect", str(tmp_path / "several.onnx")]
    assert "cannot be explained as it is" in CliRunner().invoke(app, look).output
    done = CliRunner().invoke(app, [*look, "--option", f"constants={values}", "--output", "y"])
    assert "differentiable: exact gradients" in done.output, done.output
    done = CliRunner().invoke(app, [*look, "--option", "speed=3"])
    assert done.exit_code == 2
    assert "no such option" in done.output


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", "false"),
        ("bool", 2),
        ("int64", 1.7),
        ("int32", 2**40),
        ("int64", 2**70),
        ("float", "1.5"),
        ("float", None),
        ("uint8", -1),
        ("float16", 1e6),
        ("float", 1e300),
        ("int64", float("nan")),
    ],
)
def test_constants_are_never_changed_in_silence(kind: str, value: object) -> None:
    given = small(f"float[N,3,12,12] x, {kind} k", "k0 = Cast<to=1>(k)\na = Mul(x, k0)")
    with pytest.raises(InputError, match="constant for input 'k' does not fit"):
        bx.wrap(given, constants={"k": value})


@pytest.mark.parametrize(
    ("kind", "value"), [("bool", True), ("bool", 1), ("int64", 2.0), ("float", 0.1), ("float16", 3)]
)
def test_constants_of_other_types_that_say_the_same(kind: str, value: object) -> None:
    given = small(f"float[N,3,12,12] x, {kind} k", "k0 = Cast<to=1>(k)\na = Mul(x, k0)")
    assert isinstance(bx.wrap(given, constants={"k": value}), bx.Differentiable)
