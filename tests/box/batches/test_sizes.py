"""Sizes of batches: the fastest is found by a clock, memory that runs out is survived, and results stay the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain import explaining
from blackbox_explain.box.batches.sizes import BATCH, FastestBatch, FixedBatch, SizesFound, policy_of
from blackbox_explain.box.batches.splitting import split_until_done
from blackbox_explain.errors import InputError
from blackbox_explain.methods.by_name import method_of
from tests.toys import Linear

Seconds = Callable[[int], float]


class Machine:
    """Works on rows in the time that a function says, by a clock of its own."""

    def __init__(self, seconds: Seconds, most: int = 10**6) -> None:
        self.seconds, self.most = seconds, most
        self.now, self.sizes = 0.0, list[int]()

    def __call__(self) -> float:
        return self.now

    def work(self, rows: slice) -> list[int]:
        width = rows.stop - rows.start
        if width > self.most:
            raise MemoryError
        self.sizes.append(width)
        self.now += self.seconds(width)
        return list(range(rows.start, rows.stop))

    def run(self, count: int, sizes: Any, notes: list[str] | None = None) -> list[Any]:
        return split_until_done(count, sizes, self.work, clock=self, notes=notes)


CURVES: dict[str, Seconds] = {
    "a device that is never full": lambda rows: 1.0 + 1e-6 * rows,
    "a device that is full at 128": lambda rows: max(1.0, rows / 128),
    "each row alike": lambda rows: 0.1 * rows,
    "a cache that holds 4": lambda rows: rows * (1.0 if rows <= 4 else 2.0) + 0.05,
    "a cache that holds 16": lambda rows: rows * (1.0 if rows <= 16 else 1.5) + 2.0,
    "one at a time": lambda rows: rows**1.5,
}


@pytest.mark.parametrize("name", CURVES)
def test_the_size_that_is_found_is_within_a_tenth_of_the_best(name: str) -> None:
    seconds, machine, sizes = CURVES[name], Machine(CURVES[name]), FastestBatch()
    machine.run(20_000, sizes)
    best = max(2**power / seconds(2**power) for power in range(11))
    assert sizes.size / seconds(sizes.size) >= 0.9 * best
    # The most of the run is at that size.
    assert machine.sizes.count(sizes.size) * sizes.size >= 0.5 * 20_000


def test_rows_that_fit_in_one_batch_are_one_batch() -> None:
    machine = Machine(CURVES["each row alike"])
    assert machine.run(BATCH, FastestBatch()) == list(range(BATCH))
    assert machine.sizes == [BATCH]


def test_the_first_batch_warms_up_and_is_not_counted() -> None:
    machine = Machine(lambda rows: 100.0 if not machine.sizes[1:] else 0.1 * rows)
    sizes = FastestBatch()
    machine.run(2_000, sizes)
    assert machine.sizes[:8] == [16, 16, 32, 8, 4, 2, 1, 16]  # neither more nor fewer gain anything
    assert sizes.size == 16


def test_memory_that_runs_out_bounds_the_sizes() -> None:
    machine, sizes, notes = Machine(CURVES["a device that is never full"], most=100), FastestBatch(), list[str]()
    assert machine.run(5_000, sizes, notes) == list(range(5_000))
    assert notes == ["memory ran out at a batch of 128, halved"]
    assert sizes.size == 64


def test_memory_that_does_not_suffice_for_the_first_size_is_survived() -> None:
    machine, sizes = Machine(CURVES["each row alike"], most=3), FastestBatch()
    assert machine.run(300, sizes) == list(range(300))
    assert sizes.size in (1, 2)


def test_a_size_that_is_known_is_not_looked_for_again() -> None:
    machine = Machine(CURVES["a device that is full at 128"], most=100)
    machine.run(300, policy_of("auto", known=64))
    assert machine.sizes == [64, 64, 64, 64, 44]
    sizes = policy_of("auto", known=128)  # found when more memory was free
    machine.run(5_000, sizes)
    assert sizes.size == 64


def test_what_was_found_is_remembered_as_long_as_the_model_lives() -> None:
    found, box = SizesFound(), Linear(np.ones((1, 8, 8)))
    found.keep(box, "a method", 64)
    assert (found.of(box, "a method"), found.of(box, "another")) == (64, None)
    assert found.of(Linear(np.ones((1, 8, 8))), "a method") is None
    without_hash: Any = []
    found.keep(without_hash, "a method", 64)
    assert found.of(without_hash, "a method") is None


def test_the_next_call_begins_with_the_size_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    box, images = Linear(np.ones((1, 8, 8))), np.random.default_rng(0).random((70, 1, 8, 8))
    sizes = SizesFound()
    explain = partial(bx.explain, method="gradient", batch_size="auto", progress=False)
    monkeypatch.setattr(explaining, "SIZES", sizes)
    first = explain(box, images, 0)
    sizes.keep(box, repr(method_of("gradient", {})), 35)
    assert explain(box, images, 0).provenance.batch_size == 35
    np.testing.assert_array_equal(explain(box, images, 0).saliency, first.saliency)


def test_one_slow_batch_does_not_lose_a_settled_size() -> None:
    sizes = FastestBatch()
    for rows, seconds in ((16, 9.0), (16, 1.6), (32, 3.2), (8, 1.6), (16, 1.6), (16, 9.0), (16, 1.6)):
        sizes.done(rows, seconds)
    assert sizes.size == 16


def test_a_number_stays_what_it_is() -> None:
    machine, sizes = Machine(CURVES["a device that is never full"]), policy_of(7)
    assert isinstance(sizes, FixedBatch)
    machine.run(20, sizes)
    assert machine.sizes == [7, 7, 6]


def test_results_are_the_same_whatever_the_size() -> None:
    rng = np.random.default_rng(0)
    box = Linear(rng.normal(size=(1, 8, 8)))
    images = rng.random((70, 1, 8, 8))
    options: dict[str, Any] = {"steps": 2, "progress": False}
    found = [bx.explain(box, images, 0, batch_size=size, **options) for size in ("auto", 5, 70)]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].saliency, other.saliency)
        np.testing.assert_array_equal(found[0].share, other.share)


@pytest.mark.parametrize("size", ["automatic", 0, 2.5, True, None])
def test_other_sizes_are_refused(size: Any) -> None:
    with pytest.raises(InputError, match="batch_size="):
        bx.explain(Linear(np.ones((1, 8, 8))), np.ones((1, 1, 8, 8)), 0, batch_size=size)
