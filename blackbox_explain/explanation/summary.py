"""A result in words: every number with its meaning, within 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.explanation.outcome import DOUBTED, kind_of

if TYPE_CHECKING:
    from blackbox_explain.explanation.explanation import Explanation
    from blackbox_explain.explanation.predictions import Named

__all__ = ["cut_front", "name_of", "photo_name", "status_sentence", "summary_of"]

WIDTH = 80

SHOWN = 3
"""Leading classes in a line."""


def summary_of(result: Explanation) -> str:
    """Return a result for people: one image at length, several as a table with a line for each."""
    lines = [_title(result), *_notes(result)]
    lines += _at_length(result) if len(result) == 1 else _table(result)
    return "\n".join(lines)


def photo_name(result: Explanation, row: int) -> str:
    """Return the name of a row's photo, "" where it is not known."""
    photo = result.photos[row] if result.photos else None
    return photo.name if photo else ""


def name_of(result: Explanation, row: int) -> str:
    """Return what a row is called: its photo, or its number."""
    return photo_name(result, row) or f"image {row + 1}"


def status_sentence(result: Explanation, row: int) -> str:
    """Return the status of a row for pictures, which have room for one of the doubts instead of all."""
    doubts = result.settings.get("doubts", ())
    status = result.status[row]
    return f"weak: {doubts[0]}" if doubts and status == DOUBTED else status


def cut_front(text: str, width: int) -> str:
    """Cut a file's name at its beginning, where photos of one folder are alike."""
    return text if len(text) <= width else f"…{text[1 - width :]}"


def _title(result: Explanation) -> str:
    told = result.settings
    return f"{told.get('game', '')} by {told.get('perturbation', '')}, preset {told.get('preset', '')}"


def _notes(result: Explanation) -> list[str]:
    from blackbox_explain.explanation.explanation import ESTIMATED

    notes = [note for note in result.settings.get("notes", ()) if note.startswith(ESTIMATED)]
    if result.settings.get("gradients") == "estimated" and np.isfinite(result.objective).any():
        mean, most = np.nanmean(result.objective), result.evaluations.sum(axis=1).max()
        notes.append(f"mean objective {mean:.4f} with {most} queries an image")
    return [line for note in notes for line in _wrapped(note)]


def _at_length(result: Explanation) -> list[str]:
    status = result.status[0]
    name = photo_name(result, 0)
    head = f"{name}: {result.target[0]}" if name else result.target[0]
    if kind_of(status) == "failed":
        return [head, *_wrapped(status, "  ")]
    deletion = result.settings.get("game", "deletion") == "deletion"
    region = "without the outlined region" if deletion else "with the outlined region alone"
    rows = [
        ("score of the image", result.score_original[0]),
        (f"{region} ({result.region_share[0]:.1%} of the image)", result.score_region[0]),
        ("with the whole image perturbed", result.score_perturbed[0]),
    ]
    lines = [head, *(f"  {words:<58}{value:8.4f}" for words, value in rows)]
    told = result.predictions[0] if result.predictions else None
    if told:
        lines += _wrapped(f"top classes before: {_listed(told.before)}", "  ")
        lines += _wrapped(f"top classes {region.split(' (')[0]}: {_listed(told.after)}", "  ")
    return [*lines, *_wrapped(f"status: {status}", "  "), *_doubts(result)]


def _table(result: Explanation) -> list[str]:
    head = f"{'image':<20}{'class':<18}{'before':>8}{'region':>8}{'all':>8}{'share':>7}  status"
    lines = [head]
    for row in range(len(result)):
        numbers = (result.score_original[row], result.score_region[row], result.score_perturbed[row])
        figures = "".join(f"{number:8.4f}" for number in numbers)
        word = kind_of(result.status[row])
        lines.append(
            f"{cut_front(name_of(result, row), 19):<20}{_start(result.target[row], 17):<18}"
            f"{figures}{result.region_share[row]:7.1%}  {word}"
        )
    lines.append("before: score of the class; region: with the region deleted (kept alone in the")
    lines.append("preservation game); all: with the whole image perturbed; share: of the region")
    lines += _changes(result)
    poor = [row for row, status in enumerate(result.status) if status != "ok"]
    said: set[str] = set()
    for row in poor:
        # A doubt about the model is the same in every row.
        sentence = result.status[row]
        if sentence not in said:
            lines += _wrapped(f"{name_of(result, row)}: {sentence}")
        said.add(sentence)
    return [*lines, *_doubts(result)]


def _changes(result: Explanation) -> list[str]:
    """Return the leading classes of each row, before and after."""
    if not result.predictions:
        return []
    deletion = result.settings.get("game", "deletion") == "deletion"
    lines = [f"top classes, before → {'without the region' if deletion else 'with the region alone'}:"]
    names = [name_of(result, row) for row in range(len(result))]
    for row, told in enumerate(result.predictions):
        if told.before:
            name = names[row]
            about = f"{name}, {result.target[row]}" if names.count(name) > 1 else name
            lines += _wrapped(f"{about}: {_listed(told.before)} → {_listed(told.after)}", "  ")
    return lines


def _doubts(result: Explanation) -> list[str]:
    return [line for doubt in result.settings.get("doubts", ()) for line in _wrapped(f"doubt: {doubt}")]


def _listed(named: Named) -> str:
    return (
        " · ".join(
            f"{name} {score:.3f}" if abs(score) < 100 else f"{name} {score:.4g}" for name, score in named[:SHOWN]
        )
        or "none is finite"
    )


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    ) or [indent]


def _start(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
