"""A result of the mask learner in words, within 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_explain.explanation.summary import (
    at_length,
    cut_front,
    leading_classes,
    name_of,
    start,
    under_table,
    wrapped,
)

if TYPE_CHECKING:
    from blackbox_explain.explanation.mask_explanation import MaskExplanation

__all__ = ["mask_summary_of", "region_words"]


def mask_summary_of(result: MaskExplanation) -> str:
    """Return a result for people: one image at length, several as a table with a line for each."""
    lines = [f"{result.game} by {result.perturbation}, preset {result.provenance.settings.get('preset', '')}"]
    lines += _notes(result)
    if len(result) > 1:
        return "\n".join([*lines, *_table(result), *_changes(result), *under_table(result)])
    region = region_words(result)
    figures = [
        ("score of the image", float(result.score[0])),
        (f"{region} ({result.share[0]:.1%} of the image)", float(result.score_region[0])),
        ("with the whole image perturbed", float(result.score_perturbed[0])),
    ]
    return "\n".join([*lines, *at_length(result, figures, region)])


def region_words(result: MaskExplanation) -> str:
    """Return what was asked of the region: that the image does without it, or with it alone."""
    return "without the outlined region" if result.game == "deletion" else "with the outlined region alone"


def _notes(result: MaskExplanation) -> list[str]:
    told = result.provenance
    if told.gradients != "estimated":
        return []
    notes = [f"the gradient is estimated from scores: {told.why_estimated}"]
    if np.isfinite(result.objective).any():
        mean, most = np.nanmean(result.objective), result.queries.sum(axis=1).max()
        notes.append(f"mean objective {mean:.4f} with {most} queries an image")
    return [line for note in notes for line in wrapped(note)]


def _table(result: MaskExplanation) -> list[str]:
    lines = [f"{'image':<20}{'class':<18}{'before':>8}{'region':>8}{'all':>8}{'share':>7}  outcome"]
    for row in range(len(result)):
        numbers = (result.score[row], result.score_region[row], result.score_perturbed[row])
        figures = "".join(f"{number:8.4f}" for number in numbers)
        lines.append(
            f"{cut_front(name_of(result, row), 19):<20}{start(result.target[row], 17):<18}"
            f"{figures}{result.share[row]:7.1%}  {result.outcome[row].kind}"
        )
    lines.append("before: score of the class; region: with the region deleted (kept alone in the")
    lines.append("preservation game); all: with the whole image perturbed; share: of the region")
    return lines


def _changes(result: MaskExplanation) -> list[str]:
    """Return the leading classes of each row, before and after."""
    if not result.predictions:
        return []
    lines = [f"top classes, before → {'without the region' if result.game == 'deletion' else 'with the region alone'}:"]
    names = [name_of(result, row) for row in range(len(result))]
    for row, told in enumerate(result.predictions):
        if told.before:
            name = names[row]
            about = f"{name}, {result.target[row]}" if names.count(name) > 1 else name
            lines += wrapped(f"{about}: {leading_classes(told.before)} → {leading_classes(told.after)}", "  ")
    return lines
