"""How far two saliency maps agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blackbox_explain.perturbations.deletion import level_set

__all__ = ["correlation", "equal_area_iou"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

CONSTANT = 1e-3
"""Maps that vary by less are constant."""

LEAST_AREA = 0.01
"""Regions that are compared hold at least this share of the image."""


def correlation(first: Floats, second: Floats) -> float:
    """Return the Pearson correlation of two maps; 0 where one is constant, 1 where both are and agree."""
    constant = [np.ptp(one) < CONSTANT for one in (first, second)]
    if any(constant):
        return float(all(constant) and abs(first.mean() - second.mean()) < CONSTANT)
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def equal_area_iou(first: Floats, second: Floats) -> float:
    """Return the intersection over union of the most salient pixels of two maps.

    As many pixels are taken of either as the first has above 0.5, at least `LEAST_AREA` of all.
    """
    count = max(int((first > 0.5).sum()), math.ceil(LEAST_AREA * first.size))
    one, other = level_set(first, count), level_set(second, count)
    return float((one & other).sum() / (one | other).sum())
