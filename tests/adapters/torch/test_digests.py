"""What tells one PyTorch module from another, and what is made anew when a module changes."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain_adapters._torch.parameters import digest_of

IMAGES = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, torch.nn.Linear(4, 5)).eval()


def frozen(seed: int = 0) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.freeze(torch.jit.trace(network(seed), torch.rand(2, 3, 8, 8)))


def with_constant(value: float) -> torch.nn.Module:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * torch.full((5,), value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(Scaled(), torch.rand(2, 3, 8, 8))


def dynamic(seed: int) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(network(seed), {torch.nn.Linear})


@pytest.mark.parametrize("make", [network, frozen, dynamic])
def test_other_weights_are_another_model(make: Callable[[int], torch.nn.Module]) -> None:
    assert digest_of(make(0)) == digest_of(make(0)) != digest_of(make(1))


def test_other_constants_are_another_model() -> None:
    assert digest_of(with_constant(1.0)) == digest_of(with_constant(1.0)) != digest_of(with_constant(2.0))


def test_frozen_scripts_are_wrapped_and_pickled() -> None:
    box = bx.wrap(frozen(), shape=(3, 8, 8), activation="none")
    expected = network()(torch.tensor(IMAGES)).detach().numpy()
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        again = pickle.loads(pickle.dumps(box))  # noqa: S301 - its own
    np.testing.assert_allclose(again.scores(IMAGES), expected, atol=1e-5)


class Tempered(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.temperature = 1.0
        self.register_buffer("shift", torch.zeros(5), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) / self.temperature + self.shift


@pytest.mark.parametrize("change", ["attribute", "buffer", "layer"])
def test_other_backward_rules_follow_what_no_parameter_tells(change: str) -> None:
    pytest.importorskip("onnxscript")
    module = Tempered()
    box: Any = bx.wrap(module, shape=(3, 8, 8), activation="none")
    weights = np.eye(5, dtype=np.float32)[:2]
    bx.explain(box, IMAGES, method="guided-backprop", progress=False)
    if change == "attribute":
        module.temperature = 0.25
    elif change == "buffer":
        module.shift += 1
    else:
        module.inner[1] = torch.nn.LeakyReLU(0.5)
    scores, _ = box.with_backward("guided", of="logits").scores_and_gradient(IMAGES, weights)
    np.testing.assert_allclose(scores, box.scores(IMAGES), atol=1e-4)
    again = bx.explain(box, IMAGES, method="guided-backprop", progress=False)
    fresh = bx.explain(
        bx.wrap(module, shape=(3, 8, 8), activation="none"), IMAGES, method="guided-backprop", progress=False
    )
    np.testing.assert_allclose(again.attribution, fresh.attribution, atol=1e-6)


class Nested(torch.nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.inner, self.form = network(), form

    def forward(self, x: torch.Tensor) -> Any:
        logits, features = self.inner(x), x.mean(dim=(2, 3))
        return {
            "first": lambda: (({"logits": logits}), features),
            "named": lambda: {"output": {"logits": logits}, "features": features},
            "both": lambda: ((logits, 2 * logits), features),
        }[self.form]()


@pytest.mark.parametrize("form", ["first", "named"])
def test_scores_in_a_container_are_not_passed_over(form: str) -> None:
    module = Nested(form)
    box = bx.wrap(module, shape=(3, 8, 8), activation="none")
    np.testing.assert_allclose(box.scores(IMAGES), module.inner(torch.tensor(IMAGES)).detach().numpy(), atol=1e-5)
    assert any("logits" in one for one in box.assumptions)


def test_of_two_in_a_container_the_caller_says_which() -> None:
    with pytest.raises(bx.errors.UnsupportedModelError, match=r"output='0\.0'"):
        bx.wrap(Nested("both"), shape=(3, 8, 8), activation="none")
    box = bx.wrap(Nested("both"), shape=(3, 8, 8), activation="none", output="0.1")
    assert box.scores(IMAGES).shape == (2, 5)


def test_channels_last_models_may_view_their_input() -> None:
    class Viewed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(8 * 8 * 3, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.view(len(x), -1))

    module = Viewed()
    box = bx.wrap(module, shape=(3, 8, 8), activation="none", preprocessing=bx.Preprocessing(layout="channels_last"))
    expected = module(torch.tensor(np.ascontiguousarray(np.moveaxis(IMAGES, 1, -1)))).detach().numpy()
    np.testing.assert_allclose(box.scores(IMAGES), expected, atol=1e-5)
