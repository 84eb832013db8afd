"""Masks applied to images again: those of eq. 4 that were learned before, and any other beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.kept import Arrays
from blackbox_explain import BlackBox
from blackbox_explain.arrays import to_numpy
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.methods.mask.settings import make_perturbation
from blackbox_explain.methods.upsampling import important_of, make_upsampling
from blackbox_explain.perturbations.deletion import count_at, level_set
from blackbox_explain.perturbations.level_stack import LevelStack

__all__ = ["applied", "disc_of", "gone_by", "gone_of", "masked_by"]


def applied(box: BlackBox, settings: dict[str, Any], image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Arrays:
    """Return the map of a mask, and the image masked by it, as its explanation holds them.

    Parameters
    ----------
    box, settings
        What was explained, and how: settings of the mask learner.
    image
        (1, *shape) in pixel space.
    mask
        (*cells), 1 keeps.

    Returns
    -------
    dict
        ``saliency`` (H, W) and ``masked_image`` (*shape).
    """
    method, spatial = Mask(**settings), box.spec.spatial
    levels = make_perturbation(method).levels(image, box.spec, 0)
    up = make_upsampling(method.upsampling, mask.shape, spatial, mask).up(mask[None])
    masked = LevelStack(levels, spatial).mixed(up)[0]
    saliency = important_of(up, method.region_game)
    return {"saliency": to_numpy(saliency)[0], "masked_image": to_numpy(masked)[0]}


def masked_by(
    box: BlackBox, settings: dict[str, Any], image: np.ndarray[Any, Any], keeps: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return an image (1, *shape) perturbed as the mask learner does, by masks (n, H, W) with a value for each pixel.

    Parameters
    ----------
    box, settings, image
        As `applied` has them.
    keeps
        1 keeps.
    """
    levels = make_perturbation(Mask(**settings)).levels(image, box.spec, 0)
    return to_numpy(LevelStack(levels, box.spec.spatial).mixed(keeps.astype(image.dtype))[0])


def gone_by(settings: dict[str, Any], keeps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return how much of each pixel (H, W) a ranking's region takes away, 0 to 1: its edge is soft where it is applied.

    Parameters
    ----------
    settings
        Of the mask learner.
    keeps
        (H, W), 0 in the region.
    """
    up = make_upsampling(Mask(**settings).upsampling, keeps.shape, keeps.shape, keeps).up(keeps[None])
    return 1 - to_numpy(up)[0].astype(np.float16)


def gone_of(found: Arrays) -> np.ndarray[Any, Any]:
    """Return how much of each pixel (H, W) is gone, 0 to 1, from the image that a mask of `map_of` masked."""
    return found["saliency"] if "mask" in found else found["gone"].astype(np.float32)


def disc_of(area: float, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the disc in the middle of an image (H, W) that covers a share of it."""
    height, width = shape
    down, across = np.ogrid[:height, :width]
    nearness = -np.hypot(down - (height - 1) / 2, across - (width - 1) / 2)
    return level_set(nearness, count_at(area, nearness.size))
