"""What metrics make of saliency maps: values from 0 to 1, smoothed values, ranks, and the boxes of what stands out."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.perturbations.perturbation import blur

__all__ = ["normalised", "rank_correlation", "smoothed", "strongest_pixel", "tightest_box"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def normalised(maps: Floats) -> Floats:
    """Return maps (n, *spatial) that reach from 0 to 1 each; one that is the same everywhere is 0."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    spread = high - low
    return (maps - low) / np.where(spread > 0, spread, 1)


def smoothed(maps: Floats, sigma: float) -> Floats:
    """Return maps (n, *spatial) blurred by a Gaussian of `sigma` pixels, normalised at the borders."""
    return np.asarray(blur(maps[:, None].astype(np.float64), sigma))[:, 0] if sigma > 0 else maps


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's correlation of two maps: that of the ranks of their pixels, equal ones sharing their mean rank.

    Returns
    -------
    float
        1 where all pixels are ranked alike; NaN where a map is the same everywhere.
    """
    from scipy.stats import rankdata

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def strongest_pixel(saliency: Floats) -> tuple[int, ...]:
    """Return the place of the largest value of a map (*spatial); of several, that nearest to the middle of them all.

    Maps of squares are equal in all pixels of one, whose first pixel is a corner.
    """
    places = np.argwhere(saliency == saliency.max())
    away = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    return tuple(int(one) for one in places[away.argmin()])


def tightest_box(region: Booleans) -> tuple[slice, ...]:
    """Return the smallest box that holds a region (*spatial), which is not empty: a slice for each axis."""
    found: list[slice] = []
    for axis in range(region.ndim):
        others = tuple(one for one in range(region.ndim) if one != axis)
        places = np.flatnonzero(region.any(axis=others))
        found.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(found)
