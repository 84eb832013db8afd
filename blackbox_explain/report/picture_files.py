"""Maps as small PNG files (the region, and from which share of the pixels on each is deleted), and photos as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.errors import ResultError
from blackbox_explain.perturbations.deletion import count_at, ranks

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["jpeg", "levels_of", "map_of", "map_png", "picture_of"]


def levels_of(saliency: np.ndarray[Any, Any], shares: Sequence[float]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return for each pixel of a map the number of shares of a curve at which it is not yet deleted."""
    counts = [count_at(share, saliency.size) for share in shares]
    return np.searchsorted(counts, ranks(saliency), side="right").astype(np.uint8)


def map_png(values: np.ndarray[Any, Any]) -> bytes:
    """Return a map (H, W) of booleans or bytes as a PNG file."""
    from PIL import Image

    picture = Image.fromarray(values.astype(np.uint8) * (255 if values.dtype == bool else 1))
    file = io.BytesIO()
    (picture.convert("1") if values.dtype == bool else picture).save(file, "PNG")
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


def picture_of(image: np.ndarray[Any, Any], bounds: tuple[float, float]) -> Image.Image:
    """Return an image (C, H, W) in pixel space, grey or in colour, as a picture in colour."""
    from PIL import Image

    low, high = bounds
    pixels = np.clip((np.moveaxis(image, 0, -1) - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
