"""A classifier whose evidence is known, photos of it, and checks of what is written in a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import blackbox_explain as bx

SIDE = 32


def spot(images: np.ndarray) -> np.ndarray:
    """Is the lower right quarter bright? A classifier of two classes."""
    bright = images[:, :, SIDE // 2 :, SIDE // 2 :].mean(axis=(1, 2, 3))
    return np.stack([bright, 1 - bright], axis=1)


def vjp(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.zeros_like(images)
    share = (weights[:, 0] - weights[:, 1]) / (3 * (SIDE // 2) ** 2)
    found[:, :, SIDE // 2 :, SIDE // 2 :] = share[:, None, None, None]
    return found


def box_of(names: tuple[str, str] = ("spot", "no spot")) -> bx.BlackBox:
    return bx.wrap(spot, shape=(3, SIDE, SIDE), gradient=vjp, class_names=names, activation="none")


def photo_file(folder: Path, size: tuple[int, int], name: str = "spot.png") -> Path:
    """Write a dark photo that is bright in the lower right quarter, however it is fitted to a model."""
    width, height = size
    pixels = np.full((height, width, 3), 30, np.uint8)
    pixels[height // 2 :, width // 2 :] = 250
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def explained(
    path: Path, fit: Any = "crop", names: tuple[str, str] = ("spot", "no spot"), target: Any = 0, **options: Any
) -> bx.Explanation:
    box = box_of(names)
    images = bx.load_images([path], box.spec, fit=fit)
    return bx.explain(box, images, target, perturbation=bx.Constant(0.1), progress=False, **options)


def said(drawing: Figure) -> str:
    """Return all words of a picture, however they are wrapped."""
    return " ".join(one.get_text() for one in drawing.findobj(Text) if one.get_text())


def drawn_texts(drawing: Figure) -> list[Text]:
    """Return what is drawn of the texts: axes keep labels beyond their limits, and those of axes without any."""
    found = [*drawing.texts]
    for axes in drawing.axes:
        found += [*axes.texts, *(one for one in axes.get_children() if isinstance(one, Text))]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [axis.label, *ticks]
    return list(dict.fromkeys(found))


def check_texts(drawing: Figure) -> None:
    """Every text lies within the picture, none on another, and none is tiny."""
    drawing.draw_without_rendering()
    shown = [text for text in drawn_texts(drawing) if text.get_text().strip() and text.get_visible()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        extents = np.asarray([text.get_window_extent().extents for text in shown])
    assert (extents[:, :2] >= drawing.bbox.min).all()
    assert (extents[:, 2:] <= drawing.bbox.max).all()
    assert min(text.get_fontsize() for text in shown) >= 9
    for place, (x0, y0, x1, y1) in enumerate(extents):
        apart = (
            (extents[:, 0] >= x1) | (extents[:, 2] <= x0) | (extents[:, 1] >= y1 - 1.5) | (extents[:, 3] <= y0 + 1.5)
        )
        apart[place] = True
        assert apart.all(), (shown[place].get_text(), shown[int(apart.argmin())].get_text())
