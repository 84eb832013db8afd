"""The curve of a result: the score against the share of the image that is deleted, or kept, with the region's point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.explanation.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curve", "has_curve"]

LINE, POINT, GRID = "#5b6b7d", "#c2410c", "#e3e8ee"
"""Colours of the curve, of the region's point, and of what lies behind them."""


def has_curve(result: Explanation) -> bool:
    """Whether the score was measured at several shares; results of version 0.1 have no curve."""
    return bool(result.curve_shares)


def draw_curve(axes: Axes, result: Explanation, row: int, noun: str) -> None:
    """Draw the curve of a row into axes.

    Parameters
    ----------
    axes
        To draw into.
    result
        With a curve.
    row
        Which image; one that did not fail.
    noun
        What it is: an image, a signal, a volume.
    """
    from blackbox_explain.report.text_layout import INK, write

    nothing = result.score if result.game == "deletion" else result.score_perturbed
    shares = np.asarray([0.0, *result.curve_shares]) * 100
    scores = np.asarray([nothing[row], *result.curve[row]])
    share, score = float(result.share[row]) * 100, float(result.score_region[row])
    seen = np.asarray([*scores, float(result.score[row]), score])
    low, high = float(seen.min()), float(seen.max())
    # Probabilities are shown from 0; of other scores the zero means nothing.
    low = 0.0 if low >= 0 and high <= 1 else low
    room = 0.06 * ((high - low) or 1.0)
    axes.set_xlim(0, shares[-1])
    axes.set_ylim(low - room * (low != 0), high + room)
    axes.axhline(float(result.score[row]), color=LINE, linewidth=0.8, linestyle=(0, (1, 2)))
    line = sorted([*zip(shares, scores, strict=True), *([(share, score)] if result.region[row].any() else [])])
    axes.plot(*zip(*line, strict=True), color=LINE, linewidth=1.6, marker="o", markersize=3)
    if result.region[row].any():
        axes.plot([share, share, 0], [low - room, score, score], color=POINT, linewidth=0.8)
        axes.plot([share], [score], color=POINT, marker="o", markersize=7)
        # Where the curve does not run: above it to the right of a falling one, below to the left; of a rising one else.
        right = share < 0.5 * shares[-1]
        above = right == (result.game == "deletion") or score < low + 0.2 * (high - low)
        write(
            axes,
            share + (1 if right else -1) * 0.025 * shares[-1],
            score + (1 if above else -1) * 0.6 * room,
            f"region: {share:.1f}%",
            size=10,
            color=POINT,
            ha="left" if right else "right",
            va="bottom" if above else "top",
        )
    done = "deleted" if result.game == "deletion" else "kept"
    axes.set_xlabel(f"share of the {noun} that is {done}", fontsize=10, color=INK)
    axes.set_xticks([0, 10, 20, 30, 40, 50], ["0", "10", "20", "30", "40", "50%"])
    axes.tick_params(labelsize=9, color=LINE, labelcolor=INK, length=3)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=LINE, linewidth=0.6)
