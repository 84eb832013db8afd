"""Maps as small PNG files: the region, and from which share of the pixels on each one is deleted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.errors import ResultError
from blackbox_explain.perturbations.deletion import count_at, ranks

__all__ = ["levels_of", "map_of", "map_png"]


def levels_of(saliency: np.ndarray[Any, Any], shares: Sequence[float]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return for each pixel of a map the number of shares of a curve at which it is not yet deleted."""
    counts = [count_at(share, saliency.size) for share in shares]
    return np.searchsorted(counts, ranks(saliency), side="right").astype(np.uint8)


def map_png(values: np.ndarray[Any, Any]) -> bytes:
    """Return a map (H, W) of booleans or bytes as a PNG file."""
    from PIL import Image

    picture = Image.fromarray(values.astype(np.uint8) * (255 if values.dtype == bool else 1))
    file = io.BytesIO()
    (picture.convert("1") if values.dtype == bool else picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def map_of(png: bytes) -> np.ndarray[Any, Any]:
    """Return the map that `map_png` made a file of: (H, W), booleans or bytes.

    Raises
    ------
    ResultError
        If it is damaged.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png)) as picture:
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise ResultError("This map is damaged", got=str(error)) from error
