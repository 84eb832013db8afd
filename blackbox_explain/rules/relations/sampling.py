"""Images sampled elsewhere than at their pixels, in floats: rotated, resized, and continued beyond their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from blackbox_explain.rules.relations.relation import Image

if TYPE_CHECKING:
    from PIL import Image as Pillow

__all__ = ["BORDERS", "Border", "padded", "resized", "rotated"]

Border = Literal["reflect", "edge", "mean"]
"""What is taken to lie beyond the edges of an image.

``"reflect"``, the image mirrored there: values, textures and contrasts are those of the image, and there is no
seam. Black corners, or any of one colour, are a shape of their own with strong edges, to which networks answer; a
rule would then be about corners.  ``"edge"``, the outermost pixels again: no seam and no second object, but
streaks.  ``"mean"``, the mean colour of the image: for comparison.
"""

BORDERS: tuple[Border, ...] = ("reflect", "edge", "mean")


def padded(image: Image, margins: Sequence[int], border: Border) -> Image:
    """Continue an image (C, *spatial) beyond its edges by a number of pixels on both ends of each spatial axis."""
    widths = ((0, 0), *((margin, margin) for margin in margins))
    if border != "mean":
        return np.pad(image, widths, mode="symmetric" if border == "reflect" else "edge")
    made = np.empty([size + sum(width) for size, width in zip(image.shape, widths, strict=True)], np.float32)
    made[...] = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    inside = (slice(margin, margin + size) for margin, size in zip(margins, image.shape[1:], strict=True))
    made[(slice(None), *inside)] = image
    return made


def resized(image: Image, size: tuple[int, int], window: tuple[float, float, float, float] | None = None) -> Image:
    """Resize an image (C, H, W), or a window of it, by a bicubic filter that is wide enough to shrink without aliasing.

    Parameters
    ----------
    image
        The image.
    size
        New height and width.
    window
        Left, top, right and bottom of what is resized, in pixels from the image's corner; pixel centres lie at halves.
    """
    from PIL import Image as Pillow

    height, width = size
    return _stacked([one.resize((width, height), Pillow.Resampling.BICUBIC, box=window) for one in _planes(image)])


def rotated(image: Image, degrees: float, border: Border) -> Image:
    """Rotate an image (C, H, W) counter-clockwise about its centre, as `numpy.rot90` does; the size stays.

    Bicubic: bilinear interpolation takes half the time, but also a quarter of a photo's contrast between neighbouring
    pixels, already at 1°, and what a model says would be about that blur as much as about the angle.
    """
    from PIL import Image as Pillow

    height, width = image.shape[1:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # The upright box around the rotated one, and two pixels that the cubic reads.
    tall, wide = abs(cosine) * height + abs(sine) * width, abs(cosine) * width + abs(sine) * height
    source = padded(image, [max(0, math.ceil((n - m) / 2)) + 2 for n, m in ((tall, height), (wide, width))], border)
    left = (source.shape[2] - cosine * width + sine * height) / 2
    top = (source.shape[1] - sine * width - cosine * height) / 2
    map_back = (cosine, -sine, left, sine, cosine, top)
    affine, bicubic = Pillow.Transform.AFFINE, Pillow.Resampling.BICUBIC
    return _stacked([one.transform((width, height), affine, map_back, resample=bicubic) for one in _planes(source)])


def _planes(image: Image) -> list[Pillow.Image]:
    from PIL import Image as Pillow

    return [Pillow.fromarray(plane) for plane in np.ascontiguousarray(image, dtype=np.float32)]


def _stacked(planes: list[Pillow.Image]) -> Image:
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes])
