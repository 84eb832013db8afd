"""What `methods_for` says beyond what a box has: packages that are missing, rules that a framework does not have."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import BackendMissingError, InputError, UnsupportedModelError
from tests.methods.test_all_methods import BY_RULES
from tests.toys import Scores


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """Let some packages seem not to be installed."""
    find_spec = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name in missing else find_spec(name, package)

    for module in (
        "blackbox_explain.methods.occlusions.segments",
        "blackbox_explain_adapters._torch.exporting",
    ):
        monkeypatch.setattr(f"{module}.find_spec", found)


def means(images: Any) -> Any:
    return images.reshape(len(images), -1).mean(axis=1)[:, None]


def test_methods_of_superpixels_are_not_allowed_without_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    image, signal = (Scores(means, (1, *size)) for size in ((8, 8), (8,)))
    without(monkeypatch, "skimage")
    for name in ("lime", "shapley", "segment-graying"):
        why = bx.methods_for(image)[name]
        assert why is not None
        assert f"'{name}' needs scikit-image" in why
        assert 'pip install ".[segments]"' in why
        # Signals are divided into windows.
        assert bx.methods_for(signal)[name] is None
    without(monkeypatch, "sklearn")
    assert "needs scikit-learn" in str(bx.methods_for(signal)["lime"])


def test_a_model_that_was_not_wrapped_is_no_black_box() -> None:
    with pytest.raises(InputError, match=r"wrap"):
        bx.methods_for(means)  # type: ignore[arg-type]


class ExactAlone:
    """A box that has no rules but the exact ones, as those of Keras."""

    spec = InputSpec((1, 8, 8))
    backward_rules = ("exact",)

    def scores(self, images: Any) -> Any:
        return images.mean(axis=(1, 2, 3))[:, None]

    def scores_and_gradient(self, images: Any, weights: Any) -> Any:
        return self.scores(images), np.ones_like(images) * weights[:, :1, None, None] / images[0].size

    def with_backward(self, rules: Any, of: Any = "scores", **settings: Any) -> Any:
        raise UnsupportedModelError("Every operation has its own rule alone", got=f"rules={rules!r}")


@pytest.mark.parametrize("name", BY_RULES)
def test_rules_that_a_box_does_not_have_are_not_allowed(name: str) -> None:
    why = bx.methods_for(ExactAlone())[name]
    assert why is not None
    assert why.startswith("Every operation has its own rule alone")
    with pytest.raises(UnsupportedModelError, match="own rule alone"):
        bx.explain(ExactAlone(), np.zeros((1, 1, 8, 8), np.float32), 0, method=name, progress=False)


def test_rules_of_keras_are_not_allowed() -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    allowed = bx.methods_for(bx.wrap(keras.Sequential(layers)))
    assert all("pass every operation by its own rule alone" in str(allowed[name]) for name in BY_RULES)
    assert allowed["grad-cam"] is None


def test_rules_of_torch_need_what_the_export_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    box = bx.wrap(module.eval(), shape=(3, 8, 8), activation="softmax")
    assert all(bx.methods_for(box)[name] is None for name in BY_RULES)
    without(monkeypatch, "onnxscript")
    assert all("no onnxscript" in str(bx.methods_for(box)[name]) for name in BY_RULES)
    with pytest.raises(BackendMissingError, match="onnxscript"):
        bx.explain(box, np.zeros((1, 3, 8, 8), np.float32), 0, method="lrp", progress=False)
