"""How many rows are worked on together: a fixed number, or the one at which the most are done in a second."""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass, field
from math import log2
from statistics import median
from typing import Any

__all__ = ["AUTO", "BATCH", "FastestBatch", "FixedBatch", "Policy", "SizesFound", "policy_of"]

BATCH = 16
"""Images in one call of the model; where the fastest size is looked for, the first that is tried."""

AUTO = "auto"

GAIN = 1.05
"""How much more twice the rows must do in a second for twice of these to be tried."""

FALL = 0.9
"""Smaller sizes are tried until one does less than this share of the best: half may do no more, and a quarter may."""

ALIKE = 1.02
"""Sizes that differ by no more are alike, and the one nearest to the first is taken."""

LARGEST = 1024


@dataclass(frozen=True)
class FixedBatch:
    """Always so many rows.

    Attributes
    ----------
    size
        At least 1.
    """

    size: int

    def next(self, left: int) -> int:
        """Return how many of the rows that are left are worked on next."""
        return min(self.size, left)

    def done(self, rows: int, seconds: float) -> None:
        """Hear that a batch took so long."""

    def ran_short(self, rows: int) -> None:
        """Hear that memory did not suffice for a batch."""


@dataclass
class FastestBatch:
    """Doubles the rows for as long as more are done in a second, else halves them; then stays at the best size.

    It learns from the batches of the run itself, so that no row is worked on twice: a call of few rows is one batch.
    The first batch warms up and is not counted.  Results must not depend on sizes, which depend on the clock.

    Attributes
    ----------
    start
        The first size.
    settled
        The best size, once it is known; what an earlier run found is not looked for again.
    """

    start: int = BATCH
    settled: int | None = None
    _rates: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    _warm: bool = False
    _most: int = LARGEST

    @property
    def size(self) -> int:
        """Rows of the next batch, were there enough of them."""
        if self.settled is not None:
            return min(self.settled, self._most)
        return self._tried()

    def next(self, left: int) -> int:
        """Return how many of the rows that are left are worked on next."""
        return min(self.size, left)

    def done(self, rows: int, seconds: float) -> None:
        """Hear that a batch took so long; one of another size than is tried, as the last of a run, tells nothing."""
        if self.settled is not None and not self._rates:
            return  # known from an earlier run
        if not self._warm:
            self._warm = True
        elif rows == self.size and seconds > 0:
            self._rates.setdefault(rows, []).append(rows / seconds)
            self._settle()

    def ran_short(self, rows: int) -> None:
        """Hear that memory did not suffice for a batch: none as large is tried again."""
        self._most = max(1, min(self._most, rows // 2))
        self._settle()

    def _rate(self, size: int) -> float | None:
        return median(self._rates[size]) if size in self._rates else None

    def _tried(self) -> int:
        """Return the size to be measured next: up for as long as it gains; down, where the first step up did not."""
        size = min(self.start, self._most)
        while (rate := self._rate(size)) is not None and 2 * size <= self._most:
            above = self._rate(2 * size)
            if above is None:
                return 2 * size
            if above < GAIN * rate:
                break
            size *= 2
        if size != min(self.start, self._most):
            return size
        best = 0.0
        while (rate := self._rate(size)) is not None and size > 1:
            best = max(best, rate)
            if rate < FALL * best:
                break
            size //= 2
        return size

    def _settle(self) -> None:
        """Stay at the best size once there is nothing more to try."""
        known = {size: rate for size in self._rates if size <= self._most and (rate := self._rate(size)) is not None}
        self.settled = None
        if known and self._tried() in known:
            good = [size for size, rate in known.items() if rate * ALIKE >= max(known.values())]
            self.settled = min(good, key=lambda size: abs(log2(size / self.start)))


Policy = FixedBatch | FastestBatch


class SizesFound:
    """Fastest sizes that earlier runs found, by the model and by what is done with it, for as long as a model lives."""

    def __init__(self) -> None:
        self._sizes: weakref.WeakKeyDictionary[Any, dict[str, int]] = weakref.WeakKeyDictionary()

    def of(self, box: Any, task: str) -> int | None:
        """Return the size, None where no run was long enough to find it."""
        try:
            return self._sizes.get(box, {}).get(task)
        except TypeError:  # a box of the user's that has no hash, or no weak references
            return None

    def keep(self, box: Any, task: str, size: int) -> None:
        """Remember a size; of a box that can be no key nothing is remembered."""
        with contextlib.suppress(TypeError):
            self._sizes.setdefault(box, {})[task] = size


def policy_of(batch_size: int | str, known: int | None = None) -> Policy:
    """Return what decides on the sizes of batches: a number of rows, or ``"auto"``, whose best size may be known."""
    return FastestBatch(settled=known) if batch_size == AUTO else FixedBatch(int(batch_size))
