"""Tells maps of clean images from maps of attacked ones, by a small classifier that is the same for all methods."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from blackbox_explain.metrics.maps import normalised

__all__ = ["features", "pooled", "told_apart"]

CELLS = 28
FOLDS = 5
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse regularisation, chosen among within the images that are trained on."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def pooled(maps: Floats) -> Floats:
    """Return the 28 × 28 means and spreads of maps (n, H, W) that are scaled to reach from 0 to 1, in half precision.

    Returns
    -------
    array
        (n, 2, 28, 28): the mean of each cell, and the standard deviation of its pixels, which tells of single pixels.
    """
    count, height, width = maps.shape
    whole = normalised(maps)[:, : height - height % CELLS, : width - width % CELLS]
    cells = whole.reshape(count, CELLS, height // CELLS, CELLS, width // CELLS)
    return np.stack([cells.mean(axis=(2, 4)), cells.std(axis=(2, 4))], axis=1).astype(np.float16)


def features(maps: Floats) -> Floats:
    """Return what a classifier sees of `pooled` maps (n, 2, 28, 28): they themselves, quantiles, slopes, spectrum."""
    return np.concatenate([_features(maps[:, plane]) for plane in range(maps.shape[1])], axis=1)


def _features(maps: Floats) -> Floats:
    small, count = maps.astype(np.float64), len(maps)
    down, across = np.gradient(small, axis=(1, 2))
    slopes = np.hypot(down, across)
    shares = np.linspace(0, 1, 11)
    power = np.log(np.abs(np.fft.fft2(small)) ** 2 + 1e-6)
    steps = np.fft.fftfreq(CELLS) * CELLS
    radius = np.hypot(steps[:, None], steps).round().astype(int)
    rings = np.stack([power[:, radius == one].mean(axis=1) for one in range(CELLS // 2)], axis=1)
    quantiles = [np.quantile(one.reshape(count, -1), shares, axis=1).T for one in (small, slopes)]
    return np.concatenate([small.reshape(count, -1), *quantiles, rings], axis=1)


def told_apart(clean: Floats, attacked: Floats) -> Floats:
    """Return how many of each image's two maps (n,) are told right, 0, 0.5 or 1, by classifiers of the other images.

    Parameters
    ----------
    clean, attacked
        (n, 2, 28, 28) `pooled` maps of the same images; at least as many as there are folds within folds.
    """
    count = len(clean)
    seen = np.concatenate([features(clean), features(attacked)])
    truth, image = np.repeat([0, 1], count), np.tile(np.arange(count), 2)
    right = np.zeros(2 * count)
    for trained, kept in GroupKFold(min(FOLDS, count)).split(seen, truth, image):
        inner = list(GroupKFold(min(FOLDS, count - 1)).split(seen[trained], truth[trained], image[trained]))
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        search = GridSearchCV(model, {"logisticregression__C": STRENGTHS}, cv=inner)
        right[kept] = search.fit(seen[trained], truth[trained]).predict(seen[kept]) == truth[kept]
    return right.reshape(2, count).mean(axis=0)
