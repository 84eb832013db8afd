"""State and company: what `wrap` finds out about a model before anyone asks for scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.probing import COMPANY, COMPANY_STAYS, RANDOM, company_images, habits
from blackbox_explain.errors import ModelError

SHAPE = (3, 16, 16)
FILTERS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).random((3, *SHAPE), dtype=np.float32)


def means(images: Any) -> Any:
    return images.mean(axis=(2, 3)) @ FILTERS


def centred(images: np.ndarray) -> np.ndarray:
    return means(images) - means(images).mean(axis=0)


def quantised(images: np.ndarray) -> np.ndarray:
    """Scaled by the largest value of the whole batch, as dynamic quantisation does."""
    scale = np.abs(images).max() / 7
    return means(np.rint(images / scale) * scale)


class Train(torch.nn.Module):
    """BatchNorm that computes with the statistics of its batch, whatever mode the module is in."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = torch.nn.functional.batch_norm(images, None, None, training=True)
        return seen[:, :, 4:9, 4:9].mean(dim=(2, 3)) @ torch.tensor(FILTERS)


class Dropping(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(images, 0.5).mean(dim=(2, 3)) @ torch.tensor(FILTERS)


class Alone(torch.nn.Module):
    """Takes one image at a time, as a network that was traced with one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(1, -1)[:, :768].reshape(1, 3, 256).mean(dim=2) @ torch.tensor(FILTERS)


def in_training(images: np.ndarray) -> np.ndarray:
    """Call a network that was left in training mode."""
    return Train()(torch.tensor(images)).numpy()


def name_of(model: Any) -> str:
    """Return the same name in every process that collects the tests."""
    return getattr(model, "__qualname__", type(model).__name__)


@pytest.mark.parametrize("model", [centred, quantised, in_training, Train()], ids=name_of)
def test_scores_that_depend_on_the_batch_are_asked_for_one_by_one(model: Any, images: np.ndarray) -> None:
    box = bx.wrap(model, shape=SHAPE, activation="none")
    assert COMPANY in box.assumptions
    alone = np.concatenate([box.scores(images[row : row + 1]) for row in range(3)])
    np.testing.assert_array_equal(box.scores(images), alone)
    module = model if isinstance(model, torch.nn.Module) else lambda rows: torch.tensor(model(rows.numpy()))
    expected = torch.cat([module(torch.tensor(images[row : row + 1])) for row in range(3)])
    np.testing.assert_allclose(alone, expected, atol=1e-6)


def test_the_gradient_is_that_of_the_image_alone(images: np.ndarray) -> None:
    box: Any = bx.wrap(Train(), shape=SHAPE, activation="none")
    leaf = torch.tensor(images[:1], requires_grad=True)
    Train()(leaf)[0, 2].backward()
    found = box.scores_and_gradient(images, np.tile(np.eye(4, dtype=np.float32)[2], (3, 1)))[1]
    np.testing.assert_allclose(found[:1], leaf.grad, atol=1e-6)


def noisy(images: np.ndarray) -> np.ndarray:
    return means(images + np.random.default_rng().normal(0, 0.1, images.shape).astype(np.float32))


class Counting:
    """Keeps a state: each call moves the scores."""

    calls = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        return means(images) * self.calls


@pytest.mark.parametrize("model", [noisy, Counting(), Dropping()], ids=name_of)
def test_answers_that_do_not_repeat_are_told_loudly(model: Any, images: np.ndarray) -> None:
    box = bx.wrap(model, shape=SHAPE, activation="none")
    assert RANDOM in box.assumptions
    result = bx.explain(box, images[:1], 0, progress=False, steps=1, queries=100)
    assert RANDOM in result.provenance.assumptions


class Deep(torch.nn.Module):
    """Rounds differently by the number of rows, and is no company for that."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        widths = [torch.nn.Linear(768 if k == 0 else 256, 256) for k in range(6)]
        self.body = torch.nn.Sequential(torch.nn.Flatten(), *[m for w in widths for m in (w, torch.nn.ReLU())])
        self.head = torch.nn.Linear(256, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images))


def through(network: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: network(torch.tensor(images)).detach().numpy()


@pytest.mark.parametrize("model", [means, Deep(), through(Deep()), Deep().to(torch.bfloat16)], ids=name_of)
def test_rounding_is_neither_company_nor_chance(model: Any) -> None:
    box = bx.wrap(model, shape=SHAPE)
    assert not {COMPANY, COMPANY_STAYS, RANDOM} & set(box.assumptions)


def test_a_module_for_one_image_gets_one_image(images: np.ndarray) -> None:
    box: Any = bx.wrap(Alone(), shape=SHAPE, activation="none")
    assert any("one image at a time only" in one for one in box.assumptions)
    np.testing.assert_allclose(box.scores(images), means(images), atol=1e-6)
    gradient = box.scores_and_gradient(images, np.tile(np.eye(4, dtype=np.float32)[1], (3, 1)))[1]
    np.testing.assert_allclose(gradient, np.broadcast_to(FILTERS[:, 1, None, None] / 256, images.shape), atol=1e-7)


def test_a_function_that_squeezes_gets_two_images(images: np.ndarray) -> None:
    box = bx.wrap(lambda rows: np.squeeze(means(rows)), shape=SHAPE, activation="none")
    assert any("two images at a time only" in one for one in box.assumptions)
    np.testing.assert_allclose(box.scores(images[:1]), means(images[:1]), atol=1e-6)


def test_company_under_a_fixed_batch_is_told(images: np.ndarray) -> None:
    box = bx.wrap(centred, shape=SHAPE, fixed_batch=4, activation="none")
    assert COMPANY_STAYS in box.assumptions


def test_batch_statistics_that_need_company_are_refused() -> None:
    norm = torch.nn.BatchNorm1d(3).train()
    with pytest.raises(ModelError, match=r"fails on one image alone.*model\.eval\(\)"):
        bx.wrap(lambda rows: norm(torch.tensor(rows).mean((2, 3))).detach().numpy()[: len(rows)], shape=SHAPE)


def test_habits_are_those_of_the_first_image() -> None:
    images = company_images(bx.InputSpec(SHAPE))
    assert habits(means, images).repeats
    assert habits(means, images).independent
    assert not habits(quantised, images).independent
    assert not habits(noisy, images).repeats
