"""One picture of many explanations: photos, classes or targets side by side."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation import Explanation
from blackbox_explain.render import COLOURS, COVER, DOTS, INK, WARNING, draw_importance
from blackbox_explain.summary import cut_front, photo_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_CELLS", "save_sheet", "sheet"]

MOST_CELLS = 60
"""In one sheet; what does not fit is counted below."""

CELL = 2.6
"""Inches."""

COLUMNS = 4


def sheet(
    results: Explanation | Sequence[Explanation],
    *,
    columns: int | None = None,
    cmap: str = COLOURS,
    alpha: float = COVER,
) -> Figure:
    """Draw what matters in each of several images, or for each of several classes.

    Parameters
    ----------
    results
        One or more results; rows that failed are left out.
    columns
        Of the sheet; None takes 4 at most.
    cmap, alpha
        As in `Explanation.plot`.

    Returns
    -------
    matplotlib.figure.Figure
        A cell for each row, `MOST_CELLS` at most: photo, class, score before and without the region (preservation:
        with it alone), and the status where it is not ok.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    from matplotlib.figure import Figure

    given = [results] if isinstance(results, Explanation) else list(results)
    cells = [(one, row) for one in given for row, status in enumerate(one.status) if not status.startswith("failed")]
    if not cells:
        raise InputError("There is nothing to draw", got="no row that did not fail")
    left_out = len(cells) - MOST_CELLS
    cells = cells[:MOST_CELLS]
    across = min(columns or COLUMNS, len(cells))
    down = math.ceil(len(cells) / across)
    drawing = Figure(figsize=(CELL * across, (CELL + 0.75) * down + 0.3), layout="constrained", facecolor="white")
    grid = drawing.subplots(down, across, squeeze=False)
    for axes, (result, row) in zip(grid.flat, cells, strict=False):
        draw_importance(result, row, axes, cmap, alpha)
        _caption(axes, result, row)
    for axes in grid.flat[len(cells) :]:
        axes.set_axis_off()
    if left_out > 0:
        drawing.supxlabel(f"and {left_out} more", fontsize=10, color=INK)
    return drawing


def save_sheet(results: Explanation | Sequence[Explanation], path: Path) -> Path:
    """Draw a sheet into a file; its suffix says of which kind.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            sheet(results).savefig(path, dpi=DOTS)
    except OSError as error:
        raise ResultError("The sheet cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def _caption(axes: Axes, result: Explanation, row: int) -> None:
    name = photo_name(result, row)
    lines = [cut_front(name, 32)] if name else []
    lines.append(textwrap.shorten(result.target[row], 30, placeholder="…"))
    word = result.status[row].partition(":")[0]
    numbers = f"{result.score_original[row]:.3f} → {result.score_region[row]:.3f}"
    lines.append(numbers if word == "ok" else f"{numbers}, {word}")
    axes.set_title(
        "\n".join(lines), fontsize=9.5, color=INK if word == "ok" else WARNING, loc="left", pad=3, parse_math=False
    )
