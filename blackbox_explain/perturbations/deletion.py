"""Hard deletion: a region fully perturbed, the rest untouched; and the region of a map at a size."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["deleted", "level_set"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
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
    gone = np.asarray(perturbation.levels(images, spec, seed)[0])
    return np.where(regions[:, None], gone, images).astype(images.dtype, copy=False)


def level_set(saliency: Floats, count: int) -> Booleans:
    """Return where a map (*spatial) is largest, as exactly `count` pixels; of equal ones the first."""
    region = np.zeros(saliency.size, dtype=bool)
    region[np.argsort(-saliency.ravel(), kind="stable")[:count]] = True
    return region.reshape(saliency.shape)
