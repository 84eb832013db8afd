"""The same on CUDA as on the CPU, and nothing that goes through the host on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from benchmarks.common.loops import learning_loop
from blackbox_explain.explanation.map_similarity import correlation
from blackbox_explain.methods.mask.settings import Settings
from tests.adapters.torch.conftest import SHAPE

PREPROCESSING = bx.Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), channels="BGR")
CUDA = pytest.param(
    "cuda", marks=(pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))
)
on_cuda = pytest.mark.parametrize("device", [CUDA])
on_either = pytest.mark.parametrize("device", ["cpu", CUDA])


@pytest.fixture(autouse=True)
def _no_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def wrapped(model: torch.nn.Module, device: str, **how: Any) -> Any:
    return bx.wrap(model, shape=SHAPE, preprocessing=PREPROCESSING, device=device, **how)


@on_cuda
@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_are_those_of_the_cpu(
    channels_last: bool, device: str, model: torch.nn.Module, images: np.ndarray
) -> None:
    weights = np.random.default_rng(1).random((3, 5), dtype=np.float32)
    wanted = wrapped(model, "cpu").scores_and_gradient(images, weights)
    found = wrapped(model, device, channels_last=channels_last).scores_and_gradient(images, weights)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@on_cuda
@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_explanations_are_those_of_the_cpu(
    preset: Any, device: str, model: torch.nn.Module, images: np.ndarray
) -> None:
    settings: dict[str, Any] = {"preset": preset, "steps": 8, "progress": False}
    found, wanted = (bx.explain(wrapped(model, one), images, [0, 1, 2], **settings) for one in (device, "cpu"))
    assert isinstance(found.saliency, np.ndarray)
    for ours, theirs in zip(found.saliency, wanted.saliency, strict=True):
        assert correlation(ours, theirs) > 0.999
    np.testing.assert_allclose(found.score, wanted.score, rtol=1e-4)


@on_either
def test_the_model_stays_where_it_is(device: str, model: torch.nn.Module, images: np.ndarray) -> None:
    box = wrapped(model, device)
    box.scores(images)
    assert {one.device.type for one in model.parameters()} == {"cpu"}
    assert {one.device.type for one in box.module.parameters()} == {device}


@on_either
@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_the_loop_stays_on_the_device(
    preset: Any, device: str, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = wrapped(model, device)
    seen: list[tuple[str, str]] = []
    usual = type(box).scores_and_gradient

    def watched(self: Any, images: Any, weights: Any) -> Any:
        scores, gradient = usual(self, images, weights)
        seen.extend((one.device.type, type(one).__name__) for one in (images, weights, scores, gradient))
        return scores, gradient

    monkeypatch.setattr(type(box), "scores_and_gradient", watched)
    loop, _, _ = learning_loop(box, Settings(preset, steps=4), 4)
    loop()
    assert len(seen) == 4 * 4
    assert set(seen) == {(device, "Tensor")}


@on_cuda
def test_a_step_does_not_wait_for_the_device(
    device: str, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first gradient and the last, PyTorch makes an error of each wait that it knows of."""
    box = wrapped(model, device)
    usual, calls = type(box).scores_and_gradient, [0]
    steps = 4

    def watched(self: Any, images: Any, weights: Any) -> Any:
        calls[0] += 1
        torch.cuda.set_sync_debug_mode("default" if calls[0] == steps else "error")
        return usual(self, images, weights)

    loop, _, _ = learning_loop(box, Settings("fast", steps=steps), 4)
    loop()  # what is made once is made
    monkeypatch.setattr(type(box), "scores_and_gradient", watched)
    try:
        loop()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert calls[0] == steps
