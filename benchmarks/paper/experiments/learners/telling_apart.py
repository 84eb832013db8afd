"""Tells maps of clean images from maps of attacked ones, by a small classifier that is the same for all methods."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from blackbox_explain.metrics.maps import normalised

__all__ = ["FOLDS", "SPLITS", "TREES", "TREE_SPLITS", "WAYS", "Way", "described", "features", "told_apart"]

CELLS = 28
RINGS = 160
"""More than the frequencies of 224 pixels, of which those along the diagonal are the highest."""
FOLDS = 5
SPLITS = 10
"""Ways to share the images out among the folds: one alone is a matter of luck."""

TREES, TREE_SPLITS = 300, 2

LEAST_IMAGES = 3
"""Of folds within folds."""

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse regularisation, chosen among within the images that are trained on."""

LEAST = 1e-12
"""Added before logarithms."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def described(maps: Floats) -> dict[str, Floats]:
    """Return what is kept of maps (n, H, W) to tell them apart by: their form, their finest grain, their strength.

    Returns
    -------
    dict
        ``cells`` (n, 2, 28, 28): of maps that are scaled to reach from 0 to 1 the mean of each cell, and the standard
        deviation of its pixels; in half precision.  ``rings`` (n, 160): the mean power of the scaled map by frequency,
        in periods across the map, from 0 up.  ``strength`` (n, 3): the least, the largest and the mean of the map
        before it is scaled.
    """
    count, height, width = maps.shape
    whole = normalised(maps)
    cut = whole[:, : height - height % CELLS, : width - width % CELLS]
    cells = cut.reshape(count, CELLS, cut.shape[1] // CELLS, CELLS, cut.shape[2] // CELLS)
    flat = maps.reshape(count, -1).astype(np.float64)
    return {
        "cells": np.stack([cells.mean(axis=(2, 4)), cells.std(axis=(2, 4))], axis=1).astype(np.float16),
        "rings": _rings(whole, RINGS).astype(np.float32),
        "strength": np.stack([flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1)], axis=1),
    }


def _rings(maps: Floats, count: int) -> Floats:
    """Return the mean power of maps (n, H, W) by frequency (n, count)."""
    power = np.abs(np.fft.fft2(maps.astype(np.float64))) ** 2
    down, across = (np.fft.fftfreq(size) * size for size in maps.shape[1:])
    radius = np.hypot(down[:, None], across).round().astype(int)
    within = radius < count
    places = radius[within]
    sizes = np.maximum(np.bincount(places, minlength=count), 1)
    return np.stack([np.bincount(places, one[within], minlength=count) / sizes for one in power])


def features(maps: Mapping[str, Floats]) -> list[Floats]:
    """Return what a classifier sees of `described` maps: groups of features (n, features), each of one kind."""
    cells = maps["cells"].astype(np.float64)
    groups = [group for plane in range(cells.shape[1]) for group in _of_cells(cells[:, plane])]
    least, largest, mean = maps["strength"].T
    strength = np.stack([largest - least, np.abs(mean)], axis=1)
    return [*groups, np.log(maps["rings"] + LEAST), np.log(strength + LEAST)]


def _of_cells(small: Floats) -> list[Floats]:
    count, height, width = small.shape
    down, across = np.gradient(small, axis=(1, 2))
    values, slopes = (one.reshape(count, height * width) for one in (small, np.hypot(down, across)))
    shares = np.linspace(0, 1, 11)
    return [values, np.concatenate([np.quantile(one, shares, axis=1).T for one in (values, slopes)], axis=1)]


def linear(weights: Floats, inner: Any) -> Any:
    """Return logistic regression on features that weigh so much, regularised as is best in the folds `inner`."""
    search = GridSearchCV(LogisticRegression(max_iter=2000), {"C": STRENGTHS}, cv=inner)
    weighed = FunctionTransformer(partial(operator.mul, weights))
    # Turned by their principal components the rows are as long as there are rows, and nothing is lost.
    return make_pipeline(StandardScaler(), weighed, PCA(), search)


def trees(weights: Floats, inner: Any) -> Any:
    """Return a forest of trees, which sees what depends on several features at once, and needs no weights."""
    del weights, inner
    return ExtraTreesClassifier(TREES, random_state=0, n_jobs=-1)


@dataclass(frozen=True)
class Way:
    """A way to tell maps apart.

    Attributes
    ----------
    groups
        Of `features` that the classifier sees.
    model
        Makes it from the weights of the features and the folds to choose its settings by.
    splits
        Ways to share the images out among the folds.
    """

    groups: slice
    model: Callable[[Floats, Any], Any] = linear
    splits: int = SPLITS


WAYS = {
    "by all that they tell": Way(slice(None)),
    "by their shape alone": Way(slice(-1)),
    "by 28 × 28 means alone": Way(slice(1)),
    "by a forest of trees": Way(slice(None), trees, TREE_SPLITS),
    "by a forest of trees of their shape alone": Way(slice(-1), trees, TREE_SPLITS),
}
"""Claims are of the first.  The others were tried once its figures were known: pictures of maps, which the paper trains
a network on, do not tell how strong a map is, and a network is not linear."""


def told_apart(clean: Sequence[Floats], attacked: Sequence[Floats], way: Way = WAYS["by all that they tell"]) -> Floats:
    """Return which share of each image's two rows (n,) is told right by classifiers of the other images.

    NaN where there are less than three of them.

    Parameters
    ----------
    clean, attacked
        Groups of features (n, features) of the same images, each of which weighs as much as any other.
    way
        To tell them apart.
    """
    count = len(clean[0])
    if count < LEAST_IMAGES:
        return np.full(count, np.nan)
    shown = [which[way.groups] for which in (clean, attacked)]
    seen = np.concatenate([np.concatenate(which, axis=1) for which in shown])
    widths = [one.shape[1] for one in shown[0]]
    weights = np.repeat(1 / np.sqrt(widths), widths)
    truth, image = np.repeat([0, 1], count), np.tile(np.arange(count), 2)
    right = np.zeros(2 * count)
    for split in range(way.splits):
        folds = GroupKFold(min(FOLDS, count), shuffle=True, random_state=split)
        for trained, kept in folds.split(seen, truth, image):
            within = GroupKFold(min(FOLDS, len(np.unique(image[trained]))))
            inner = list(within.split(seen[trained], truth[trained], image[trained]))
            model = way.model(weights, inner).fit(seen[trained], truth[trained])
            right[kept] += model.predict(seen[kept]) == truth[kept]
    return right.reshape(2, count).mean(axis=0) / way.splits
