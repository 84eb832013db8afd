"""Images in parts: superpixels by scikit-image, or equal windows of signals."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from blackbox_explain.errors import BackendMissingError, install_hint
from blackbox_explain.setting_ranges import check_whole

__all__ = ["check_packages", "check_segments", "kept_where", "segments_of"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

MOST_SEGMENTS = 10_000
"""Of an image: what is asked of it grows with their square."""

PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
"""By the names that they are imported by."""

COMPACTNESS = 10.0
"""How far nearness counts beside likeness of colour, as `slic` has it for images in CIELAB."""

LEAST_SHARE = 0.5
"""Of the parts that were asked for: where there are fewer, nearness is to count more."""

STEP, MOST_COMPACTNESS = 3.0, 1e4
"""By how much each time, up to where the parts are all but squares."""


def segments_of(images: Floats, count: int, bounds: tuple[float, float]) -> list[Labels]:
    """Divide images into at most `count` parts each.

    Parameters
    ----------
    images
        (n, C, *spatial) in pixel space.
    count
        How many parts there may be; there are mostly some fewer.
    bounds
        Of the pixels.

    Returns
    -------
    list
        For each image (*spatial) the number of the part of every pixel, from 0 on: superpixels by SLIC (Achanta et al.
        2012) of images and volumes; windows of equal length of signals.

    Raises
    ------
    BackendMissingError
        If scikit-image is not installed, which superpixels need.
    """
    if not _need_superpixels(images.shape[2:]):
        return [_windows(images.shape[2:], count) for _ in images]
    low, high = bounds
    found: list[Labels] = []
    for image in images:
        pixels = np.moveaxis((image - low) / (high - low), 0, -1).astype(np.float64)
        in_colour = pixels.shape[-1] == 3 and pixels.ndim == 3
        found.append(_superpixels(pixels, count, in_colour))
    return found


def check_packages(method: str, spatial: tuple[int, ...], *others: str) -> None:
    """Raise `BackendMissingError` unless what superpixels of images of a size need is installed, and others."""
    needed = ("skimage", *others) if _need_superpixels(spatial) else others
    for module in needed:
        if find_spec(module) is None:
            raise BackendMissingError(
                f"The method {method!r} needs {PACKAGES[module]}, which is not installed",
                hint=install_hint("segments"),
            )


def _need_superpixels(spatial: tuple[int, ...]) -> bool:
    return sum(size > 1 for size in spatial) > 1


def _superpixels(pixels: Floats, count: int, in_colour: bool) -> Labels:
    try:
        from skimage.segmentation import slic
    except ModuleNotFoundError as error:
        hint = install_hint("segments")
        raise BackendMissingError("Superpixels need scikit-image, which is not installed", hint=hint) from error
    wanted, compactness = count, COMPACTNESS
    while True:
        labels = slic(
            pixels,
            n_segments=wanted,
            # Values that are no colours are brought to the range 0 to 1; those of CIELAB reach to 100.
            compactness=compactness if in_colour else compactness / 100,
            convert2lab=in_colour,
            channel_axis=-1,
            start_label=0,
        )
        numbers, flat = np.unique(labels, return_inverse=True)
        if len(numbers) < LEAST_SHARE * min(count, labels.size) and compactness < MOST_COMPACTNESS:
            # Of a busy image the parts fall into crumbs, which are then joined, in the end all of them.
            wanted, compactness = count, compactness * STEP
        elif len(numbers) <= count or wanted == 1:
            return flat.reshape(labels.shape).astype(np.int64)
        else:
            # Seeds are laid on a grid, which may have a few more places than were asked for.
            wanted -= 1


def _windows(spatial: tuple[int, ...], count: int) -> Labels:
    size = int(np.prod(spatial))
    return (np.arange(size) * min(count, size) // size).reshape(spatial)


def kept_where(labels: list[Labels], there: list[Booleans]) -> Callable[[int, slice], Floats]:
    """Return a function that makes masks: 1 in the parts of an image that are there.

    Parameters
    ----------
    labels
        From `segments_of`.
    there
        For each image (masks, parts), which parts each mask keeps.
    """

    def masks(row: int, part: slice) -> Floats:
        return np.moveaxis(there[row][part].astype(np.float32).T[labels[row]], -1, 0)

    return masks


def check_segments(settings: Any) -> None:
    """Raise `InputError` unless images can be divided into as many parts as the setting ``segments`` says."""
    check_whole(settings, "segments", least=2, most=MOST_SEGMENTS)
