"""Hard deletion: a region fully perturbed, the rest untouched; and the region of a map at a size."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.perturbations.levels import levels_of
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["count_at", "deleted", "level_set", "ranks"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


def deleted(images: Floats, regions: Booleans, perturbation: Perturbation, spec: InputSpec, seed: int = 0) -> Floats:
    """Return images with a region of each deleted.

    Parameters
    ----------
    images
        (n, *shape) in pixel space.
    regions
        (n, *spatial), true where an image is deleted.
    perturbation
        What stands in for it.
    spec
        Of the black box.
    seed
        Of its noise.
    """
    gone = np.asarray(levels_of(perturbation, images, spec, seed)[0])
    return np.where(regions[:, None], gone, images).astype(images.dtype, copy=False)


def ranks(saliency: Floats) -> Counts:
    """Return the place of each pixel of a map (*spatial) in the order of saliency, 0 for the most salient.

    Of equal ones the first comes first; what is NaN is last.
    """
    falling = -saliency.ravel()
    order = np.argsort(falling)  # several times as fast as a stable sort, and the same unless values are equal
    placed = falling[order]
    if (placed[1:] == placed[:-1]).any() or np.isnan(placed[-1:]).any():
        order = np.argsort(falling, kind="stable")
    found = np.empty(saliency.size, dtype=np.int64)
    found[order] = np.arange(saliency.size)
    return found.reshape(saliency.shape)


def count_at(share: float, size: int) -> int:
    """Return how many of `size` pixels a share is: at least one, of a share above 0."""
    return 0 if share <= 0 else min(size, max(1, round(share * size)))


def level_set(saliency: Floats, count: int) -> Booleans:
    """Return where a map (*spatial) is largest, as exactly `count` pixels; of equal ones the first."""
    return ranks(saliency) < count
