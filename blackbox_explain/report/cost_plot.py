"""Quality against cost: what methods reach by each metric, and how often they ask the model for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.metrics.metric import Better
from blackbox_explain.report.text_layout import INK, Picture, families_for, width_of, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Panel", "Reached", "cost_figure"]

GRID = "#e3e8ee"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#a07800", "#444444")
MARKERS = "os^DvPX<>"
"""Of methods in turn: as there are seven colours and nine markers, 63 methods look different."""

ACROSS = 3
"""Panels beside one another, at most."""

PANEL = (3.3, 2.7)
"""Width and height of a panel, in inches."""

LEAST_WIDTH = 4.6
"""Of the whole picture, in inches."""

LETTERS = 8.5
"""Size of the legend's letters, in points."""

NAME = 2.4
"""Width of a name in the legend, in inches; longer ones are broken."""

SIGN = 0.55
"""Width of a marker in the legend with its margins, in inches."""

LEAST_SPAN = 0.1
"""Values that differ by less are drawn on a scale of so large a share of the largest: noise is to look small."""

PADDING = 0.12
"""Of the values' span, above and below."""


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
        Of a metric, with its interval; NaN where there is none.
    """

    name: str
    queries: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """What methods reached by one metric.

    Attributes
    ----------
    metric
        Its name.
    better
        Which values are those of good explanations.
    reached
        By each method that has a mean; at least one.
    """

    metric: str
    better: Better
    reached: tuple[Reached, ...]


def cost_figure(panels: Sequence[Panel], methods: Sequence[str]) -> Picture:
    """Draw the mean of each metric against the queries of each method, with its 95 % interval.

    Parameters
    ----------
    panels
        One for each metric; at least one.
    methods
        Names in the order of the legend: all that any panel has.
    """
    across = 2 if len(panels) == 4 else min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    width = max(across * PANEL[0], LEAST_WIDTH)
    names = {name: "\n".join(wrapped(name, NAME, LETTERS)) for name in methods}
    room = SIGN + max(width_of(line, LETTERS) for name in names.values() for line in name.split("\n"))
    columns = max(1, min(len(methods), int(width // room)))
    lines = math.ceil(len(methods) / columns) * max(name.count("\n") + 1 for name in names.values())
    height = down * PANEL[1] + 0.2 + 1.5 * lines * LETTERS / 72
    drawing = Picture(figsize=(width, height), layout="constrained", facecolor="white")
    every = drawing.subplots(down, across, squeeze=False).ravel().tolist()
    looks = {name: (COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]) for place, name in enumerate(methods)}
    costs = [one.queries for panel in panels for one in panel.reached]
    for axes, panel in zip(every, panels, strict=False):
        _draw(axes, panel, looks)
        _scale_of_costs(axes, min(costs), max(costs))
    for axes in every[max(0, len(panels) - across) : len(panels)]:
        # The lowest of each column.
        axes.set_xlabel("images the model was run on", fontsize=9.5, color=INK)
    for axes in every[len(panels) :]:
        axes.set_axis_off()
    _legend(drawing, names, looks, columns)
    return drawing


def _draw(axes: Axes, panel: Panel, looks: dict[str, tuple[str, str]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for one in panel.reached:
        colour, marker = looks[one.name]
        if np.isfinite(one.low):
            axes.plot([one.queries, one.queries], [one.low, one.high], color=colour, linewidth=1.2, alpha=0.7)
        axes.plot([one.queries], [one.mean], marker, color=colour, markersize=6, markeredgecolor="white", mew=0.6)
    ends = [end for one in panel.reached for end in (one.mean, one.low, one.high) if np.isfinite(end)]
    low, high = min(ends), max(ends)
    span = max(high - low, LEAST_SPAN * max(abs(low), abs(high))) or 1.0
    middle = (low + high) / 2
    axes.set_ylim(middle - (0.5 + PADDING) * span, middle + (0.5 + PADDING) * span)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.get_offset_text().set_fontsize(8.5)
    label = axes.set_ylabel(
        "\n".join([*wrapped(panel.metric, PANEL[1] - 0.5, 9.5), f"{panel.better} is better"]),
        fontsize=9.5,
        color=INK,
        parse_math=False,
    )
    label.set_fontfamily(families_for(panel.metric))
    axes.tick_params(labelsize=8.5)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _scale_of_costs(axes: Axes, least: float, most: float) -> None:
    """Draw costs by powers of ten, with at least a factor of two on both sides; one axis for all panels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, SymmetricalLogLocator

    lower, upper = least / 2, most * 2
    decades = math.log10(upper / max(lower, 0.5))
    steps = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
    if least < 1:
        # There are methods that do not ask the model at all.
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlim(-0.3, max(upper, 2.0))
        axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0, subs=steps))
    else:
        axes.set_xscale("log")
        axes.set_xlim(lower, upper)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _place: f"{value:,.3g}" if value < 1 else f"{value:,.0f}")
    )


def _legend(drawing: Picture, names: dict[str, str], looks: dict[str, tuple[str, str]], columns: int) -> None:
    from matplotlib.lines import Line2D

    signs = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=6) for colour, marker in looks.values()
    ]
    legend = drawing.legend(
        signs,
        list(names.values()),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=LETTERS,
        handletextpad=0.3,
        columnspacing=1.2,
        labelcolor=INK,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_fontfamily(families_for(name))
