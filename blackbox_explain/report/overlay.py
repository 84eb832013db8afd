"""Maps of a result put back onto the photo that people know, at the photo's own resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation, Floats

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "GREY",
    "LONGEST",
    "LONGEST_SMALL",
    "Canvas",
    "beyond_photo",
    "blended",
    "canvas_of",
    "coloured",
    "flat_saliency",
    "in_specks",
    "limits_of",
    "slice_of",
    "without_region",
]

LONGEST, LONGEST_SMALL = 1400, 600
"""Pixels on the long side of what is drawn, and of what is drawn small."""

UNREAD = 0.35
"""Share of their contrast that pixels keep which the model does not read."""

MOST_EDGE = 0.42
"""Sides of pixels at its edge, for each pixel of a region, above which it is in specks."""

MOST_OUTLINE = 0.08
"""So many for each pixel of the image, above which it is too."""

FINE = 224
"""Pixels along an image, for which these are: lines are as wide in pictures of small images as of large ones."""

LEAST_SPECKS = 64
"""Pixels of a region of such an image, fewer of which are outlined however they lie."""

GREY = 0.75
"""Brightness of the photo under colours."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """What maps are drawn on.

    Attributes
    ----------
    pixels
        (H, W, 3) in [0, 1].
    box
        Left, top, right and bottom of what the model reads, in these pixels; it may reach beyond them.
    """

    pixels: Floats
    box: tuple[float, float, float, float]

    @property
    def whole(self) -> bool:
        """Whether the model reads all of it, and no more."""
        height, width = self.pixels.shape[:2]
        return bool(np.allclose(self.box, (0, 0, width, height)))

    @property
    def cropped(self) -> bool:
        """Whether some of it is not read, by more than a thousandth of its size."""
        height, width = self.pixels.shape[:2]
        left, top, right, bottom = self.box
        return max(left, width - right) > width / 1000 or max(top, height - bottom) > height / 1000

    def placed(self, values: Floats, outside: float = 0.0) -> Floats:
        """Put values (h, w) of the model's image where they belong.

        Returns
        -------
        ndarray
            (H, W), linear between the values, `outside` where the model does not read.
        """
        from PIL import Image

        height, width = self.pixels.shape[:2]
        left, top, right, bottom = self.box
        rows, columns = values.shape
        across, down = columns / (right - left), rows / (bottom - top)
        # Pillow has no values beyond the middle of the last pixel; the frame repeats those at the edge.
        framed = np.pad(values.astype(np.float32), 1, mode="edge")
        source = Image.fromarray(framed)
        affine = (across, 0.0, 1 - left * across, 0.0, down, 1 - top * down)
        drawn = source.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        return np.where(self.read, np.asarray(drawn, dtype=np.float64), outside)

    @property
    def read(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(H, W): whether the middle of a pixel is read by the model."""
        height, width = self.pixels.shape[:2]
        left, top, right, bottom = self.box
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        return ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))[None, :]

    def dimmed(self, picture: Floats) -> Floats:
        """Take the contrast from what the model does not read; `picture` is (H, W, 3)."""
        return np.where(self.read[..., None], picture, 1 - (1 - picture) * UNREAD)


def canvas_of(result: Explanation, row: int, longest: int = LONGEST) -> Canvas:
    """Return the photo of a row, or where it is not known its image; of a volume the slice where most matters.

    A photo of more than `longest` pixels on its long side is scaled down.
    """
    photo = result.photos[row] if result.photos else None
    if photo is None:
        pixels = _shown(result, row, result.images)
        return Canvas(pixels, (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])))
    from PIL import Image

    height, width = photo.pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture: Image.Image = Image.fromarray(photo.pixels)
    if scale < 1:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    pixels = np.asarray(picture, dtype=np.float64) / 255
    if result.images.shape[1] == 1:
        pixels = np.repeat(pixels @ np.asarray([[0.299], [0.587], [0.114]]), 3, axis=-1)
    across, down = size[0] / width, size[1] / height
    left, top, right, bottom = photo.box
    return Canvas(pixels, (left * across, top * down, right * across, bottom * down))


def slice_of(result: Explanation, row: int) -> tuple[int, ...]:
    """Return which slice of a volume is shown: the one where most matters, the middle one where all matter alike."""
    saliency, found = result.importance(row), list[int]()
    while saliency.ndim > 2:
        each = saliency.reshape(len(saliency), -1).sum(axis=1)
        found.append(int(each.argmax()) if np.ptp(each) > 0 else len(each) // 2)
        saliency = saliency[found[-1]]
    return tuple(found)


def flat_saliency(result: Explanation, row: int) -> Floats:
    """Return the importance (h, w) of a row in [0, 1], of a volume that of the slice that is shown."""
    return result.importance(row)[slice_of(result, row)]


def height_over_edge(result: Explanation, row: int) -> Floats:
    """Return how far the saliency (h, w) lies above that at the edge of the region, of a volume in the slice shown."""
    saliency, region = result.saliency[row], result.region[row]
    if not region.any() or region.all():
        return np.where(region, 1.0, -1.0)[slice_of(result, row)]
    edge = (saliency[region].min() + saliency[~region].max()) / 2
    height = np.where(saliency == edge, np.where(region, 1e-12, -1e-12), saliency - edge)
    return height[slice_of(result, row)]


def in_specks(result: Explanation, row: int) -> bool:
    """Tell whether the region has so long an edge that an outline would hide what it surrounds."""
    region = height_over_edge(result, row) > 0
    finer = max(1.0, FINE / math.sqrt(region.size))
    if region.ndim < 2 or region.sum() * finer**2 < LEAST_SPECKS:
        return False
    edge = sum(int(np.count_nonzero(np.diff(region, axis=axis))) for axis in range(region.ndim))
    return edge > finer * MOST_EDGE * region.sum() or edge > finer * MOST_OUTLINE * region.size


def beyond_photo(result: Explanation, row: int, canvas: Canvas) -> float:
    """Return the share of the region that lies beyond the photo, in what pads it."""
    region = height_over_edge(result, row) > 0
    left, top, right, bottom = canvas.box
    height, width = canvas.pixels.shape[:2]
    x = left + (np.arange(region.shape[1]) + 0.5) * (right - left) / region.shape[1]
    y = top + (np.arange(region.shape[0]) + 0.5) * (bottom - top) / region.shape[0]
    inside = ((y >= 0) & (y <= height))[:, None] & ((x >= 0) & (x <= width))[None, :]
    return float((region & ~inside).sum() / max(int(region.sum()), 1))


def without_region(result: Explanation, row: int, canvas: Canvas) -> Floats:
    """Return the photo (H, W, 3) with the region deleted (preservation: all but the region)."""
    deleted = _shown(result, row, result.region_images)
    if canvas.pixels.shape == deleted.shape and canvas.whole:
        return deleted
    height = height_over_edge(result, row)
    return _pasted(canvas, deleted, height if result.game == "deletion" else -height)


def _pasted(canvas: Canvas, image: Floats, inside: Floats) -> Floats:
    """Put an image (h, w, 3) over the photo where `inside` (h, w) is positive."""
    read = canvas.read[..., None]
    # Colours of pixels that are not deleted must not bleed into the region, whose edge is as fine as the photo.
    known = (inside > 0).astype(np.float64)
    weight = canvas.placed(known)[..., None]
    sums = np.stack([canvas.placed(image[..., channel] * known) for channel in range(3)], axis=-1)
    placed = sums / np.maximum(weight, 1e-6)
    distance = canvas.placed(inside)
    slope = np.sqrt(sum(np.gradient(distance, axis=axis) ** 2 for axis in (0, 1) if distance.shape[axis] > 1))
    slope = np.maximum(slope, 1e-6)
    share = np.clip(distance / slope + 0.5, 0, 1)[..., None] * (read & (weight > 1e-3))
    return canvas.pixels * (1 - share) + placed * share


def coloured(canvas: Canvas, saliency: Floats, cmap: str, alpha: float) -> Floats:
    """Lay importance (h, w) over the photo.

    Returns
    -------
    ndarray
        (H, W, 3) in [0, 1]: grey where nothing matters, the colours of `cmap` where much does.
    """
    return canvas.dimmed(blended(canvas.pixels, np.clip(canvas.placed(saliency), 0, 1), cmap, alpha))


def blended(pixels: Floats, strength: Floats, cmap: str, alpha: float) -> Floats:
    """Lay importance (H, W) over pixels (H, W, 3) without their colour, the more the larger it is."""
    from matplotlib import colormaps

    try:
        colours = colormaps.get_cmap(cmap)(strength)[..., :3]
    except ValueError as error:
        raise InputError("There is no such colour map", got=f"cmap={cmap!r}", expected="such as 'viridis'") from error
    if not 0 <= alpha <= 1:
        raise InputError("This is no share of cover", got=f"alpha={alpha:g}", expected="0 to 1")
    grey = np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1) * GREY
    share = (alpha * strength)[..., None]
    return grey * (1 - share) + colours * share


def limits_of(result: Explanation, row: int) -> tuple[float, float]:
    """Return the values that are black and white: those the model was said to read, and further ones of the image."""
    low, high = result.provenance.reading.get("bounds", (0.0, 1.0))
    image = result.images[row]
    return min(float(image.min()), low), max(float(image.max()), high)


def _shown(result: Explanation, row: int, images: Floats) -> Floats:
    """Return a row of images (N, C, ...) as (H, W, 3) in [0, 1]."""
    image = images[row][(slice(None), *slice_of(result, row))]
    low, high = limits_of(result, row)
    scaled = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1)
    if scaled.shape[0] == 3:
        return np.moveaxis(scaled, 0, -1)
    return np.repeat(scaled.mean(axis=0)[..., None], 3, axis=-1)
