"""Pictures of results, fit for a talk or a paper: the photo, what matters in it, the photo without that (Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.explanation import COLOURS, COVER, Explanation, Floats
from blackbox_explain.explanation.summary import region_words
from blackbox_explain.report.curve_plot import draw_curve, has_curve
from blackbox_explain.report.overlay import (
    LONGEST,
    LONGEST_SMALL,
    Canvas,
    canvas_of,
    coloured,
    flat_saliency,
    height_over_edge,
    in_specks,
    slice_of,
    without_region,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from blackbox_explain.report.text_layout import Picture

__all__ = ["check_row", "draw_importance", "draw_photo", "figure", "has_region", "save_figure"]

WIDTH, MARGIN, BETWEEN = 11.0, 0.16, 0.14
"""Of a picture, at its edges, and between its panels, in inches."""

TALLEST, WIDEST = 1.6, 0.25
"""Height of a panel, as a share of its width."""

CURVE, AXIS, TICK = 2.5, 0.5, 0.12
"""Width of the curve, and of what lies to its left and right, in inches."""

TITLE: dict[str, Any] = {"fontsize": 11, "color": "#222222", "loc": "left", "pad": 5, "parse_math": False}
"""Of a panel."""

NOTHING = "no region found"


def check_row(result: Explanation, row: int) -> None:
    """Raise `InputError` if there is no such row, or it failed."""
    if not -len(result) <= row < len(result):
        raise InputError("There is no such row", got=f"row={row}", expected=f"0 to {len(result) - 1}")
    if result.outcome[row].failed:
        raise InputError("A row that failed cannot be drawn", got=str(result.outcome[row]))


def figure(result: Explanation, row: int = 0, *, cmap: str = COLOURS, alpha: float = COVER) -> Picture:
    """Draw one row of a result.

    Parameters
    ----------
    result
        Of images (grey or colour), signals, or volumes, of which the slice is shown where most matters.
    row
        Which one.
    cmap
        A colour map of matplotlib.
    alpha
        How far the colours cover the photo where importance is 1.

    Returns
    -------
    Picture
        The photo with its leading classes; what matters in it, with the region's outline; the photo without that
        region (preservation: with nothing else), with its leading classes; and the score against the share of the
        image that is deleted (preservation: kept).

    Raises
    ------
    InputError
        If there is no such row, it failed, or there is no such colour map.
    """
    from blackbox_explain.report.heading import draw_heading, heading_height, heading_of, noun_of
    from blackbox_explain.report.legend import draw_bar, draw_entries, draw_key, entries_of, height_of, key_height
    from blackbox_explain.report.signals import PAPER
    from blackbox_explain.report.text_layout import Picture

    check_row(result, row)
    canvas = None if result.saliency.ndim == 2 else canvas_of(result, row)
    edge = MARGIN if canvas is not None else 0.55
    panel = (WIDTH - edge - MARGIN - 2 * BETWEEN) / 3
    whole = WIDTH + (CURVE + AXIS + TICK if has_curve(result) else 0)
    ratio = 0.75 if canvas is None else canvas.pixels.shape[0] / canvas.pixels.shape[1]
    tall = panel * min(max(ratio, WIDEST), TALLEST)
    words = heading_of(result, row, canvas, whole - 2 * MARGIN)
    before, after = _named(result, row)
    left_list = entries_of(before, result.target[row], float(result.score[row]), panel)
    right_list = entries_of(after, result.target[row], float(result.score_region[row]), panel)
    framed = canvas is not None and canvas.cropped
    outline = _outline(result, row)
    lines = bool(outline) + framed
    foot = max(height_of(left_list), height_of(right_list), key_height(lines)) + MARGIN + 0.02
    foot += 0.12 if canvas is not None else 0.55
    head = heading_height(words) + 0.32
    height = head + tall + foot
    drawing = Picture(figsize=(whole, height), facecolor="white")
    draw_heading(drawing, words, MARGIN)

    def place(column: int, bottom: float, tall: float) -> tuple[float, float, float, float]:
        left = edge + column * (panel + BETWEEN)
        return left / whole, bottom / height, panel / whole, tall / height

    panels = [drawing.add_axes(place(column, foot, tall)) for column in range(3)]
    _draw_panels(result, row, canvas, panels, cmap, alpha)
    if has_curve(result):
        low = foot - 0.12
        corner = ((whole - MARGIN - TICK - CURVE) / whole, low / height)
        axes = drawing.add_axes((*corner, CURVE / whole, (foot + tall - low) / height))
        draw_curve(axes, result, row, noun_of(result))
        axes.set_title("score", **TITLE)
    top = foot - (0.12 if canvas is not None else 0.55)
    for column, entries in ((0, left_list), (2, right_list)):
        if entries:
            axes = drawing.add_axes(place(column, top - height_of(entries), height_of(entries)))
            draw_entries(axes, entries, panel)
    draw_bar(drawing, place(1, top - 0.15, 0.13), cmap, alpha, *([PAPER] if canvas is None else []))
    if lines:
        axes = drawing.add_axes(place(1, top - key_height(lines) - 0.02, 0.24 * lines))
        draw_key(axes, outline, framed, panel)
    return drawing


def save_figure(result: Explanation, row: int, path: Path) -> Path:
    """Draw one row into a file; its suffix says of which kind.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        figure(result, row).savefig(path)
    except OSError as error:
        raise ResultError("The picture cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def draw_importance(
    result: Explanation, row: int, axes: Axes, cmap: str = COLOURS, alpha: float = COVER, small: bool = False
) -> Figure | SubFigure:
    """Draw what matters over the photo into axes, with the region's outline; return their figure."""
    from blackbox_explain.report.signals import draw_signal

    check_row(result, row)
    if result.saliency.ndim == 2:
        draw_signal(axes, result, row, result.images, cmap=cmap, alpha=alpha, behind=True)
        return axes.figure
    canvas = canvas_of(result, row, LONGEST_SMALL if small else LONGEST)
    saliency = flat_saliency(result, row)
    _show(axes, coloured(canvas, saliency, cmap, alpha), canvas)
    placed = canvas.placed(height_over_edge(result, row), outside=np.nan)
    # Of a picture one pixel high or wide, no contour can be drawn.
    if min(placed.shape) > 1 and np.nanmin(placed) < 0 < np.nanmax(placed) and not in_specks(result, row):
        from matplotlib.patheffects import withStroke

        width = 1.0 if small else 1.4
        drawn = axes.contour(placed, levels=[0.0], colors="white", linewidths=width)
        drawn.set_path_effects([withStroke(linewidth=2 * width, foreground="black")])
    return axes.figure


def draw_photo(result: Explanation, row: int, axes: Axes, small: bool = False) -> None:
    """Draw what the model sees into axes."""
    from blackbox_explain.report.signals import draw_signal

    check_row(result, row)
    if result.saliency.ndim == 2:
        draw_signal(axes, result, row, result.images, cmap=COLOURS, alpha=COVER, behind=False)
        return
    canvas = canvas_of(result, row, LONGEST_SMALL if small else LONGEST)
    _show(axes, canvas.dimmed(canvas.pixels), canvas)


def has_region(result: Explanation, row: int) -> bool:
    """Whether there is a region."""
    return bool(result.region[row].any())


def _named(result: Explanation, row: int) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]:
    """Return the leading classes before and after; none after where there is no region."""
    if not result.predictions:
        return (), ()
    told = result.predictions[row]
    return told.before, told.after if has_region(result, row) else ()


def _outline(result: Explanation, row: int) -> str:
    """Return what the outline means, "" where there is none."""
    from blackbox_explain.report.legend import EDGES, SPECKS

    region = height_over_edge(result, row) > 0
    if not region.any() or region.all():
        return ""
    verb = "deleted" if result.game == "deletion" else "kept"
    if in_specks(result, row):
        return SPECKS
    return f"{EDGES} that is {verb}" if result.saliency.ndim == 2 else f"outline: the region that is {verb}"


def _draw_panels(
    result: Explanation, row: int, canvas: Canvas | None, panels: Sequence[Axes], cmap: str, alpha: float
) -> None:
    from blackbox_explain.report.signals import draw_signal, mark_empty

    left, middle = panels[:2]
    draw_importance(result, row, middle, cmap, alpha)
    if canvas is not None:
        _show(left, canvas.dimmed(canvas.pixels), canvas)
    else:
        draw_signal(left, result, row, result.images, cmap=cmap, alpha=alpha, behind=False)
        middle.set_yticklabels([])
    if not has_region(result, row):
        mark_empty(panels[2], NOTHING)
    elif canvas is not None:
        _show(panels[2], canvas.dimmed(without_region(result, row, canvas)), canvas)
    else:
        draw_signal(panels[2], result, row, result.region_images, cmap=cmap, alpha=alpha, behind=False)
        panels[2].set_yticklabels([])
    shown = [f"slice {k + 1} of {n}" for k, n in zip(slice_of(result, row), result.saliency.shape[1:], strict=False)]
    first = f"what the model sees ({', '.join(shown)})" if shown else "what the model sees"
    for axes, title in zip(panels, (first, "what matters", region_words(result.game)), strict=True):
        axes.set_title(title, **TITLE)


def _show(axes: Axes, picture: Floats, canvas: Canvas) -> None:
    height, width = canvas.pixels.shape[:2]
    # Few pixels are shown as they are; many are smoothed.
    few = max(height, width) <= 64
    # Bytes: figures keep their pictures.
    shown = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    axes.imshow(shown, interpolation="nearest" if few else "antialiased")
    axes.set_anchor("NW")
    axes.set_axis_off()
    if canvas.cropped:
        from matplotlib.patches import Rectangle

        x0, y0 = (max(edge, 0.0) - 0.5 for edge in canvas.box[:2])
        x1, y1 = (min(edge, end) - 0.5 for edge, end in zip(canvas.box[2:], (width, height), strict=True))
        for colour, thick, style in (("white", 1.0, "-"), ("#222222", 0.8, (0, (4, 3)))):
            axes.add_patch(
                Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=thick, linestyle=style)
            )
