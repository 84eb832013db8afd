"""One picture of one photo by many methods, as in Fig. 2: the same colours and scale, and what each took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.evaluating.naming import named_explanations
from blackbox_explain.explanation.explanation import COLOURS, COVER, Explanation
from blackbox_explain.report.figure import WIDEST, check_row, draw_importance, draw_photo, has_region
from blackbox_explain.report.overlay import LONGEST_SMALL, canvas_of, in_specks

if TYPE_CHECKING:
    from blackbox_explain.report.text_layout import Picture

__all__ = ["plot_methods", "save_method_sheet"]

COLUMNS, CELL, ACROSS, DOWN, MARGIN = 6, 2.4, 0.12, 0.12, 0.16
"""Of a picture at most; the width of a cell, what lies between two of them, and at the edges, in inches."""

TALLEST = 1.25
"""Height of a photo as a share of its width: taller ones are drawn smaller."""

HEAD, FOOT, KEY = 0.24, 0.36, 0.5
"""Heights of what stands above and below a cell, and of the key."""

NAME, NUMBER, SMALL = 9.0, 9.0, 9.0
"""Sizes of letters, in points."""


def plot_methods(
    results: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    row: int = 0,
    *,
    seconds: Mapping[str, float] | None = None,
    refused: Mapping[str, str] | None = None,
    cmap: str = COLOURS,
    alpha: float = COVER,
) -> Picture:
    """Draw what matters in one image by several methods (Fig. 2).

    Parameters
    ----------
    results
        From `explain`, of the same images and targets; by a name for each, or in a sequence, where each has the name of
        its method and no two are by the same.
    row
        Which image.
    seconds
        What each took for it.
    refused
        Methods that found nothing, and why: they are named below.
    cmap, alpha
        As in `Explanation.plot`.

    Returns
    -------
    Picture
        The photo, and a cell for each method: what matters over the photo, the outline of the smallest region that
        does what was asked, its share of the image, and the images that the model was run on.  Methods whose row
        failed are named below.

    Raises
    ------
    InputError
        If there is nothing to draw, no such row, two of a sequence are by the same method, or the results are not of
        the same images.
    """
    from blackbox_explain.report.heading import Line, draw_heading, heading_height, noun_of, title_of
    from blackbox_explain.report.legend import draw_bar, draw_key
    from blackbox_explain.report.text_layout import WARNING, Picture, wrapped, write

    several = named_explanations(results)
    found = [name for name, one in several.items() if not one.outcome[row].failed]
    # The smallest region that does what was asked first, as in a table.
    found.sort(key=lambda name: (several[name].outcome[row].kind != "ok", float(several[name].share[row])))
    good = {name: several[name] for name in found}
    if not good:
        raise InputError("There is nothing to draw", got="no method whose row did not fail")
    first = next(iter(good.values()))
    check_row(first, row)
    if any(one.images.shape != first.images.shape or one.target[row] != first.target[row] for one in good.values()):
        raise InputError("The results are not of the same images and targets", got=", ".join(good))
    across = min(COLUMNS, len(good) + 1)
    width = max(2 * MARGIN + across * CELL + (across - 1) * ACROSS, 5.4)
    room = width - 2 * MARGIN
    noun = noun_of(first)
    told = " ".join(_told(good, row, noun))
    lines = [Line(one, 13.0, bold=True) for one in wrapped(title_of(first, row), room, 13.0, "bold")]
    lines += [Line(one, 10.0) for one in wrapped(told, room, 10.0)]
    lines += [
        Line(one, 10.0, warning=True) for doubt in first.provenance.doubts for one in wrapped(doubt, room - 0.3, 10.0)
    ]
    missing = {name: one.outcome[row].message for name, one in several.items() if name not in good}
    below = [
        Line(one, SMALL)
        for name, why in {**(refused or {}), **missing}.items()
        for one in wrapped(f"not drawn: {name}: {why}", room, SMALL)
    ]
    signal, framed = first.saliency.ndim == 2, False
    if signal:
        tall = 0.6 * CELL
    else:
        canvas = canvas_of(first, row, LONGEST_SMALL)
        framed = canvas.cropped
        high, wide = canvas.pixels.shape[:2]
        tall = CELL * min(max(high / wide, WIDEST), TALLEST)
    down = -(-(len(good) + 1) // across)
    top = heading_height(lines) + 0.1
    foot = KEY + sum(line.height for line in below) + MARGIN
    height = top + down * (HEAD + tall + FOOT + DOWN) + foot
    drawing = Picture(figsize=(width, height), facecolor="white")
    draw_heading(drawing, lines, MARGIN)
    for place, (method, one) in enumerate([("", first), *good.items()]):
        line, column = divmod(place, across)
        left = MARGIN + column * (CELL + ACROSS)
        upper = height - top - line * (HEAD + tall + FOOT + DOWN) - HEAD
        axes = drawing.add_axes((left / width, (upper - tall) / height, CELL / width, tall / height))
        if not method:
            draw_photo(one, row, axes, small=True)
        else:
            draw_importance(one, row, axes, cmap, alpha, small=True)
        if signal:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel("")
        x = left / width
        title = method or "what the model sees"
        write(drawing, x, (upper + 0.06) / height, title, size=NAME, fontweight="bold", va="bottom")
        if method:
            weak = one.outcome[row].kind != "ok"
            share = _share_words(one, row)
            colour = {"color": WARNING} if weak else {}
            write(drawing, x, (upper - tall - 0.04) / height, share, size=NUMBER, va="top", **colour)
            cost = _cost_words(one, row, (seconds or {}).get(method))
            write(drawing, x, (upper - tall - 0.2) / height, cost, size=NUMBER, va="top")
    bar = min(CELL, 0.45 * width)
    draw_bar(drawing, (MARGIN / width, (foot - 0.17) / height, bar / width, 0.13 / height), cmap, alpha)
    left, rest = MARGIN + bar + 0.3, width - 2 * MARGIN - bar - 0.3
    tall = 0.24 * (1 + framed)
    axes = drawing.add_axes((left / width, (foot - 0.02 - tall) / height, rest / width, tall / height))
    draw_key(axes, "outline: the region", framed, rest)
    place = foot - KEY
    for line in below:
        write(drawing, MARGIN / width, place / height, line.text, size=line.size, va="top")
        place -= line.height
    return drawing


def save_method_sheet(
    results: Mapping[str, Explanation], path: Path, seconds: Mapping[str, float], refused: Mapping[str, str]
) -> Path:
    """Draw the first row of several results into a file; its suffix says of which kind.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    try:
        plot_methods(results, seconds=seconds, refused=refused).savefig(path)
    except OSError as error:
        raise ResultError("The picture cannot be written", got=f"{path}: {error.strerror}") from error
    return path


def _told(good: Mapping[str, Explanation], row: int, noun: str) -> list[str]:
    """Return what the numbers and outlines of the cells mean."""
    from blackbox_explain.report.heading import perturbed_words

    first = next(iter(good.values()))
    games = {one.game for one in good.values()}
    gone = {perturbed_words(one) for one in good.values()}
    how = gone.pop() if len(gone) == 1 else "deleted"
    takes = f"that takes away {first.suppress:.0%} of the score when it is {how}"
    keeps = f"that keeps {first.suppress:.0%} of the score when all the rest is {how}"
    asked = " or ".join(one for game, one in (("deletion", takes), ("preservation", keeps)) if game in games)
    told = [
        f"Outlined: the smallest part of each map, up to half of the {noun}, {asked}; below, its share of the {noun} "
        f"and the score then. The score of the {noun} is {first.score[row]:.3f}."
    ]
    if any(one.outcome[row].kind == "weak" for one in good.values()):
        told.append(f"Weak: no part of up to half of the {noun} does that; the best there is.")
    if any(in_specks(one, row) for one in good.values()):
        told.append("In specks: too scattered to be outlined.")
    return told


def _share_words(result: Explanation, row: int) -> str:
    if not has_region(result, row):
        return "no region found"
    word = result.outcome[row].kind
    specks = " in specks" if in_specks(result, row) else ""
    told = f"{result.share[row]:.1%}{specks} → {result.score_region[row]:.3f}"
    return told if word == "ok" else f"{told}, {word}"


def _cost_words(result: Explanation, row: int, seconds: float | None) -> str:
    scores, gradients = (int(one) for one in result.queries[row])
    told = f"{scores:,} scores" + (f", {gradients:,} gradient{'s' * (gradients > 1)}" if gradients else "")
    return told if seconds is None else f"{seconds:.1f} s, {told}"
