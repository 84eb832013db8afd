"""Several timings of one thing summed up, and several things timed in rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["in_rounds", "summary", "timed"]

Call = Callable[[], Any]


def summary(seconds: list[float]) -> dict[str, Any]:
    """Return the median of some timings, with all of them."""
    return {"median_s": float(np.median(seconds)), "all_s": [round(one, 6) for one in seconds]}


def timed(call: Call, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of one call."""
    started = clock()
    call()
    return clock() - started


def in_rounds(
    calls: Mapping[str, Call], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Time each call once in every round, so that figures of one round are of the same minute and can be paired.

    Each round begins with another of them.  Nothing is warmed up.
    """
    names = list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            found[name].append(timed(calls[name], clock))
    return found
