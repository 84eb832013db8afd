"""Recurrent layers: cuDNN, which gives them no gradient in evaluation mode, is off while they run for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain_adapters._torch.recurrent import holds_recurrent_layers, without_cudnn

SHAPE = (1, 6, 8)
KINDS = ("LSTM", "GRU", "RNN")


class Reader(torch.nn.Module):
    """Reads an image line by line, behind a convolution."""

    def __init__(self, kind: str = "LSTM") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.recurrent = getattr(torch.nn, kind)(8, 5, batch_first=True)
        self.last = torch.nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.recurrent(self.before(images).flatten(1, 2))[0][:, -1])


class Watching(Reader):
    """Notes whether cuDNN is on when it runs, and whether that is for a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append((torch.is_grad_enabled(), torch.backends.cudnn.enabled))
        return super().forward(images)


class Failing(Watching):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(self.seen) > 20:
            raise ValueError("no more")
        return super().forward(images)


def example(model: Reader) -> torch.Tensor:
    return torch.rand(2, *SHAPE, device=model.last.weight.device)


FORMS: dict[str, Callable[[Reader], Any]] = {
    "module": lambda model: model,
    "scripted": torch.jit.script,
    "traced": lambda model: torch.jit.trace(model, example(model)),
    "exported": lambda model: torch.export.export(
        model, (example(model),), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},)
    ),
}


def asked(count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, *SHAPE), dtype=np.float32), rng.standard_normal((count, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _flag_stays() -> Any:
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    yield
    assert before == (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)


@pytest.mark.parametrize("enabled", [True, False])
def test_cudnn_is_off_where_a_gradient_is_asked_for_and_then_as_before(
    enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "enabled", enabled)
    model = Watching().train()
    box: Any = bx.wrap(model, shape=SHAPE)
    images, weights = asked()
    box.scores_and_gradient(images, weights)
    box.inner(images, weights, ["before"])
    box.scores(images)
    assert {flag for graded, flag in model.seen if graded} == {False}
    assert {flag for graded, flag in model.seen if not graded} == {enabled}
    assert torch.backends.cudnn.enabled is enabled
    assert all(one.training for one in model.modules())


def test_the_flag_is_back_after_an_error() -> None:
    model = Failing()
    box: Any = bx.wrap(model, shape=SHAPE)
    model.seen += [(True, True)] * 30
    with pytest.raises(ValueError, match="no more"):
        box.scores_and_gradient(*asked())
    assert torch.backends.cudnn.enabled


@pytest.mark.filterwarnings("ignore")  # of what PyTorch says about its own exports
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_layers_are_seen_in_every_form(kind: str, form: str) -> None:
    made = FORMS[form](Reader(kind).eval())
    module = made.module() if isinstance(made, torch.export.ExportedProgram) else made
    assert holds_recurrent_layers(module)
    assert not holds_recurrent_layers(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), torch.nn.Linear(3, 3)))


def test_other_modules_keep_cudnn() -> None:
    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.seen = torch.nn.Linear(48, 3), list[bool]()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen.append(torch.backends.cudnn.enabled)
            return self.linear(images.flatten(1))

    model = Plain()
    box: Any = bx.wrap(model, shape=SHAPE)
    box.scores_and_gradient(*asked())
    assert set(model.seen) == {True}


def test_two_threads_leave_the_flag_as_the_first_found_it() -> None:
    first, second = without_cudnn(True), without_cudnn(True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.enabled  # the second is still inside
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.enabled


ON_CUDA = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_CUDA)])
@pytest.mark.filterwarnings("ignore")  # of what PyTorch says about its own exports
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_autograd(kind: str, form: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = Reader(kind).eval()
    images, weights = asked()
    leaf = torch.tensor(images).requires_grad_()
    scores = model(leaf)
    (wanted,) = torch.autograd.grad((scores * torch.tensor(weights)).sum(), leaf)
    box: Any = bx.wrap(FORMS[form](model.to(device)), shape=SHAPE, activation="none")
    found = box.scores_and_gradient(images, weights)
    np.testing.assert_allclose(found[0], scores.detach(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], wanted, rtol=1e-4, atol=1e-6)
