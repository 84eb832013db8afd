"""Maps of a result put back onto the photo that people know, at the photo's own resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.explanation import Explanation, Floats

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Canvas", "canvas_of", "coloured", "deleted_region", "greyed", "middle", "without_region"]

LONGEST = 1400
"""Pixels on the long side of what is drawn: a photo of more is scaled down."""

UNREAD = 0.35
"""Share of their contrast that pixels keep which the model does not read."""

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


def canvas_of(result: Explanation, row: int) -> Canvas:
    """Return the photo of a row, or where it is not known its image; of a volume the middle slice."""
    photo = result.photos[row] if result.photos else None
    if photo is None:
        pixels = _shown(result.images[row], result.images[row])
        return Canvas(pixels, (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])))
    from PIL import Image

    height, width = photo.pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
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


def middle(values: Floats, axes: int) -> Floats:
    """Return the middle slice of what has more than `axes` axes; the depth is the first axis of space."""
    while values.ndim > axes:
        values = values[..., values.shape[-3] // 2, :, :]
    return values


def deleted_region(result: Explanation, row: int) -> Floats:
    """Return (h, w), of a volume the middle slice: 1 where the region's pixels are deleted, 0 where they are kept."""
    salient = middle(result.saliency[row], 2)
    deletion = result.settings.get("game", "deletion") == "deletion"
    return (salient > 0.5 if deletion else salient < 0.5).astype(np.float64)


def without_region(result: Explanation, row: int, canvas: Canvas) -> Floats:
    """Return the photo (H, W, 3) with the region deleted (preservation: all but the region)."""
    images = result.masked_images if result.region_images is None else result.region_images
    deleted = _shown(images[row], result.images[row])
    if canvas.pixels.shape == deleted.shape and canvas.whole:
        return deleted
    placed = np.stack([canvas.placed(deleted[..., channel]) for channel in range(3)], axis=-1)
    share = np.clip(canvas.placed(deleted_region(result, row)) * 2 - 0.5, 0, 1)[..., None]
    if result.region_images is None:
        share = canvas.read[..., None].astype(np.float64)
    return canvas.pixels * (1 - share) + placed * share


def greyed(pixels: Floats) -> Floats:
    """Return pixels (H, W, 3) without colour and a little darker, so that colours can be laid over them."""
    return np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1) * GREY


def coloured(canvas: Canvas, saliency: Floats, cmap: str, alpha: float) -> Floats:
    """Lay importance (h, w) over the photo.

    Returns
    -------
    ndarray
        (H, W, 3) in [0, 1]: grey where nothing matters, the colours of `cmap` where much does.
    """
    from matplotlib import colormaps

    strength = np.clip(canvas.placed(saliency), 0, 1)
    colours = colormaps[cmap](strength)[..., :3]
    share = (alpha * strength)[..., None]
    return canvas.dimmed(greyed(canvas.pixels) * (1 - share) + colours * share)


def _shown(image: Floats, like: Floats) -> Floats:
    """Return an image (C, ...) as (H, W, 3) in [0, 1]; black and white are those of `like`, at least 0 and 1."""
    image = middle(image, 3)
    low, high = min(float(like.min()), 0.0), max(float(like.max()), 1.0)
    scaled = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1)
    if scaled.shape[0] == 3:
        return np.moveaxis(scaled, 0, -1)
    return np.repeat(scaled.mean(axis=0)[..., None], 3, axis=-1)
