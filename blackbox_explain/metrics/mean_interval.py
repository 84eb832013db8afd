"""The interval of a mean over images."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["interval_of_mean"]

RESAMPLES = 2000
"""Samples of the bootstrap."""


def interval_of_mean(values: np.ndarray[Any, np.dtype[np.floating[Any]]], seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of finite values (n,): percentiles of a bootstrap; NaN of fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    from scipy.stats import bootstrap

    rng = np.random.default_rng(seed)
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=rng).confidence_interval
    return float(found.low), float(found.high)
