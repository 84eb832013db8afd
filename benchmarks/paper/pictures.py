"""Grids of pictures, as the paper's figures are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.paper.kept import Arrays
from benchmarks.paper.plan import Plan
from blackbox_explain.metrics.maps import normalised

__all__ = ["class_name", "framed", "grid", "pixels", "shown_map", "shown_mask"]

Picture = np.ndarray[Any, Any]

BRIGHTEST = 99.5
"""Percentile of a map that is shown as full: single pixels do not dim the rest."""


def pixels(image: Any) -> Picture:
    """Return an image (C, H, W) or (1, C, H, W) as matplotlib shows it."""
    host = np.asarray(image, dtype=np.float32)
    return np.clip(np.moveaxis(host[0] if host.ndim == 4 else host, 0, -1), 0, 1)


def shown_map(found: Arrays) -> Picture:
    """Return what `map_of` found, for people: a map (H, W) from 0 to 1, with its few highest pixels cut.

    Of a ranking, which orders the unimportant pixels too, it is the importance of the first.
    """
    saliency = found["importance" if "importance" in found else "saliency"].astype(np.float32)
    low, high = np.percentile(saliency, [0, BRIGHTEST])
    return normalised(np.clip(saliency, low, high if high > low else saliency.max())[None])[0]


def shown_mask(found: Arrays) -> Picture:
    """Return a mask that `map_of` found (H, W), black where it deletes; of a ranking what it is most like."""
    return 1 - found["importance"].astype(np.float32)


def class_name(plan: Plan, label: int) -> str:
    """Return the first name of a class."""
    names = plan.box.spec.class_names
    return str(label) if names is None else names[label].split(",")[0]


def framed(axis: Axes) -> None:
    """Leave nothing of an axis but a thin frame: most of a mask is as white as the page."""
    axis.set(xticks=[], yticks=[])
    for one in axis.spines.values():
        one.set(color="0.7", linewidth=0.6)


def grid(
    rows: Sequence[Sequence[tuple[Picture, str]]], *, size: float = 1.5, cmap: str = "jet", title: str = ""
) -> Figure:
    """Draw rows of pictures with a title each; those of one channel by a colour map, those with three as they are."""
    across = max(map(len, rows))
    figure, axes = plt.subplots(
        len(rows), across, figsize=(size * across, (size + 0.25) * len(rows)), squeeze=False, layout="constrained"
    )
    for row, line in zip(rows, axes, strict=True):
        for place, axis in enumerate(line):
            if place >= len(row):
                axis.set_axis_off()
            else:
                picture, words = row[place]
                axis.imshow(picture, cmap=cmap, vmin=0, vmax=1)
                axis.set_title(words, fontsize=8)
                framed(axis)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure
