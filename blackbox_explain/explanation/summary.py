"""A result in words, within 80 columns: what every kind of result shares."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blackbox_explain.explanation.outcome import DOUBTED

if TYPE_CHECKING:
    from blackbox_explain.explanation.explanation import Explanation
    from blackbox_explain.explanation.predictions import Named

__all__ = [
    "at_length",
    "cut_front",
    "leading_classes",
    "name_of",
    "outcome_sentence",
    "photo_name",
    "region_words",
    "start",
    "summary_of",
    "under_table",
    "wrapped",
]

WIDTH = 80

SHOWN = 3
"""Leading classes in a line."""

NOTABLE = 0.01
"""Share of the score by which a part has to do more than the whole for it to be told."""


def summary_of(result: Explanation) -> str:
    """Return a result for people: one image at length, several as a table with a line for each."""
    told = result.provenance
    preset = told.settings.get("preset")
    game = "both games, the region of deletion," if told.settings.get("game") == "both" else result.game
    lines = [f"{result.method}{f' ({preset})' if preset else ''}: {game} by {result.perturbation}"]
    if told.gradients == "estimated":
        lines += wrapped(f"the gradient is estimated from scores: {told.why_estimated}")
        lines.append(f"with at most {result.queries.sum(axis=1).max()} queries an image")
    if len(result) != 1:
        return "\n".join([*lines, *_table(result), *_changes(result), *under_table(result)])
    words, share = region_words(result.game), f"{result.share[0]:.1%} of the image"
    figures = [
        ("score of the image", float(result.score[0])),
        (f"{words} ({share})", float(result.score_region[0])),
        ("with the whole image perturbed", float(result.score_perturbed[0])),
    ]
    if result.score_perturbed[0] - result.lowest[0] > NOTABLE * abs(result.score[0]):
        figures.append(("the lowest score, with a part of it perturbed", float(result.lowest[0])))
    return "\n".join([*lines, *at_length(result, figures, words)])


def region_words(game: str) -> str:
    """Return what was asked of the region: that the image does without it, or with it alone."""
    return "without the region" if game == "deletion" else "with nothing but the region"


def _table(result: Explanation) -> list[str]:
    lines = [f"{'image':<20}{'class':<18}{'before':>8}{'region':>8}{'all':>8}{'share':>7}  outcome"]
    for row in range(len(result)):
        numbers = (result.score[row], result.score_region[row], result.score_perturbed[row])
        figures = "".join(f"{number:8.4f}" for number in numbers)
        lines.append(
            f"{cut_front(name_of(result, row), 19):<20}{start(result.target[row], 17):<18}"
            f"{figures}{result.share[row]:7.1%}  {result.outcome[row].kind}"
        )
    without = "without the region" if result.game == "deletion" else "with nothing but the region"
    key = f"before: score of the class; region: {without}; all: with the whole image perturbed; share: of the region"
    return [*lines, *textwrap.wrap(key, WIDTH)]


def _changes(result: Explanation) -> list[str]:
    """Return the leading classes of each row, before and after."""
    if not result.predictions:
        return []
    lines = [f"top classes, before → {region_words(result.game)}:"]
    names = [name_of(result, row) for row in range(len(result))]
    for row, told in enumerate(result.predictions):
        if told.before:
            name = names[row]
            about = f"{name}, {result.target[row]}" if names.count(name) > 1 else name
            lines += wrapped(f"{about}: {leading_classes(told.before)} → {leading_classes(told.after)}", "  ")
    return lines


def at_length(result: Explanation, figures: Sequence[tuple[str, float]], after: str) -> list[str]:
    """Return the lines on the only image of a result.

    Parameters
    ----------
    result
        With one row.
    figures
        What each number is, and the number.
    after
        What was done to the image that the second list of leading classes is of.
    """
    outcome, name = result.outcome[0], photo_name(result, 0)
    head = f"{name}: {result.target[0]}" if name else result.target[0]
    if outcome.failed:
        return [head, *wrapped(str(outcome), "  ")]
    lines = [head, *(f"  {words:<58}{value:8.4f}" for words, value in figures)]
    told = result.predictions[0] if result.predictions else None
    if told:
        lines += wrapped(f"top classes before: {leading_classes(told.before)}", "  ")
        lines += wrapped(f"top classes {after}: {leading_classes(told.after)}", "  ")
    return [*lines, *wrapped(f"outcome: {outcome}", "  "), *_doubts(result)]


def under_table(result: Explanation) -> list[str]:
    """Return what stands below a table: each outcome that is not ok, and the doubts."""
    lines: list[str] = []
    said: set[str] = set()
    for row, outcome in enumerate(result.outcome):
        # A doubt about the model is the same in every row.
        if outcome.kind != "ok" and str(outcome) not in said:
            lines += wrapped(f"{name_of(result, row)}: {outcome}")
        said.add(str(outcome))
    return [*lines, *_doubts(result)]


def photo_name(result: Explanation, row: int) -> str:
    """Return the name of a row's photo, "" where it is not known."""
    photo = result.photos[row] if result.photos else None
    return photo.name if photo else ""


def name_of(result: Explanation, row: int) -> str:
    """Return what a row is called: its photo, or its number."""
    return photo_name(result, row) or f"image {row + 1}"


def outcome_sentence(result: Explanation, row: int) -> str:
    """Return the outcome of a row for pictures, which have room for one of the doubts instead of all."""
    doubts, outcome = result.provenance.doubts, result.outcome[row]
    return f"weak: {doubts[0]}" if doubts and outcome == DOUBTED else str(outcome)


def cut_front(text: str, width: int) -> str:
    """Cut a file's name at its beginning, where photos of one folder are alike."""
    return text if len(text) <= width else f"…{text[1 - width :]}"


def start(text: str, width: int) -> str:
    """Cut a text at its end."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def leading_classes(named: Named) -> str:
    """Return the names of the leading classes with their scores, in one line."""
    return (
        " · ".join(
            f"{name} {score:.3f}" if abs(score) < 100 else f"{name} {score:.4g}" for name, score in named[:SHOWN]
        )
        or "none is finite"
    )


def wrapped(text: str, indent: str = "") -> list[str]:
    """Break a text into lines that fit, the later ones indented."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    ) or [indent]


def _doubts(result: Explanation) -> list[str]:
    """Return what is doubted about the way that images are given to the model, and what was assumed of it."""
    told = result.provenance
    sentences = [*(f"doubt: {one}" for one in told.doubts), *(f"assumed: {one}" for one in told.assumptions)]
    return [line for one in sentences for line in wrapped(one)]
