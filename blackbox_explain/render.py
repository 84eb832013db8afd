"""Pictures of results, fit for a talk or a paper: the photo, what matters in it, the photo without that (Fig. 1)."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation import Explanation, Floats
from blackbox_explain.overlay import Canvas, canvas_of, coloured, without_region
from blackbox_explain.summary import photo_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from blackbox_explain.predictions import Named

__all__ = ["COLOURS", "COVER", "DOTS", "INK", "WARNING", "check_row", "draw_importance", "figure", "save_figure"]

COLOURS = "inferno"
COVER = 0.75
"""How far colours cover the photo where importance is 1."""

SHOWN = 3
"""Leading classes beside a picture."""

DOTS = 160
"""Per inch, of pictures in files."""

INK, PALE, WARNING = "#222222", "#d9e2ec", "#a33b00"
WIDTH = 11.0
"""Inches."""


def check_row(result: Explanation, row: int) -> None:
    """Raise `InputError` if there is no such row, or it failed."""
    if not -len(result) <= row < len(result):
        raise InputError("There is no such row", got=f"row={row}", expected=f"0 to {len(result) - 1}")
    if result.status[row].startswith("failed"):
        raise InputError("A row that failed cannot be drawn", got=result.status[row])


def figure(result: Explanation, row: int = 0, *, cmap: str = COLOURS, alpha: float = COVER) -> Figure:
    """Draw one row of a result.

    Parameters
    ----------
    result
        Of images (grey or colour), signals, or volumes, of which the middle slice is shown.
    row
        Which one.
    cmap
        A colour map of matplotlib.
    alpha
        How far the colours cover the photo where importance is 1.

    Returns
    -------
    matplotlib.figure.Figure
        The photo with its leading classes; what matters in it, with the outlined region; and the photo without that
        region (preservation: with nothing else), with its leading classes.

    Raises
    ------
    InputError
        If there is no such row, or it failed.
    """
    from matplotlib.figure import Figure

    check_row(result, row)
    deletion = result.settings.get("game", "deletion") == "deletion"
    signal = result.saliency.ndim == 2
    canvas = None if signal else canvas_of(result, row)
    tall = 0.75 if canvas is None else canvas.pixels.shape[0] / canvas.pixels.shape[1]
    panel = WIDTH / 3 * min(max(tall, 0.25), 1.6)
    words = _heading(result, row)
    head = 0.30 + sum(0.27 if bold else 0.21 for _, bold, _ in words)
    foot = 1.15
    height = head + panel + foot
    drawing = Figure(figsize=(WIDTH, height), facecolor="white")
    _write_heading(drawing, words, height)
    top, bottom = 1 - head / height, foot / height
    grid = drawing.add_gridspec(1, 3, left=0.015, right=0.985, top=top, bottom=bottom, wspace=0.035)
    left, middle, right = (drawing.add_subplot(cell) for cell in grid)
    if canvas is None:
        _draw_signals(result, row, (left, middle, right), cmap, alpha)
    else:
        _show(left, canvas.dimmed(canvas.pixels), canvas)
        draw_importance(result, row, middle, cmap, alpha)
        _show(right, canvas.dimmed(without_region(result, row, canvas)), canvas)
    verb = "without the outlined region" if deletion else "with the outlined region alone"
    for axes, title in zip((left, middle, right), ("what the model sees", "what matters", verb), strict=True):
        axes.set_title(title, fontsize=11, color=INK, loc="left", pad=5)
    predictions = result.predictions[row] if result.predictions else None
    for axes, named in ((left, predictions and predictions.before), (right, predictions and predictions.after)):
        box = axes.get_position()
        below = drawing.add_axes((box.x0, 0.12 / height, box.width, (foot - 0.30) / height))
        _draw_classes(below, named or (), result.target[row])
    box = middle.get_position()
    _draw_key(drawing, (box.x0, box.width), height, cmap, deletion, _has_region(result, row))
    return drawing


def save_figure(result: Explanation, row: int, path: Path) -> Path:
    """Draw one row into a file; its suffix says of which kind.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        with warnings.catch_warnings():
            # Names in scripts that the font lacks are drawn as boxes.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure(result, row).savefig(path, dpi=DOTS)
    except OSError as error:
        raise ResultError("The picture cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def draw_importance(
    result: Explanation, row: int, axes: Axes, cmap: str = COLOURS, alpha: float = COVER
) -> Figure | SubFigure:
    """Draw what matters over the photo into axes, with the region's outline; return their figure."""
    check_row(result, row)
    if result.saliency.ndim == 2:
        _draw_signal(axes, result.images[row], result.saliency[row], _limits(result, row), cmap, alpha)
        return axes.figure
    canvas = canvas_of(result, row)
    saliency = result.saliency[row]
    while saliency.ndim > 2:
        saliency = saliency[saliency.shape[0] // 2]
    _show(axes, coloured(canvas, saliency, cmap, alpha), canvas)
    placed = canvas.placed(saliency, outside=np.nan)
    if _has_region(result, row) and np.nanmin(placed) < 0.5 < np.nanmax(placed):
        for colour, width in (("black", 2.6), ("white", 1.3)):
            axes.contour(placed, levels=[0.5], colors=colour, linewidths=width)
    return axes.figure


def _has_region(result: Explanation, row: int) -> bool:
    return bool((result.saliency[row] > 0.5).any())


def _heading(result: Explanation, row: int) -> list[tuple[str, bool, str]]:
    """Return lines with whether they are bold, and their colours."""
    told = result.settings
    deletion = told.get("game", "deletion") == "deletion"
    name = photo_name(result, row)
    before, region, fully = (
        float(values[row]) for values in (result.score_original, result.score_region, result.score_perturbed)
    )
    title = f"{name}: {result.target[row]}" if name else result.target[row]
    lines = [(line, True, INK) for line in textwrap.wrap(title, 95)]
    share, stand_in = f"{result.region_share[row]:.1%} of the image", str(told.get("perturbation", "blur"))
    if _has_region(result, row):
        does = (
            f"Without the outlined {share} ({stand_in})"
            if deletion
            else f"With the outlined {share} alone (the rest: {stand_in})"
        )
        ends = f"from {before:.4f} to {region:.4f}; with the whole image perturbed it is {fully:.4f}"
        sentence = f"{does} the score goes {ends}."
    else:
        sentence = f"No region was found: score {before:.4f}, with the whole image perturbed {fully:.4f}."
    lines += [(line, False, INK) for line in textwrap.wrap(sentence, 135)]
    if result.status[row] != "ok":
        lines += [(line, False, WARNING) for line in textwrap.wrap(result.status[row], 135)]
    return lines


def _write_heading(drawing: Figure, lines: list[tuple[str, bool, str]], height: float) -> None:
    place = height - 0.12
    for text, bold, colour in lines:
        size, weight = (13, "bold") if bold else (10.5, "normal")
        drawing.text(
            0.015,
            place / height,
            text,
            fontsize=size,
            fontweight=weight,
            color=colour,
            va="top",
            parse_math=False,
        )
        place -= 0.27 if bold else 0.21


def _show(axes: Axes, picture: Floats, canvas: Canvas) -> None:
    axes.imshow(np.clip(picture, 0, 1), interpolation="antialiased")
    axes.set_axis_off()
    if not canvas.whole:
        from matplotlib.patches import Rectangle

        height, width = canvas.pixels.shape[:2]
        x0, y0 = (max(edge, 0.0) - 0.5 for edge in canvas.box[:2])
        x1, y1 = (min(edge, end) - 0.5 for edge, end in zip(canvas.box[2:], (width, height), strict=True))
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=1.0))
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        )


def _draw_classes(axes: Axes, named: Named, target: str) -> None:
    """Draw the leading classes with their scores, the bars those of probabilities."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(SHOWN, 0)
    for place, (name, score) in enumerate(named[:SHOWN]):
        length = min(max(score, 0.0), 1.0)
        axes.barh(place + 0.5, length, height=0.82, color=PALE)
        weight = "bold" if name == target else "normal"
        shown = textwrap.shorten(name, 36, placeholder="…")
        value = f"{score:.3f}" if abs(score) < 100 else f"{score:.0f}"
        for text, x, side in ((shown, 0.015, "left"), (value, 0.985, "right")):
            axes.text(
                x, place + 0.5, text, ha=side, va="center", fontsize=10, fontweight=weight, color=INK, parse_math=False
            )


def _draw_key(
    drawing: Figure, across: tuple[float, float], height: float, cmap: str, deletion: bool, outlined: bool
) -> None:
    """Draw the colour bar of importance, and what the outline means."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    left, width = across
    bar = drawing.add_axes((left, 0.74 / height, width, 0.13 / height))
    drawing.colorbar(ScalarMappable(Normalize(0, 1), cmap), cax=bar, orientation="horizontal")
    bar.set_xticks([0, 0.5, 1], ["0", "importance", "1"], fontsize=9.5, color=INK)
    key = drawing.add_axes((left, 0.12 / height, width, 0.24 / height))
    key.set_axis_off()
    key.set_xlim(0, 1)
    key.set_ylim(0, 1)
    words = f"outline: the region that is {'deleted' if deletion else 'kept'}"
    if outlined:
        for colour, thick in (("black", 2.6), ("white", 1.3)):
            key.plot([0.01, 0.09], [0.5, 0.5], color=colour, linewidth=thick)
    else:
        words = "no outline: nothing has an importance above 0.5"
    key.text(0.12 if outlined else 0.01, 0.5, words, fontsize=10, color=INK, va="center")


def _limits(result: Explanation, row: int) -> tuple[float, float]:
    return min(float(result.images[row].min()), 0.0), max(float(result.images[row].max()), 1.0)


def _draw_signals(result: Explanation, row: int, panels: tuple[Axes, Axes, Axes], cmap: str, alpha: float) -> None:
    limits = _limits(result, row)
    after = result.masked_images if result.region_images is None else result.region_images
    _draw_signal(panels[0], result.images[row], None, limits, cmap, alpha)
    _draw_signal(panels[1], result.images[row], result.saliency[row], limits, cmap, alpha)
    _draw_signal(panels[2], after[row], None, limits, cmap, alpha)


def _draw_signal(
    axes: Axes, signal: Floats, saliency: Floats | None, limits: tuple[float, float], cmap: str, alpha: float
) -> None:
    """Draw the channels of a signal (C, T) over time, its importance (T,) behind them."""
    time = np.arange(signal.shape[-1])
    axes.plot(time, signal.T, linewidth=0.9)
    axes.set_xlim(-0.5, time.size - 0.5)
    axes.set_ylim(*limits)
    if saliency is not None:
        extent = (-0.5, time.size - 0.5, *limits)
        axes.imshow(saliency[None], extent=extent, aspect="auto", cmap=cmap, alpha=0.6 * alpha, vmin=0, vmax=1)
        edges = np.flatnonzero(np.diff((saliency > 0.5).astype(int))) + 0.5
        for edge in edges:
            axes.axvline(edge, color=INK, linewidth=1.0)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=9)
