"""Several timings of one thing summed up, and several things timed in rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

__all__ = ["in_rounds", "summary", "timed", "timed_answer"]

Call = Callable[[], Any]
Answer = TypeVar("Answer")


def summary(seconds: list[float]) -> dict[str, Any]:
    """Return the median of some timings, with all of them."""
    return {"median_s": float(np.median(seconds)), "all_s": [round(one, 6) for one in seconds]}


def timed(call: Call, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of one call."""
    return timed_answer(call, clock)[0]


def timed_answer(call: Callable[[], Answer], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Answer]:
    """Return the seconds of one call, and what it returned."""
    started = clock()
    found = call()
    return clock() - started, found


def in_rounds(
    calls: Mapping[str, Call],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: bool = False,
) -> dict[str, list[float]]:
    """Time each call once in every round, so that figures of one round are of the same minute and can be paired.

    Each round begins with another of them.  Where it is to be `warm`, each is called untimed just before.
    """
    names = list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            if warm:
                calls[name]()
            found[name].append(timed(calls[name], clock))
    return found
