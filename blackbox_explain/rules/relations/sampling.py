"""Images sampled elsewhere than at their pixels, in floats: rotated, resized, and continued beyond their edges.

A model waits for all of this, and small models do not take long themselves: hence products with narrow matrices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import one_thread
from blackbox_explain.rules.relations.relation import Floats, Image

__all__ = ["BORDERS", "Border", "Filter", "bicubic_matrix", "filtered", "padded", "resized", "rotated"]

Border = Literal["reflect", "edge", "mean"]
"""What is taken to lie beyond the edges of an image.

``"reflect"``, the image mirrored there: values, textures and contrasts are those of the image, and there is no
seam. Black corners, or any of one colour, are a shape of their own with strong edges, to which networks answer; a
rule would then be about corners.  ``"edge"``, the outermost pixels again: no seam and no second object, but
streaks.  ``"mean"``, the mean colour of the image: for comparison.
"""

BORDERS: tuple[Border, ...] = ("reflect", "edge", "mean")

BLOCK = 28
"""Rows of a matrix that are multiplied at once."""

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
        It lies within the image; pixels outside of it are looked at where the filter reaches them.

    Returns
    -------
    ndarray
        (C, *size) float32.
    """
    height, width = image.shape[1:]
    left, top, right, bottom = window or (0, 0, width, height)
    return filtered(image, [_bicubic(size[0], height, top, bottom), _bicubic(size[1], width, left, right)])


@functools.lru_cache(maxsize=256)
def _bicubic(outputs: int, inputs: int, first: float, last: float) -> Filter:
    return Filter(bicubic_matrix(outputs, inputs, first, last))


def bicubic_matrix(outputs: int, inputs: int, first: float, last: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Resize a part of an axis by Keys' kernel with a = −1/2, as much wider as pixels are to be fewer.

    Parameters
    ----------
    outputs, inputs
        Number of pixels after and before.
    first, last
        The part, 0 ≤ first < last ≤ inputs; pixel centres lie at halves.

    Returns
    -------
    ndarray
        (outputs, inputs) float32, whose rows sum to 1.

    References
    ----------
    Keys, *Cubic convolution interpolation for digital image processing*, 1981.
    """
    shrinking = max((last - first) / outputs, 1)
    centres = first + (np.arange(outputs) + 0.5) * (last - first) / outputs
    reach = math.ceil(2 * shrinking)
    place = np.floor(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    away = np.abs(place + 0.5 - centres[:, None]) / shrinking
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights = np.where(away < 1, near, np.where(away < 2, far, 0))
    weights[(place < 0) | (place >= inputs)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((outputs, inputs + 2 * reach + 1), np.float32)
    np.put_along_axis(matrix, place + reach, weights, axis=1)
    return matrix[:, reach : reach + inputs]


class Filter:
    """A matrix (out, in) that is a narrow band along its diagonal, as those of filters are: what lies in the band.

    Parameters
    ----------
    matrix
        The whole, which has something in every row.
    """

    def __init__(self, matrix: np.ndarray[Any, Any]) -> None:
        self.outputs = len(matrix)
        self.blocks: list[tuple[slice, slice, np.ndarray[Any, Any]]] = []
        for first in range(0, len(matrix), BLOCK):
            rows = slice(first, first + BLOCK)
            used = np.flatnonzero(matrix[rows].any(axis=0))
            columns = slice(int(used[0]), int(used[-1]) + 1)
            self.blocks.append((rows, columns, np.ascontiguousarray(matrix[rows, columns].T, dtype=np.float32)))

    def along(self, image: Image, axis: int) -> Image:
        """Multiply an axis of an image (C, *spatial), counted from 0; it then has `outputs` pixels."""
        lines = image.swapaxes(axis, -1)
        made = np.empty((*lines.shape[:-1], self.outputs), np.float32)
        for rows, columns, block in self.blocks:
            np.matmul(lines[..., columns], block, out=made[..., rows])
        return made.swapaxes(axis, -1)


def filtered(image: Image, filters: Sequence[Filter]) -> Image:
    """Apply one filter to each spatial axis of an image (C, *spatial): (C, *outputs)."""
    with one_thread():
        for axis, one in enumerate(filters, start=1):
            image = one.along(image, axis)
    return np.ascontiguousarray(image)


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
    """Return the next size whose Fourier transform of real numbers is quick."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(size, real=True) or size)


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
