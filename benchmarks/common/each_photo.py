"""Scores left of photos one by one, so that what left them can be compared photo by photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.masked import hard_deletion
from blackbox_explain import BlackBox, Explanation

__all__ = ["left_of_each", "means_of"]

Each = dict[str, list[float]]
"""By share, one value for each photo."""


def left_of_each(
    box: BlackBox,
    images: np.ndarray[Any, Any],
    results: Sequence[Explanation],
    ranking: np.ndarray[Any, Any],
    shares: Sequence[float],
    *,
    keep: bool = False,
) -> Each:
    """Return what `hard_deletion` does of each photo by itself: the normalised score left for each share."""
    found: Each = {f"{share:.2f}": [] for share in shares}
    rows = [result[row] for result in results for row in range(len(result))]
    for place, row in enumerate(rows):
        one = slice(place, place + 1)
        for share, left in hard_deletion(box, images[one], [row], ranking[one], shares, keep=keep).items():
            found[share].append(round(left, 6))
    return found


def means_of(each: Each) -> dict[str, float]:
    """Return the mean over the photos, by share."""
    return {share: float(np.mean(values)) for share, values in each.items()}
