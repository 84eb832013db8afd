"""An image alone on a CPU: the bits that it gets in company, by as few rows as that takes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.overrides import TorchFunctionMode

import blackbox_explain as bx
from blackbox_explain_adapters._torch.alone.company import Company
from blackbox_explain_adapters._torch.alone.rows_alike import Convolution, RowsAlike

SHAPE = (3, 24, 24)
MANY = Company.AFTER + 4


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
    # Pairs at first; noise alone, without some convolutions and as a pair; and from then on alone.
    tried, rest = module.rows[Company.AFTER : -3], module.rows[-3:]
    assert module.rows[: Company.AFTER] == [2] * Company.AFTER
    assert tried in ([1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2])
    assert rest == [1, 1, 1]


def rounded_by_rows(x: torch.Tensor) -> torch.Tensor:
    """Return other last bits for other numbers of rows."""
    return x * (1 + 1e-6 * len(x))


def test_a_module_that_goes_another_way_without_gradient_is_asked_both_ways(images: np.ndarray) -> None:
    module = Counting(lambda x: x if torch.is_grad_enabled() else rounded_by_rows(x))
    asked(module, images)
    assert module.rows[-1] == 1
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    for _ in range(MANY):
        box.scores(images[:1])
    assert module.rows[-1] == 2


def test_a_module_whose_bits_depend_on_its_company_is_run_as_pairs(images: np.ndarray) -> None:
    module = Counting(rounded_by_rows)
    asked(module, images)
    assert module.rows[-2:] == [2, 2]


def test_a_module_that_looks_at_the_number_of_images_is_found_out(images: np.ndarray) -> None:
    module = Counting(lambda x: x * len(x))
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    assert any("depend on the images beside it" in one for one in box.assumptions)
    with torch.no_grad():
        expected = module(torch.tensor(images[:1]))
    for given in (images, images[:1]):
        np.testing.assert_allclose(box.scores(given)[:1], expected, rtol=1e-5)


def test_a_module_that_takes_no_single_image_is_run_as_pairs(images: np.ndarray) -> None:
    module = Counting(lambda x: x.squeeze() if len(x) > 1 else x[0])
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    for _ in range(MANY):
        alone = box.scores(images[:1])
    assert module.rows[-1] == 2
    module.rows.clear()
    np.testing.assert_array_equal(box.scores(images)[:1], alone)
    assert module.rows == [3]


def test_of_a_gradient_of_zeros_nothing_is_known(images: np.ndarray) -> None:
    module = Counting(lambda x: x.detach() + 0 * x)
    asked(module, images)
    assert module.rows[-1] == 2


def test_convolutions_that_differ_are_run_as_pairs() -> None:
    convolution, given = nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8, requires_grad=True)
    expected, seen, rows = convolution(given), set[Convolution](), list[int]()

    class Counting(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.conv2d:
                rows.append(len(args[0]))
            return func(*args, **(kwargs or {}))

    with Counting(), RowsAlike(seen=seen):
        convolution(given)
        convolution(torch.cat([given, given]))
    (only,) = seen
    with Counting(), RowsAlike({only}):
        answer = convolution(given)
        nn.Conv2d(3, 4, 3, stride=2)(given)
    assert rows == [1, 2, 2, 1]
    torch.testing.assert_close(answer, expected)
    (slope,), (other,) = (torch.autograd.grad(one.sum(), given) for one in (answer, expected))
    torch.testing.assert_close(slope, other)


def test_what_a_convolution_is_tried_out_with_is_all_but_its_values() -> None:
    seen = set[Convolution]()
    first, same = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    with RowsAlike(seen=seen), torch.no_grad():
        for layer in (first, same, nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, bias=False)):
            layer(torch.rand(1, 3, 8, 8))
        nn.Conv1d(3, 4, 3)(torch.rand(1, 3, 8))
        first(torch.rand(1, 3, 8, 8).to(memory_format=torch.channels_last))
        torch.conv2d(torch.rand(1, 3, 8, 8), weight=first.weight)  # by keyword: left as it is
        first(torch.rand(3, 8, 8))  # no batch
    assert len(seen) == 5  # `first` in two layouts, and three others
    assert all(one.differs() in (True, False) for one in seen)


def test_the_trial_leaves_generators_as_they_were(images: np.ndarray) -> None:
    module = Counting(lambda x: x * torch.rand(x.shape))
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    found: list[np.ndarray] = []
    for _ in range(MANY):
        torch.manual_seed(11)
        found.append(box.scores(images[:1]))
    # Where the trial drew numbers that others then miss, the call that it was made in would tell.
    for one in found:
        np.testing.assert_array_equal(one, found[0])


class Fails(Counting):
    """Cannot be run on what is no photo, once it is wrapped."""

    strict = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.strict and float(x.detach().std()) > 0.28:
            raise ValueError("too noisy")
        return super().forward(x)


def test_a_module_that_fails_on_noise_is_run_as_pairs(images: np.ndarray) -> None:
    module = Fails()
    box: Any = bx.wrap(module, shape=SHAPE, activation="none")
    module.strict = True
    for _ in range(MANY):
        box.scores(images[:1] / 2)
    assert module.rows[-1] == 2


def test_what_saves_memory_by_computing_twice_still_runs(images: np.ndarray) -> None:
    class Twice(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.rows.append(len(x))
            inner = torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False)
            return self.head(inner.mean((2, 3)))

    found = asked(Twice(), images)
    for one in found[1:]:
        for part, expected in zip(one, found[0], strict=True):
            np.testing.assert_array_equal(part, expected)


def test_copies_and_pickles_find_out_for_themselves(images: np.ndarray) -> None:
    box: Any = bx.wrap(nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 5)), shape=SHAPE, activation="none")
    for _ in range(MANY):
        box.scores(images[:1])
    assert box._network._company._verdicts
    again: Any = pickle.loads(pickle.dumps(box))  # noqa: S301 - its own
    assert not again._network._company._verdicts
    assert not box._network.copied()._company._verdicts
    np.testing.assert_array_equal(again.scores(images), box.scores(images))
