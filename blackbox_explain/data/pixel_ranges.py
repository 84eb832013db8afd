"""Pixel values of any type and range, as bytes: what is black, what is white."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blackbox_explain.errors import ImageError, InputError

__all__ = ["WORD", "as_bytes", "check_white"]

BYTE, WORD = 255.0, 65535.0
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a pixel that cameras and scanners have."""

LEAST_BYTE, LEAST_WORD = 32.0, 16384.0
"""The brightest pixel of a photo in 8 and in 16 bits is hardly darker than this; below, its range is another one."""

CLIPPED = 0.01
"""At most this share of the pixels may lie outside of the range that was stated: hot pixels, overshoots."""


def check_white(white: float | None) -> None:
    """Raise `InputError` unless this is a value that white can have, or None."""
    if white is not None and not (isinstance(white, (int, float, np.number)) and 0 < white < np.inf):
        raise InputError("White is no such value", got=f"white={white!r}", expected="such as 255, 4095 or 65535")


def as_bytes(
    values: np.ndarray[Any, Any], where: str, *, white: float | None = None, told: float | None = None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Scale values so that black is 0 and white is 255.

    Parameters
    ----------
    values
        Booleans, integers or floats of any shape, 0 for black.
    where
        Names the image in messages.
    white
        The value of white, as the user states it; bytes and booleans are never in doubt and not asked.
    told
        The value of white that the file tells; None if it tells none.

    Returns
    -------
    ndarray
        uint8 of the same shape.

    Raises
    ------
    ImageError
        If values are not finite or negative, or if nobody tells the value of white and it cannot be inferred.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(BYTE)
    if values.dtype.kind not in "iuf":
        raise ImageError("These are no pixels", got=f"{where}: {values.dtype}", expected="bytes, or floats in 0 to 1")
    if values.size == 0:
        raise ImageError("This image has no pixels", got=f"{where}: shape {values.shape}")
    exact = values.astype(np.float64)
    if not (finite := np.isfinite(exact)).all():
        count = np.count_nonzero(~finite)
        raise ImageError(
            "The image holds values that are not finite",
            got=f"{where}: NaN or infinity in {count} of {exact.size} values",
            hint="replace them, as with numpy.nan_to_num, and give load_images the array",
        )
    low, high = float(exact.min()), float(exact.max())
    seen = f"{where}: {values.dtype} values from {low:g} to {high:g}"
    if white is not None:
        outside = float(np.mean((exact < 0) | (exact > white)))
        if outside > CLIPPED:
            got = f"{seen}, white={white:g}"
            raise ImageError("The values of this image leave its range", got=got, expected=f"0 to {white:g}")
    else:
        white = told if told is not None and high <= told else _inferred(values.dtype, high, seen)
        if low < -1e-3 * white:
            raise ImageError(
                "The image has negative values",
                got=seen,
                expected="0 for black",
                hint="scale the values to 0 to 1 and give load_images the array",
            )
    return np.clip(np.round(exact / white * BYTE), 0, BYTE).astype(np.uint8)


def _inferred(kind: np.dtype[Any], high: float, seen: str) -> float:
    """Return the value of white, where the brightest pixel leaves no doubt."""
    if high <= 0:
        # Black, whatever white is.
        return 1.0
    if kind.kind == "f" and high <= 1.001:
        return 1.0
    # Sixteen bits without a sign come from cameras, where eight bits would have been stored as such.
    if kind != np.uint16 and LEAST_BYTE <= high <= BYTE + 1:
        return BYTE
    if LEAST_WORD <= high <= WORD + 1:
        return WORD
    guess = next((2**bits - 1 for bits in DEPTHS if LEAST_BYTE < high <= 2**bits - 1), math.ceil(high))
    raise ImageError(
        "Nothing tells which value of this image is white",
        got=seen,
        expected="values that reach up to 1, 255 or 65535",
        hint=f"load_images(..., white={guess}), or --white {guess}, if {guess} is white",
    )
