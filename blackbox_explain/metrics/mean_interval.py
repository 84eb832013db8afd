"""The interval of a mean over images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from blackbox_explain.binomial_interval import clopper_pearson

__all__ = ["LEAST", "interval_of_mean"]

LEVEL = 0.95

LEAST = 6
"""Images that an interval is of, at least: with fewer, the true mean lies outside the range of the values in more than
5 % of samples (2 of 2ⁿ where values are symmetric)."""

RESAMPLES = 5000
"""Samples of the bootstrap."""

AT_ONCE = 10_000_000
"""Values that are drawn at once."""


def interval_of_mean(
    values: np.ndarray[Any, np.dtype[np.floating[Any]]],
    seed: int,
    images: Sequence[Hashable] = (),
    *,
    hits: bool = False,
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values; NaN of fewer than `LEAST` images, or where all have one value.

    (All hits, or all misses, have an interval too.)

    Percentiles of a bootstrap that are as far out as few images need (expanded percentiles of Hesterberg, *What
    Teachers Should Know About the Bootstrap*, 2015); of hits and misses the binomial interval of Clopper and Pearson.
    Values of one image are drawn together, and images with unequal numbers of them count as the fewer that they are
    worth, (Σ m)² / Σ m² (Kish, 1965).

    Parameters
    ----------
    values
        (n,), finite.
    seed
        Of the bootstrap.
    images
        (n,) what image each value is of; () where each is of its own.
    hits
        Whether values are 0 or 1 by what they are.
    """
    place: dict[Hashable, int] = {}
    which = np.asarray([place.setdefault(one, len(place)) for one in images] if images else range(len(values)), int)
    counts = np.bincount(which).astype(np.float64)
    n = float(counts.sum() ** 2 / (counts**2).sum()) if len(counts) else 0.0
    if n < LEAST:
        return np.nan, np.nan
    if hits:
        return clopper_pearson(float(values.mean()) * n, n, LEVEL)
    sums = np.bincount(which, values)
    if np.allclose(sums / counts, sums[0] / counts[0], rtol=1e-9, atol=0):
        return np.nan, np.nan
    from scipy.stats import bootstrap, norm, t

    tail = float(norm.cdf(np.sqrt(n / (n - 1)) * t.ppf((1 - LEVEL) / 2, n - 1)))
    found = bootstrap(
        (sums, counts),
        lambda sums, of, axis: sums.sum(axis=axis) / of.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // len(counts)),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)
