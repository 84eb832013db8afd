"""PyTorch gradients that are cut, or that are NaN where a finite one exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.errors import NoGradientError
from blackbox_explain_adapters._torch.gradient import MENDED

SHAPE = (1, 8, 8)


class Cut(torch.nn.Module):
    """A linear layer behind something."""

    def __init__(self, before: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(64, 3)
        self.before = before

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.before(images).flatten(1))


class Without(Cut):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return super().forward(images)


class Winner(Cut):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(super().forward(images).argmax(1), 3).float()


def bytes_of(images: torch.Tensor) -> torch.Tensor:
    return (images * 255).to(torch.uint8).float() / 255


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Cut(bytes_of), "cut off from the scores, as by a cast to whole numbers"),
        (Cut(torch.Tensor.detach), "cut off"),
        (Cut(lambda images: torch.round(images * 8) / 8), "0 for every plain image, behind the operation round"),
        (Without(torch.relu), "computed under no_grad"),
        (Winner(torch.relu), "made of whole numbers"),
    ],
)
def test_a_gradient_that_is_cut_is_estimated_from_scores_and_the_reason_told(model: Cut, reason: str) -> None:
    images = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    box: Any = bx.wrap(model, shape=SHAPE)
    assert not isinstance(box, bx.Differentiable)
    raw = model(torch.tensor(images)).detach()
    expected = raw if isinstance(model, Winner) else raw.softmax(1)
    np.testing.assert_allclose(box.scores(images), expected, atol=1e-6)
    result = bx.explain(box, images, 0, queries=100, progress=False)
    assert result.provenance.gradients == "estimated"
    assert reason in result.provenance.why_estimated
    with pytest.raises(NoGradientError, match=reason):
        bx.explain(box, images, method="gradient")


def test_a_rounding_that_lets_the_gradient_through_is_differentiated() -> None:
    box = bx.wrap(Cut(lambda images: images + (torch.round(images) - images).detach()), shape=SHAPE)
    assert isinstance(box, bx.Differentiable)


class Spectrogram(torch.nn.Module):
    """Magnitudes sqrt(re² + im²) of a signal, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.register_buffer("re", torch.tensor(rng.standard_normal((8, 1, 16)), dtype=torch.float32))
        self.register_buffer("im", torch.tensor(rng.standard_normal((8, 1, 16)), dtype=torch.float32))
        self.register_buffer("head", torch.tensor(rng.standard_normal((8, 2)), dtype=torch.float32))

    def forward(self, signals: torch.Tensor) -> torch.Tensor:
        parts = [torch.nn.functional.conv1d(signals, one, stride=8) for one in (self.re, self.im)]
        return torch.sqrt(parts[0] ** 2 + parts[1] ** 2).mean(2) @ self.head

    def analytic(self, signal: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the gradient by hand, 0 for frames of silence."""
        re, im, head = (one.double().numpy() for one in (self.re, self.im, self.head))
        found, frames = np.zeros_like(signal, dtype=np.float64), (signal.shape[-1] - 16) // 8 + 1
        for frame in range(frames):
            window = signal[0, 0, 8 * frame : 8 * frame + 16].astype(np.float64)
            a, b = re[:, 0] @ window, im[:, 0] @ window
            size = np.hypot(a, b)
            share = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0) * (head @ weights[0]) / frames
            found[0, 0, 8 * frame : 8 * frame + 16] += (share * a) @ re[:, 0] + (share * b) @ im[:, 0]
        return found


def half_silent() -> np.ndarray:
    signal = (0.3 * np.sin(np.arange(512) / 3))[None, None].astype(np.float32)
    signal[..., :256] = 0
    return signal


def test_silence_in_a_spectrogram_has_the_gradient_zero_and_the_rest_its_own() -> None:
    model, signal, weights = Spectrogram(), half_silent(), np.asarray([[1.0, -0.5]], np.float32)
    box: Any = bx.wrap(model, shape=(1, 512), bounds=(-1, 1), activation="none")
    assert MENDED in box.assumptions  # silence is among the plain images
    found = box.scores_and_gradient(signal, weights)[1]
    np.testing.assert_allclose(found, model.analytic(signal, weights), atol=1e-5)
    assert np.abs(found[..., 256:]).max() > 1e-3
    assert not found[..., :240].any()
    result = bx.explain(box, signal, 0, perturbation=bx.Constant(0.0), progress=False, steps=5)
    assert not result.outcome[0].failed


def test_a_gradient_that_is_torn_later_is_mended_then_and_noted() -> None:
    class Root(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([(images - 0.3).square().sum((1, 2, 3)).sqrt(), images.mean((1, 2, 3))], 1)

    box: Any = bx.wrap(Root(), shape=SHAPE, activation="none")
    assert MENDED not in box.assumptions
    images = np.stack([np.full(SHAPE, 0.3, np.float32), np.full(SHAPE, 0.8, np.float32)])
    found = box.scores_and_gradient(images, np.ones((2, 2), np.float32))[1]
    assert MENDED in box.assumptions
    np.testing.assert_allclose(found[0], np.full(SHAPE, 1 / 64), atol=1e-6)
    np.testing.assert_allclose(found[1], np.full(SHAPE, 1 / 8 + 1 / 64), atol=1e-6)


def test_a_branch_that_is_masked_does_not_spoil_the_other() -> None:
    class Masked(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logs = torch.where(images > 0, torch.log(images), 0.0)
            return torch.stack([logs.sum((1, 2, 3)), images.mean((1, 2, 3))], 1)

    image = np.full((1, *SHAPE), 0.5, np.float32)
    image[..., :4] = 0
    box: Any = bx.wrap(Masked(), shape=SHAPE, activation="none")
    found = box.scores_and_gradient(image, np.asarray([[1.0, 0.0]], np.float32))[1]
    np.testing.assert_allclose(found[..., 4:], 2.0, atol=1e-6)
    np.testing.assert_array_equal(found[..., :4], 0.0)
