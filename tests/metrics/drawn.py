"""Explanations whose maps are drawn by hand, of images that come from photos or from none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

import blackbox_explain as bx
from blackbox_explain.data.photos import Photo
from tests.toys import Linear

__all__ = ["drawn", "value_of", "values_of"]


def drawn(maps: np.ndarray, photos: Sequence[Photo | None] | None = None, box: Any = None) -> bx.Explanation:
    """Return an explanation of class 0 in images of ones with these maps (n, H, W)."""
    model = box or Linear(np.ones((1, *maps.shape[1:])))
    made = bx.explain(model, np.ones((len(maps), *model.spec.shape)), 0, method="gradient", progress=False)
    return dataclasses.replace(made, saliency=maps.astype(np.float64), photos=None if photos is None else tuple(photos))


def values_of(metric: Any, explained: bx.Explanation, box: Any = None) -> list[float]:
    """Return what a metric says of each row."""
    model = box or Linear(np.ones((1, *explained.saliency.shape[1:])))
    return bx.evaluate(model, explained, [metric], progress=False).measurements[0].values.tolist()


def value_of(metric: Any, explained: bx.Explanation, box: Any = None) -> float:
    """Return what a metric says of the only row."""
    (value,) = values_of(metric, explained, box)
    return value
