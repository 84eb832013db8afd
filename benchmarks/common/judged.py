"""Whether a limit is kept beyond what chance makes, and how a figure is told with its spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.paper.statistics import SURE, Compared, against, all_hold, compared

__all__ = ["WORDS", "ratios_of", "said", "spread", "within"]

WORDS = {True: "met", False: "missed", None: "undecided"}
"""Of verdicts; undecided where the repetitions are too few, or vary too much, to tell."""


def within(cases: Iterable[Sequence[float]], limit: float) -> bool | None:
    """Return whether each case is below a limit: False where one is above it, beyond chance.

    By Wilcoxon's signed-rank test, by which a repetition that the machine disturbed counts as one; where repetitions
    are too few for their ranks to tell, for so many cases, by a t-test of their mean.
    """
    several = [np.asarray(one, dtype=float) for one in cases]
    return all_hold((_beside(one, limit, len(several)), "lower") for one in several)


def _beside(values: np.ndarray[Any, np.dtype[np.float64]], limit: float, cases: int) -> Compared:
    if 2.0 ** (1 - len(values)) * cases >= SURE:  # the least p that ranks can have
        return against(values, limit)
    found = compared(values, np.full_like(values, limit))
    return replace(found, difference=float(np.median(values)) - limit)


def said(holds: bool | None) -> str:
    """Return the verdict as a word."""
    return WORDS[holds]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median of repetitions, with their quartiles and number: ``1.03 (1.02 to 1.05, 9 times)``.

    Of one value, which may be the median that an older file holds, there is no spread to tell.
    """
    if len(values) == 1:
        return f"{values[0]:{form}} (no spread)"
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:{form}} ({low:{form}} to {high:{form}}, {len(values)} times)"


def ratios_of(row: dict[str, Any]) -> list[float]:
    """Return the ratio of each pair of repetitions of a row that `Paired.to_dict` made, the first over the second.

    Of an older row, which holds none, its one ratio.
    """
    if "repetitions" not in row:
        return [float(row["ratio"])]
    first, second = (one["all_ms"] for one in row["repetitions"].values())
    return [ours / other for ours, other in zip(first, second, strict=True)]
