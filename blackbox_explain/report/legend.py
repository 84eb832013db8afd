"""What stands below a picture: the classes that a model names, with their scores, and what colours and lines mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.report.overlay import blended
from blackbox_explain.report.text_layout import INK, width_of, wrapped, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["EDGES", "SPECKS", "Entry", "draw_bar", "draw_entries", "draw_key", "entries_of", "height_of", "key_height"]

Named = tuple[tuple[str, float], ...]

SHOWN = 3
"""Leading classes; the target follows where it is none of them."""

SIZE, SMALLER = 10.0, 9.5
"""Of letters, in points."""

LINE, GAP = 0.165, 0.085
"""Height of a line, and what lies between two classes, in inches."""

PALE, TRACK, CHOSEN = "#d9e2ec", "#f3f6f9", "#f6d7a7"
"""Bars of classes, what a bar of 1 would cover, and the bar of the target."""

BAR = 0.13
"""Height of the colour bar in inches."""

PHOTO = 0.6
"""Brightness of a photo in the middle."""

EDGES = "dashed: the region"
"""Beginning of what the lines in a signal mean."""

FRAME = "frame: what the model reads"

SPECKS = "no outline: the region is in specks"


@dataclass(frozen=True)
class Entry:
    """A class and its score.

    Attributes
    ----------
    lines
        The name, wrapped.
    score
        As the model gave it.
    target
        Whether it is what was explained.
    """

    lines: tuple[str, ...]
    score: float
    target: bool

    @property
    def height(self) -> float:
        """In inches."""
        return LINE * len(self.lines) + GAP


def entries_of(named: Named, target: str, score: float, width: float) -> list[Entry]:
    """Return the leading classes, and the target after them if it is none of these.

    Parameters
    ----------
    named
        Classes and scores, best first.
    target, score
        What was explained; classes, sums and differences of them.
    width
        Of the list, in inches.
    """
    shown = list(named[:SHOWN])
    if shown and target not in (name for name, _ in shown):
        shown.append((target, score))
    entries: list[Entry] = []
    for name, value in shown:
        chosen = name == target
        weight = "bold" if chosen else "normal"
        room = width - width_of(number(value), SIZE, weight) - 0.25
        size = SIZE if width_of(name, SIZE, weight) <= room else SMALLER
        entries.append(Entry(tuple(wrapped(name, room, size, weight)), value, chosen))
    return entries


def height_of(entries: list[Entry]) -> float:
    """Return the height of a list in inches."""
    return sum(one.height for one in entries)


def number(value: float) -> str:
    """Return a score as people read it."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def draw_entries(axes: Axes, entries: list[Entry], width: float) -> None:
    """Draw classes, one below the other, with bars if the scores are probabilities; axes are in inches, downwards."""
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(max(height_of(entries), 0.1), 0)
    bars = all(0 <= one.score <= 1 for one in entries if not one.target)
    place = 0.0
    for one in entries:
        weight = "bold" if one.target else "normal"
        size = SIZE if len(one.lines) == 1 else SMALLER
        middle, tall = place + one.height / 2, one.height - GAP / 2
        if bars and -1e-6 <= one.score <= 1 + 1e-6:
            axes.barh(middle, width, height=tall, color=TRACK)
            axes.barh(middle, width * one.score, height=tall, color=CHOSEN if one.target else PALE)
        elif one.target:
            axes.barh(middle, width, height=tall, color=TRACK)
        for line, text in enumerate(one.lines):
            y = place + GAP / 2 + LINE * (line + 0.5)
            write(axes, 0.06, y, text, size=size, fontweight=weight, va="center_baseline")
        write(
            axes,
            width - 0.06,
            middle,
            number(one.score),
            size=SIZE,
            fontweight=weight,
            ha="right",
            va="center_baseline",
        )
        place += one.height


def key_height(lines: int) -> float:
    """Return the height of the key with so many lines below its colour bar, in inches."""
    return BAR + 0.25 + 0.24 * lines


def draw_bar(
    drawing: Figure, place: tuple[float, float, float, float], cmap: str, alpha: float, ground: float = PHOTO
) -> None:
    """Draw the colours of importance as they look over a photo; `place` is in shares of the figure."""
    axes = drawing.add_axes(place)
    strength = np.linspace(0, 1, 256)[None]
    colours = blended(np.full((1, 256, 3), ground), strength, cmap, alpha)
    axes.imshow(np.clip(colours, 0, 1), aspect="auto", extent=(0, 1, 0, 1), interpolation="nearest")
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["0", "importance", "1"], fontsize=SIZE, color=INK)
    axes.tick_params(axis="x", length=3, color=INK, pad=2)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.6)
    first, _, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


def draw_key(axes: Axes, outline: str, framed: bool, width: float) -> None:
    """Say what the outline and the frame mean.

    Parameters
    ----------
    axes
        To draw into.
    outline
        Its meaning; "" where there is none.
    framed
        Whether there is a frame.
    width
        Of the axes, in inches.
    """
    lines = [one for one in (outline, FRAME if framed else "") if one]
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(max(len(lines), 1), 0)
    for place, text in enumerate(lines):
        y = place + 0.5
        if text == FRAME or text.startswith(EDGES):
            axes.plot([0.03, 0.33], [y, y], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        elif text != SPECKS:
            for colour, thick in (("black", 2.8), ("white", 1.4)):
                axes.plot([0.03, 0.33], [y, y], color=colour, linewidth=thick)
        write(axes, 0.03 if text == SPECKS else 0.43, y, text, size=SIZE, va="center_baseline")
