"""An image alone on a CPU: the bits that it gets in company, by as few rows as that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import blackbox_explain as bx
from blackbox_explain_adapters._torch import rows_alike
from blackbox_explain_adapters._torch.rows_alike import Company, RowsAlike

SHAPE = (3, 24, 24)
MANY = Company.AFTER + 3


class Counting(nn.Module):
    """A network that notes how many rows it is given, and may look at its company."""

    def __init__(self, looks: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 30, 3), nn.ReLU()
        )
        self.head = nn.Linear(30, 5)
        self.looks = looks
        self.rows: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(x))
        return self.head(self.looks(self.body(x)).mean((2, 3)))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).random((3, *SHAPE), dtype=np.float32)


def asked(module: Counting, images: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return scores and gradient of the first image, in company and then alone, again and again."""
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    weights = np.eye(5, dtype=np.float32)[[0, 0, 0]]
    first = [one[:1] for one in box.scores_and_gradient(images, weights)]
    module.rows.clear()
    return [tuple(first), *(box.scores_and_gradient(images[:1], weights[:1]) for _ in range(MANY))]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_image_alone_has_the_bits_of_company_and_is_run_alone_in_the_end(images: np.ndarray, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        module = Counting()
        found = asked(module, images)
    finally:
        torch.set_num_threads(before)
    for one in found[1:]:
        for part, expected in zip(one, found[0], strict=True):
            np.testing.assert_array_equal(part, expected)
    # Pairs at first; then one of noise alone, the same as a pair, and from then on alone.
    assert module.rows == [2] * Company.AFTER + [1, 2, 1, 1, 1]


def test_a_module_that_looks_at_its_company_is_run_as_pairs(images: np.ndarray) -> None:
    module = Counting(lambda x: x * len(x))
    asked(module, images)
    assert module.rows[-2:] == [2, 2]


def test_of_a_gradient_of_zeros_nothing_is_known(images: np.ndarray) -> None:
    module = Counting(lambda x: x.detach() + 0 * x)
    asked(module, images)
    assert module.rows[-1] == 2


def test_convolutions_that_differ_are_run_as_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_alike, "_alike", lambda *_: False)
    convolution, given = nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8, requires_grad=True)
    seen: list[int] = []
    usual = torch.cat
    monkeypatch.setattr(torch, "cat", lambda rows: seen.append(len(rows)) or usual(rows))
    with RowsAlike():
        answer = convolution(given)
    assert seen == [2]
    assert answer.shape == (1, 4, 6, 6)
    torch.testing.assert_close(answer, convolution(given))
    (slope,) = torch.autograd.grad(answer.sum(), given)
    (expected,) = torch.autograd.grad(convolution(given).sum(), given)
    torch.testing.assert_close(slope, expected)


def test_a_convolution_is_tried_out_once_and_as_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_alike, "_ALIKE", {})
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, stride=2)
    with RowsAlike(), torch.no_grad():
        for _ in range(2):
            first(torch.rand(1, 3, 8, 8))
            second(torch.rand(1, 3, 8, 8))
            first(torch.rand(2, 3, 8, 8))
    assert len(rows_alike._ALIKE) == 2


def test_noise_for_the_trial_leaves_the_generators_as_they_were(images: np.ndarray) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    module = Counting()  # whose weights are seeded
    torch.set_rng_state(before)
    asked(module, images)
    assert torch.equal(torch.get_rng_state(), before)
