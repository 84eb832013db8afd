"""Images in pixel space as PNG files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError

__all__ = ["MODES", "png_files"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""What a PNG file may hold, by its number of channels."""


def png_files(images: np.ndarray[Any, Any], bounds: tuple[float, float]) -> list[bytes]:
    """Write each image as a PNG file of 8 bits, its pixels rounded.

    Parameters
    ----------
    images
        (N, C, H, W) in `bounds`; C is 1, 3 or 4.
    bounds
        Smallest and largest value of pixel space, which become 0 and 255; what lies outside is clipped.

    Raises
    ------
    InputError
        If a number is not finite.
    """
    from PIL import Image

    if not np.isfinite(images).all():
        raise InputError("The images hold numbers that are not finite", got="NaN or infinity", expected="pixels")
    low, high = bounds
    # In one precision, so that an image is rounded to the same bytes whatever type it comes in.
    levels = np.rint((images.astype(np.float64) - low) * (255 / (high - low)))
    pixels = np.moveaxis(np.clip(levels, 0, 255).astype(np.uint8), 1, -1)
    files: list[bytes] = []
    for one in pixels:
        file = io.BytesIO()
        # Files that live for a moment are worth little compression.
        Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one).save(file, "PNG", compress_level=1)
        files.append(file.getvalue())
    return files
