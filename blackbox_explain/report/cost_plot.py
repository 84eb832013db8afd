"""Quality against cost: what methods reach, and how often they ask the model for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from blackbox_explain.report.text_layout import INK, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Reached", "cost_figure"]

POINT, GRID = "#c2410c", "#e3e8ee"

WIDE = 20
"""Queries that are so many times more than the fewest are drawn on a scale of powers of ten."""


@dataclass(frozen=True)
class Reached:
    """What a method reached.

    Attributes
    ----------
    name
        Of the method.
    queries
        Mean number of images that the model was run on to explain one image.
    mean, low, high
        Of a metric, with its interval; NaN of fewer than two images.
    """

    name: str
    queries: float
    mean: float
    low: float
    high: float


def cost_figure(reached: Sequence[Reached], metric: str, better: Literal["higher", "lower"]) -> Figure:
    """Draw the mean of a metric against the queries of each method, with its 95 % interval.

    Parameters
    ----------
    reached
        By each method; at least one.
    metric
        Its name.
    better
        Which values are those of good explanations.
    """
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6.4, 4.0), layout="constrained", facecolor="white")
    axes = drawing.subplots()
    queries = [one.queries for one in reached]
    if min(queries) > 0 and max(queries) > WIDE * min(queries):
        axes.set_xscale("log")
    for one in reached:
        if np.isfinite(one.low):
            axes.plot([one.queries, one.queries], [one.low, one.high], color=POINT, linewidth=1.2)
        axes.plot([one.queries], [one.mean], "o", color=POINT, markersize=6)
        text = write(axes, one.queries, one.mean, f"  {one.name}", size=9, va="center")
        text.set_clip_on(False)
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel("images that the model was run on for each explanation", fontsize=10, color=INK)
    axes.set_ylabel(f"{metric}, {better} is better", fontsize=10, color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawing
