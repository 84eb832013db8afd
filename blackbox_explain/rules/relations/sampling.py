"""Images sampled elsewhere than at their pixels, in floats: rotated, resized, and continued beyond their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from blackbox_explain.rules.relations.relation import Floats, Image

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

MARGIN = 16
"""Pixels between what a rotation shows and the ends of its lines, in which it fades to the mean colour."""


def padded(image: Image, margins: Sequence[tuple[int, int]], border: Border) -> Image:
    """Continue an image (C, *spatial) beyond its edges, by pixels before and after it along each spatial axis."""
    if border != "mean":
        return np.pad(image, ((0, 0), *margins), mode="symmetric" if border == "reflect" else "edge")
    sizes = [before + size + after for size, (before, after) in zip(image.shape[1:], margins, strict=True)]
    made = np.empty((len(image), *sizes), np.float32)
    made[...] = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    inside = (slice(before, before + size) for size, (before, _) in zip(image.shape[1:], margins, strict=True))
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
    """Rotate an image (C, H, W) counter-clockwise about its centre; the size stays.

    Quarter turns are exact, as `numpy.rot90` does them.  The rest, between −45° and 45°, is three shears, each of which
    moves lines by fractions of pixels with Fourier's series:

        R(φ) = X(−tan φ/2) Y(sin φ) X(−tan φ/2)

    No sharpness is lost.  Bilinear interpolation takes a quarter of a photo's contrast between neighbours, already at
    1°, and what a model says would be about that blur as much as about the angle.

    References
    ----------
    Unser, Thévenaz and Yaroslavsky, *Convolution-based interpolation for fast, high-quality rotation of images*, 1995.
    """
    height, width = image.shape[1:]
    quarters = round(degrees / 90)
    angle = math.radians(degrees - 90 * quarters)
    source = np.rot90(image, quarters, axes=(1, 2))
    sizes = (int(source.shape[1]), int(source.shape[2]))
    # What the shears read of the source, and room to fade: the series takes the ends of a line for neighbours.
    cosine, sine, tangent = math.cos(angle), abs(math.sin(angle)), abs(math.tan(angle / 2))
    read = (cosine * height + sine * width, max(cosine * width + sine * height, width + tangent * height))
    canvas = [_fast(max(math.ceil(n), m) + 2 * MARGIN) for n, m in zip(read, sizes, strict=True)]
    before = [(n - m) // 2 for n, m in zip(canvas, sizes, strict=True)]
    margins = [(b, n - m - b) for n, m, b in zip(canvas, sizes, before, strict=True)]
    y, x = (_centred(m, -b, n) for n, m, b in zip(canvas, sizes, before, strict=True))
    top, left = ((m - n) // 2 for n, m in zip((height, width), sizes, strict=True))
    rows, columns = (slice(b + t, b + t + n) for b, t, n in zip(before, (top, left), (height, width), strict=True))
    # A source that is odd where the result is even has its centre half a pixel away from that of the window cut out.
    down, right = _centred(height, 0, 1)[0] - y[rows][0], _centred(width, 0, 1)[0] - x[columns][0]

    along, across = -math.tan(angle / 2), math.sin(angle)
    mean = image.mean(axis=(1, 2), keepdims=True)
    moved = padded(source, margins, border)
    moved -= mean
    moved *= (_fading(canvas[0])[:, None] * _fading(canvas[1])).astype(np.float32)
    moved = _lines_moved(moved, along * y, axis=2)
    moved = _lines_moved(moved, across * x + down, axis=1)[:, rows]
    return _lines_moved(moved, along * (y[rows] + down) + right, axis=2)[:, :, columns] + mean


def _fast(size: int) -> int:
    """Return the next size whose Fourier transform is quick."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(size) or size)


def _fading(size: int) -> Floats:
    """Return what an axis is multiplied by, so that it ends as it begins: 1, and smoothly down to 0 in the margins."""
    inward = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.sin(np.minimum(inward / MARGIN, 1) * math.pi / 2) ** 2


def _centred(size: int, first: int, count: int) -> Floats:
    """Return where `count` pixels of an axis are from its middle, beginning with the one of index `first`."""
    return np.arange(first, first + count, dtype=np.float64) - (size - 1) / 2


def _lines_moved(image: Image, places: Floats, *, axis: int) -> Image:
    """Let each line along an axis, 1 for columns and 2 for rows, begin so many pixels further on, and go round."""
    from scipy import fft

    if not places.any():
        return image
    size = int(image.shape[axis])
    frequencies = 2 * math.pi * np.arange(size // 2 + 1) / size
    phases = (frequencies * places[:, None] if axis == 2 else frequencies[:, None] * places).astype(np.float32)
    turn = np.empty(phases.shape, np.complex64)
    np.cos(phases, out=turn.real)
    np.sin(phases, out=turn.imag)
    series = np.asarray(fft.rfft(image, axis=axis))
    series *= turn
    return np.asarray(fft.irfft(series, n=size, axis=axis, overwrite_x=True), dtype=np.float32)


def _planes(image: Image) -> list[Pillow.Image]:
    from PIL import Image as Pillow

    return [Pillow.fromarray(plane) for plane in np.ascontiguousarray(image, dtype=np.float32)]


def _stacked(planes: list[Pillow.Image]) -> Image:
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes])
