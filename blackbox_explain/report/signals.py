"""Signals in pictures: channels over time, with what matters in the colours behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.explanation.explanation import Explanation, Floats
from blackbox_explain.report.overlay import GREY, blended, limits_of
from blackbox_explain.report.text_layout import INK, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PAPER", "draw_signal", "mark_empty"]

PAPER = 1 / GREY
"""Brightness behind a signal: white once it is darkened as photos are."""

ROOM = 0.05
"""Share of the range above and below a signal."""


def draw_signal(
    axes: Axes, result: Explanation, row: int, signals: Floats, *, cmap: str, alpha: float, behind: bool
) -> None:
    """Draw the channels of a signal (C, T) over time, and where the region begins and ends.

    Parameters
    ----------
    axes
        To draw into.
    result, row
        Whose importance is drawn, and which one.
    signals
        (N, C, T) what is drawn: the images of the result, or what was made of them.
    cmap, alpha
        As in `Explanation.plot`.
    behind
        Whether importance (T,) is drawn behind the signal.
    """
    signal, saliency = signals[row], result.importance(row)
    time = np.arange(signal.shape[-1])
    low, high = limits_of(result, row)
    low, high = low - ROOM * (high - low), high + ROOM * (high - low)
    if behind:
        colours = blended(np.full((1, time.size, 3), PAPER), saliency[None], cmap, alpha)
        extent = (-0.5, time.size - 0.5, low, high)
        axes.imshow(np.clip(colours, 0, 1), extent=extent, aspect="auto", interpolation="nearest")
    for edge in np.flatnonzero(np.diff(result.region[row].astype(int))) + 0.5:
        axes.axvline(float(edge), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(time, signal.T, linewidth=1.1)
    axes.set_xlim(-0.5, time.size - 0.5)
    axes.set_ylim(low, high)
    axes.set_facecolor("white")
    axes.tick_params(labelsize=9, colors=INK)
    axes.set_xlabel("time step", fontsize=9.5, color=INK)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.6)


def mark_empty(axes: Axes, words: str) -> None:
    """Write words into the middle of axes that have nothing to show."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#f3f6f9")
    for spine in axes.spines.values():
        spine.set_visible(False)
    write(axes, 0.5, 0.5, words, size=11, ha="center", va="center", transform=axes.transAxes)
