"""``blackbox-explain models inspect``: models by name, and the layers of every format that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner, Result

from blackbox_explain.cli import app
from blackbox_explain.samples import MODEL
from tests.adapters.onnx.test_box import quantised
from tests.kinds import kept


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["models", "inspect", *map(str, arguments)])


def layers_of(*arguments: object) -> dict[str, Any]:
    done = inspect(*arguments, "--layers", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_model_by_its_name() -> None:
    done = inspect("efficientnet-lite0")
    assert done.exit_code == 0, done.output
    for told in ("EfficientNet-Lite0 trained on ImageNet", "1,000", "(3, 224, 224)", "differentiable: exact gradients"):
        assert told in done.output


def test_what_a_name_does_not_take() -> None:
    described = inspect("efficientnet-lite0", "--shape", "3,32,32")
    assert described.exit_code == 2
    assert "knows its own input" in described.output
    unknown = inspect("efficientnet-lite9")
    assert unknown.exit_code == 2
    assert "or a name (efficientnet-lite0)" in " ".join(unknown.output.split())


@pytest.mark.parametrize("model", kept(["efficientnet-lite0", MODEL], "efficientnet-lite0"))
def test_layers_of_the_embedded_model_and_of_its_file(model: object) -> None:
    found = layers_of(model)
    default = next(one for one in found["layers"] if one["name"] == found["default"])
    assert (default["kind"], default["shape"], default["spatial"]) == ("Clip", [1280, 7, 7], True)
    behind = found["layers"][found["layers"].index(default) + 1 :]
    assert [one["spatial"] for one in behind] == [False] * len(behind)
    assert behind[-1]["shape"] == [1000]


def test_layers_as_a_table() -> None:
    done = inspect("efficientnet-lite0", "--layers")
    assert done.exit_code == 0, done.output
    row = next(line for line in done.stdout.splitlines() if "the last one" in line and "│" in line)
    assert "1280 × 7 × 7" in row
    assert "class activation maps are made of /0/_swish_1/Clip_output_0" in done.stdout


def keras_file(folder: Path, *layers: Any) -> Path:
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((12, 10, 3)), *(make(keras.layers) for make in layers)]).save(folder / "net.keras")
    return folder / "net.keras"


SAVED_BY_KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@SAVED_BY_KERAS
def test_layers_of_a_keras_file(tmp_path: Path) -> None:
    path = keras_file(
        tmp_path,
        lambda of: of.Conv2D(4, 3, padding="same", name="conv"),
        lambda of: of.MaxPooling2D(name="pool"),
        lambda of: of.Flatten(name="flat"),
        lambda of: of.Dense(3, name="head"),
    )
    found = layers_of(path)
    shapes = {one["name"]: (one["kind"], one["shape"], one["spatial"]) for one in found["layers"]}
    assert shapes["conv"] == ("Conv2D", [4, 12, 10], True)
    assert shapes["pool"] == ("MaxPooling2D", [4, 6, 5], True)
    assert shapes["head"] == ("Dense", [3], False)
    assert found["default"] == "pool"


@SAVED_BY_KERAS
def test_a_model_without_spatial_axes_says_so(tmp_path: Path) -> None:
    path = keras_file(tmp_path, lambda of: of.Flatten(), lambda of: of.Dense(3))
    assert "no layer has spatial axes" in inspect(path, "--layers").output
    assert layers_of(path)["default"] is None


def torch_net() -> Any:
    torch = pytest.importorskip("torch")
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )


def test_a_torch_export_has_no_layers_to_show_and_says_what_has(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    program = torch.export.export(torch_net().eval(), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    done = inspect(tmp_path / "net.pt2", "--layers")
    assert done.exit_code == 2
    told = " ".join(done.output.split())
    assert "does not let anyone look inside; the list of layers needs Layered" in told
    assert "wrap the ONNX file, the torch module or the Keras model itself" in told


def test_layers_of_a_module_that_a_function_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_nets.py").write_text("from tests.cli.test_models import torch_net\n")
    found = layers_of("some_nets:torch_net", "--shape", "3,8,8")
    assert [one["name"] for one in found["layers"]] == ["0", "1", "2", "3", "4"]
    assert found["default"] == "1"


def test_a_model_of_scores_alone_says_why_it_has_no_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_scores.py").write_text("def make():\n    return lambda images: images.mean((2, 3))\n")
    done = inspect("some_scores:make", "--layers", "--shape", "3,8,8")
    assert done.exit_code == 2
    assert "gives scores but no gradients" in done.output


def test_a_surrogate_gradient_is_not_called_exact(tmp_path: Path) -> None:
    path = tmp_path / "quantised.onnx"
    onnx.save(quantised(), path)
    told = json.loads(inspect(path, "--straight-through", "--json").stdout)
    assert (told["differentiable"], told["surrogate"]) == (True, True)
    assert "surrogate gradients" in inspect(path, "--straight-through").output
    assert "exact" not in inspect(path, "--straight-through").output
    assert json.loads(inspect(path, "--json").stdout)["surrogate"] is False
