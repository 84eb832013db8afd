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

LETTERS, NEAR = 10.0, 0.025
"""Size of what the point is called, in points, and its distance from the point, as a share of the width."""

LINE_HEIGHT = 1.3
"""Of text, over the size of its letters."""

SIDES = {
    True: ((True, True), (False, False), (False, True), (True, False)),
    False: ((True, False), (False, True), (False, False), (True, True)),
}
"""Whether to the right of the point, and above it, in the order tried: of a curve that falls, and of one that rises."""

MOST_STEPS = 8
"""Heights of the text that it is moved up by, less than so many."""


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
    line = [(float(x), float(y)) for x, y in zip(shares, scores, strict=True)]
    line = sorted([*line, (share, score)] if result.region[row].any() else line)
    axes.plot(*zip(*line, strict=True), color=LINE, linewidth=1.6, marker="o", markersize=3)
    if result.region[row].any():
        axes.plot([share, share, 0], [low - room, score, score], color=POINT, linewidth=0.8)
        axes.plot([share], [score], color=POINT, marker="o", markersize=7)
        text = f"region: {share:.1f}%"
        left, bottom = _free_place(axes, line, (share, score), text, falls=result.game == "deletion")
        write(axes, left, bottom, text, size=LETTERS, color=POINT, ha="left", va="bottom")
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


def _free_place(
    axes: Axes, line: list[tuple[float, float]], point: tuple[float, float], text: str, falls: bool
) -> tuple[float, float]:
    """Return where text beside a point begins, left and bottom, so that it lies neither on the curve nor over an edge.

    Next to the point, on the sides away from a curve that falls, or rises, first; then higher and higher over it.
    """
    from blackbox_explain.report.text_layout import POINTS, width_of

    figure, place = axes.get_figure(root=True), axes.get_position()
    wide, tall = (figure.get_size_inches() if figure else np.ones(2)) * (place.width, place.height)
    (first, last), (lowest, highest) = axes.get_xlim(), axes.get_ylim()
    width = width_of(text, LETTERS) / wide * (last - first)
    height = LINE_HEIGHT * LETTERS / POINTS / tall * (highest - lowest)
    x, y = point
    known_x, known_y = np.asarray(line).T

    def free(left: float, bottom: float) -> bool:
        crossing = np.interp(np.linspace(left, left + width, 50), known_x, known_y)
        inside = first <= left and left + width <= last and lowest <= bottom and bottom + height <= highest
        return bool(inside and not np.any((crossing > bottom) & (crossing < bottom + height)))

    near = NEAR * (last - first)
    lefts, bottoms = (x + near, x - near - width), (y + height / 4, y - height * 5 / 4)
    tried = [(lefts[not right], bottoms[not above]) for right, above in SIDES[falls]]
    centred = min(max(x - width / 2, first), last - width)
    tried += [(centred, y + steps * height) for steps in range(1, MOST_STEPS)]
    return next((one for one in tried if free(*one)), (centred, y + height))
