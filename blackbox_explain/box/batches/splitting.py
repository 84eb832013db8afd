"""Batches: of images, fewer at a time where memory runs out; of rows, split until those that fail stand alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from blackbox_explain.box.batches.sizes import BATCH, FixedBatch, Policy
from blackbox_explain.errors import BlackBoxExplainError, ModelError, OutOfMemoryError, TargetError, UnreachableError

__all__ = ["BATCH", "BatchLimit", "is_out_of_memory", "split_until_done"]

Row = TypeVar("Row")

Waiting = tuple[slice, BlackBoxExplainError | None]


OUT_OF_MEMORY = ("can't allocate memory", "not enough memory: you tried to allocate", "out of memory", "_ALLOC_FAILED")
"""What PyTorch says where it has no type of error for that: on Linux, Windows, devices, and in their libraries."""


@dataclass
class BatchLimit:
    """How many images a model is run on at once; all views of an oracle share it, so that memory runs out but once.

    Attributes
    ----------
    images
        At most.
    notes
        Says each time that it was halved.
    """

    images: int = BATCH
    notes: list[str] = field(default_factory=list[str])

    def halve(self, tried: int) -> None:
        """Ask for half of the images for which memory ran out."""
        self.images = max(1, tried // 2)
        self.notes.append(f"memory ran out at {tried} images, halved")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of any array library means that memory ran out."""
    by_type = isinstance(error, (MemoryError, OutOfMemoryError)) or type(error).__name__ == "OutOfMemoryError"
    return by_type or (isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY))


def split_until_done(
    count: int,
    size: int | Policy,
    work: Callable[[slice], Sequence[Row | BlackBoxExplainError]],
    *,
    may_begin: Callable[[slice], bool] = lambda _rows: True,
    given_up: Callable[[slice, BlackBoxExplainError], BlackBoxExplainError] = lambda _rows, cause: cause,
    on_end: Callable[[slice], Any] = lambda _rows: None,
    notes: list[str] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Row | BlackBoxExplainError]:
    """Work through `count` rows in batches, and return a result or an error for each.

    A model that cannot be reached at all fails its whole batch at once.

    Parameters
    ----------
    count, size
        Number of rows, and of those in a batch, or what decides on it as the work goes on.
    work
        A batch of rows to as many results or errors.  What it raises as `ModelError`, `TargetError` or for want of
        memory has the batch split in two; anything else is raised.
    may_begin
        Whether a batch that failed before may be worked on again, in parts.
    given_up
        Called with rows that `may_begin` refuses and the error that they were split for; returns the error of each.
    on_end
        Called with rows that are done.
    notes
        Where to say what happened on the way.
    clock
        Tells the seconds that batches take.
    """
    sizes = FixedBatch(size) if isinstance(size, int) else size
    found: dict[int, Sequence[Row | BlackBoxExplainError]] = {}
    # Each with the failure of the batch that it was split from.
    waiting: deque[Waiting] = deque()
    first = 0
    while waiting or first < count:
        if not waiting:
            waiting.append((slice(first, first + sizes.next(count - first)), None))
            first = waiting[0][0].stop
        batch, cause = waiting.popleft()
        width = batch.stop - batch.start
        given = cause if cause is not None and not may_begin(batch) else None
        started = clock()
        outcome = given or _attempt(work, batch)
        if not isinstance(outcome, BlackBoxExplainError):
            if cause is None:
                sizes.done(width, clock() - started)
            found[batch.start] = outcome
            on_end(batch)
            continue
        if width == 1 or isinstance(outcome, UnreachableError):
            found[batch.start] = [given_up(batch, outcome) if given else outcome] * width
            on_end(batch)
            continue
        if notes is not None and isinstance(outcome, OutOfMemoryError) and not given:
            notes.append(f"memory ran out at a batch of {width}, halved")
        elif notes is not None and isinstance(outcome, ModelError) and not isinstance(cause, ModelError):
            notes.append(f"the model failed at a batch of {width}, which was split: {outcome}")
        if isinstance(outcome, OutOfMemoryError) and not given:
            sizes.ran_short(width)
        middle = batch.start + width // 2
        parts = (slice(batch.start, middle), slice(middle, batch.stop))
        waiting.extendleft((part, outcome) for part in reversed(parts))
    return [row for start in sorted(found) for row in found[start]]


def _attempt(
    work: Callable[[slice], Sequence[Row | BlackBoxExplainError]], batch: slice
) -> Sequence[Row | BlackBoxExplainError] | BlackBoxExplainError:
    try:
        return work(batch)
    except Exception as error:
        # Without its traceback, which would keep the arrays of the batch alive.
        if is_out_of_memory(error):
            return OutOfMemoryError("Memory ran out", got=f"a batch of {batch.stop - batch.start}")
        if isinstance(error, (ModelError, TargetError)):
            return error.with_traceback(None)
        raise
