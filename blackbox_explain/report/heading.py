"""What stands above a picture: what was explained, how far its score falls, and what is to be doubted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.summary import outcome_sentence, photo_name
from blackbox_explain.perturbations.named import WORDS
from blackbox_explain.report.overlay import Canvas, beyond_photo
from blackbox_explain.report.text_layout import WARNING, width_of, wrapped, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Line", "draw_heading", "heading_height", "heading_of", "noun_of", "perturbed_words", "title_of"]

TITLE, SMALLEST, SENTENCE = 14.0, 11.0, 10.5
"""Sizes in points."""

LEADING = 1.42
"""Height of a line over the size of its letters."""

PAD, GROUND, EDGE = 0.09, "#fdf0e6", 0.05
"""Around a warning, and its colour."""


@dataclass(frozen=True)
class Line:
    """A line of a heading, its size in points."""

    text: str
    size: float
    warning: bool = False
    bold: bool = False

    @property
    def height(self) -> float:
        """In inches."""
        return self.size * LEADING / 72


def noun_of(result: Explanation) -> str:
    """Return what was explained: a signal, an image or a volume."""
    return {2: "signal", 3: "image"}.get(result.saliency.ndim, "volume")


def title_of(result: Explanation, row: int) -> str:
    """Return what stands first: the photo, where its name is known, and what was explained."""
    name = photo_name(result, row)
    return f"{name}: {result.target[row]}" if name else result.target[row]


def perturbed_words(result: Explanation) -> str:
    """Return what is done to what is deleted, as a participle."""
    words = {"blur": "blurred", "constant": "replaced by a constant", "noise": "replaced by noise"}
    return words.get(result.perturbation, WORDS.get(result.perturbation, "replaced"))


def heading_of(result: Explanation, row: int, canvas: Canvas | None, width: float) -> list[Line]:
    """Return the lines above a picture of so many inches."""
    by = "" if result.method == "mask" else f", by {result.method}"
    title = title_of(result, row) + by
    size = next((one for one in (TITLE, 12.5) if width_of(title, one, "bold") <= width), SMALLEST)
    lines = [Line(one, size, bold=True) for one in wrapped(title, width, size, "bold")]
    lines += [Line(one, SENTENCE) for one in wrapped(_sentence(result, row, canvas), width, SENTENCE)]
    if result.outcome[row].kind != "ok":
        room = width - 2 * PAD - EDGE
        lines += [Line(one, SENTENCE, warning=True) for one in wrapped(outcome_sentence(result, row), room, SENTENCE)]
    return lines


def _sentence(result: Explanation, row: int, canvas: Canvas | None) -> str:
    before, region, fully = (
        _number(float(scores[row])) for scores in (result.score, result.score_region, result.score_perturbed)
    )
    noun, gone = noun_of(result), perturbed_words(result)
    share = result.share[row]
    whole = f"with the whole {noun} {gone} it is {fully}."
    if share == 0:
        return f"No region was found. The score is {before}; {whole}"
    but = "" if result.game == "deletion" else "all but "
    part = f"the region ({share:.1%} of the {noun})" if share < 1 else f"the whole {noun}, which is the region,"
    told = f"With {but}{part} {gone}, the score goes from {before} to {region}; {whole}"
    beyond = 0.0 if canvas is None else beyond_photo(result, row, canvas)
    return told + (f" {beyond:.0%} of the region lies beyond the photo, in its padding." if beyond >= 0.005 else "")


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 or not np.isfinite(value) else f"{value:.5g}"


def heading_height(lines: list[Line]) -> float:
    """Return the height in inches, with the margin above it."""
    warned = any(line.warning for line in lines)
    return 0.10 + sum(line.height for line in lines) + (3 * PAD if warned else 0)


def draw_heading(drawing: Figure, lines: list[Line], left: float) -> None:
    """Write the lines at the top of a figure, a warning on a ground of its own; `left` is in inches."""
    width, height = (float(one) for one in drawing.get_size_inches())
    place = height - 0.10
    warning = [line for line in lines if line.warning]
    for line in lines:
        if not line.warning:
            weight = "bold" if line.bold else "normal"
            write(drawing, left / width, place / height, line.text, size=line.size, fontweight=weight, va="top")
            place -= line.height
    if not warning:
        return
    from matplotlib.patches import Rectangle

    place -= PAD
    tall = sum(line.height for line in warning) + 2 * PAD
    for across, colour in ((width - 2 * left, GROUND), (EDGE, WARNING)):
        corner, size = (left / width, (place - tall) / height), (across / width, tall / height)
        drawing.add_artist(Rectangle(corner, *size, facecolor=colour, edgecolor="none", transform=drawing.transFigure))
    place -= PAD
    for line in warning:
        x, y = (left + EDGE + PAD) / width, place / height
        write(drawing, x, y, line.text, size=line.size, color=WARNING, va="top")
        place -= line.height
