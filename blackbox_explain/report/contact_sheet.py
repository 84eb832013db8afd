"""One picture of many explanations: photos, classes or targets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.explanation import COLOURS, COVER, Explanation
from blackbox_explain.explanation.summary import photo_name
from blackbox_explain.report.figure import WIDEST, draw_importance, has_region
from blackbox_explain.report.overlay import LONGEST_SMALL, canvas_of

if TYPE_CHECKING:
    from blackbox_explain.report.heading import Line
    from blackbox_explain.report.text_layout import Picture

__all__ = ["MOST_CELLS", "save_sheet", "sheet"]

MOST_CELLS = 60
"""In one sheet; what does not fit is counted below."""

COLUMNS, CELL, ACROSS, DOWN, MARGIN = 4, 2.6, 0.18, 0.16, 0.16
"""Of a sheet at most; the width of a cell, what lies between two of them, and at the edges, in inches."""

TALLEST = 1.25
"""Height of a cell as a share of its width: taller photos are drawn smaller."""

NARROWEST = 5.4
"""Of a sheet, so that there is room for its heading."""

KEY, TICKS = 0.62, 0.24
"""Heights of the key, and of the labels below a signal."""

MEANING = {
    "weak": "weak: no small region explains this score, or the model may be shown the wrong pixels",
}


@dataclass(frozen=True)
class Cell:
    """A row of a result in a sheet, with what stands above it and its size in inches."""

    result: Explanation
    row: int
    caption: tuple[Line, ...]
    tall: float

    @property
    def head(self) -> float:
        """Height of the caption."""
        return sum(line.height for line in self.caption) + 0.05


def sheet(
    results: Explanation | Sequence[Explanation],
    *,
    columns: int | None = None,
    cmap: str = COLOURS,
    alpha: float = COVER,
) -> Picture:
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
    Picture
        A figure of matplotlib with a cell for each row, `MOST_CELLS` at most: photo, class, score before and without
        the region (preservation: with it alone), and the outcome where it is not ok.

    Raises
    ------
    InputError
        If there is nothing to draw, or less than one column.
    """
    from blackbox_explain.report.heading import draw_heading, heading_height
    from blackbox_explain.report.legend import draw_bar, draw_key
    from blackbox_explain.report.text_layout import Picture, write

    given = [results] if isinstance(results, Explanation) else list(results)
    rows = [(one, row) for one in given for row in range(len(one))]
    good = [(one, row) for one, row in rows if not one.outcome[row].failed]
    if not good:
        raise InputError("There is nothing to draw", got="no row that did not fail")
    if columns is not None and columns < 1:
        raise InputError("A sheet has at least one column", got=f"columns={columns}")
    names = {photo_name(one, row) for one, row in rows}
    shared = len(names) == 1 and len(rows) > 1 and "" not in names
    cells = [
        _cell(one, row, "" if shared else photo_name(one, row) or f"image {place}")
        for place, (one, row) in enumerate(good[:MOST_CELLS], start=1)
    ]
    across = min(columns or COLUMNS, len(cells))
    width = max(2 * MARGIN + across * CELL + (across - 1) * ACROSS, NARROWEST)
    lines = _heading(good, next(iter(names)) if shared else "", width - 2 * MARGIN)
    below = _below(cells, len(good) - len(cells), len(rows) - len(good), width - 2 * MARGIN)
    grid = [cells[first : first + across] for first in range(0, len(cells), across)]
    heights = [(max(cell.head for cell in line), max(cell.tall for cell in line)) for line in grid]
    top = heading_height(lines) + 0.12
    foot = KEY + sum(line.height for line in below) + MARGIN
    height = top + sum(head + tall + DOWN for head, tall in heights) + foot
    drawing = Picture(figsize=(width, height), facecolor="white")
    draw_heading(drawing, lines, MARGIN)
    place = height - top
    for line, (head, tall) in zip(grid, heights, strict=True):
        for column, cell in enumerate(line):
            left = MARGIN + column * (CELL + ACROSS)
            # Captions end where the photos of their line begin.
            _draw_cell(drawing, cell, (left, place - head), cmap, alpha)
        place -= head + tall + DOWN
    bar = min(CELL, 0.45 * width)
    draw_bar(drawing, (MARGIN / width, (foot - 0.17) / height, bar / width, 0.13 / height), cmap, alpha)
    left, room = MARGIN + bar + 0.3, width - 2 * MARGIN - bar - 0.3
    outlined = any(has_region(cell.result, cell.row) for cell in cells)
    framed = any(
        cell.result.saliency.ndim > 2 and canvas_of(cell.result, cell.row, LONGEST_SMALL).cropped for cell in cells
    )
    if outlined or framed:
        tall = 0.24 * (outlined + framed)
        axes = drawing.add_axes((left / width, (foot - 0.02 - tall) / height, room / width, tall / height))
        draw_key(axes, "outline: the region" if outlined else "", framed, room)
    place = foot - KEY
    for line in below:
        write(drawing, MARGIN / width, place / height, line.text, size=line.size, va="top")
        place -= line.height
    return drawing


def save_sheet(results: Explanation | Sequence[Explanation], path: Path) -> Path:
    """Draw a sheet into a file; its suffix says of which kind.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        sheet(results).savefig(path)
    except OSError as error:
        raise ResultError("The sheet cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def _cell(result: Explanation, row: int, name: str) -> Cell:
    from blackbox_explain.report.heading import Line
    from blackbox_explain.report.text_layout import wrapped

    word = result.outcome[row].kind
    lines = [Line(one, 9.5) for one in wrapped(name, CELL, 9.5)] if name else []
    lines += [Line(one, 10.5, bold=True) for one in wrapped(result.target[row], CELL, 10.5, "bold")]
    numbers = f"{result.score[row]:.3f}"
    numbers += f" → {result.score_region[row]:.3f}" if has_region(result, row) else ", no region found"
    numbers += f" ({result.share[row]:.1%})" if has_region(result, row) else ""
    lines.append(Line(numbers if word == "ok" else f"{numbers}, {word}", 10.5, warning=word != "ok"))
    if result.saliency.ndim == 2:
        return Cell(result, row, tuple(lines), 0.6 * CELL + TICKS)
    height, width = canvas_of(result, row, LONGEST_SMALL).pixels.shape[:2]
    return Cell(result, row, tuple(lines), CELL * min(max(height / width, WIDEST), TALLEST))


def _draw_cell(drawing: Picture, cell: Cell, corner: tuple[float, float], cmap: str, alpha: float) -> None:
    """Draw a cell whose photo has its upper left corner there, in inches."""
    from blackbox_explain.report.text_layout import INK, WARNING, write

    width, height = (float(one) for one in drawing.get_size_inches())
    left, top = corner
    signal = cell.result.saliency.ndim == 2
    bottom, tall = top - cell.tall, cell.tall
    if signal:
        bottom, tall = bottom + TICKS, tall - TICKS
    axes = drawing.add_axes((left / width, bottom / height, CELL / width, tall / height))
    draw_importance(cell.result, cell.row, axes, cmap, alpha, small=True)
    if signal:
        axes.set_yticks([])
        axes.set_xlabel("")
    place = top + cell.head
    for line in cell.caption:
        colour, weight = WARNING if line.warning else INK, "bold" if line.bold else "normal"
        write(
            drawing, left / width, place / height, line.text, size=line.size, color=colour, fontweight=weight, va="top"
        )
        place -= line.height


def _heading(rows: Sequence[tuple[Explanation, int]], name: str, width: float) -> list[Line]:
    """Return what stands above all cells: the photo they share, what the numbers are, and what is to be doubted."""
    from blackbox_explain.report.heading import Line, noun_of, perturbed_words
    from blackbox_explain.report.text_layout import wrapped

    games = {str(one.game) for one, _ in rows}
    done = {perturbed_words(one) for one, _ in rows}
    nouns = {noun_of(one) for one, _ in rows}
    gone, noun = (words.pop() if len(words) == 1 else other for words, other in ((done, "deleted"), (nouns, "image")))
    part = {"deletion": "the region", "preservation": "all but the region"}
    what = part[games.pop()] if len(games) == 1 else f"{part['deletion']} (preservation: all but it)"
    told = f"Numbers: score of the {noun} → score with {what} {gone} (its share of the {noun})."
    lines = [Line(one, 14.0, bold=True) for one in wrapped(name, width, 14.0, "bold")] if name else []
    lines += [Line(one, 10.5) for one in wrapped(told, width, 10.5)]
    doubts = list(dict.fromkeys(doubt for one, _ in rows for doubt in one.provenance.doubts))
    if doubts:
        # They end alike, with what to check.
        more = f" ({len(doubts) - 1} more of the kind: summary())" if len(doubts) > 1 else ""
        lines += [Line(one, 10.5, warning=True) for one in wrapped(doubts[0] + more, width - 0.3, 10.5)]
    return lines


def _below(cells: Sequence[Cell], more: int, failed: int, width: float) -> list[Line]:
    """Return what stands below all cells: what weak means, and what is not drawn."""
    from blackbox_explain.report.heading import Line
    from blackbox_explain.report.text_layout import wrapped

    words = {cell.result.outcome[cell.row].kind for cell in cells}
    told = [meaning for word, meaning in MEANING.items() if word in words]
    told += [f"and {more} more"] if more else []
    told += [f"not drawn: {failed} that failed"] if failed else []
    return [Line(line, 9.5) for one in told for line in wrapped(one, width, 9.5)]
