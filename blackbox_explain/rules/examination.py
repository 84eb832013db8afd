"""All rules of the catalogue about one black box, each with its measured error."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance
from blackbox_explain.rules.classification import ClassReport, recall_and_precision
from blackbox_explain.rules.joint import JointRegion, joint_region, looks_at_most
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.search import MostInformative, search_relation, visits
from blackbox_explain.rules.shortcut import Shortcuts, find_shortcuts

__all__ = ["Examination", "examine"]

Begin = Callable[[str, int], Advance]
"""Called with what begins and the most images that it takes; returns what counts them."""


@dataclass(frozen=True, eq=False)
class Examination:
    """What a black box was asked, and what was found.

    Attributes
    ----------
    relations
        For each relation the largest θ whose rule is seldom wrong (Q3).
    joint
        How much of two relations at once; None if not asked for.
    classes
        Recall and precision (Q1); None without labels.
    shortcuts
        What the decision needs outside the objects; None without regions.
    images
        Number of images.
    confidence
        Of the intervals: all of one relation hold at once, and those of several relations each for itself.
    queries, seconds
        What it took.
    seed
        Of all random draws.
    model_fingerprint, samples_fingerprint
        Of the model (empty if it has none) and of the images.
    """

    relations: tuple[MostInformative, ...]
    joint: JointRegion | None
    classes: ClassReport | None
    shortcuts: Shortcuts | None
    images: int
    confidence: float
    queries: int
    seconds: float
    seed: int
    model_fingerprint: str
    samples_fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "relations": [one.to_dict() for one in self.relations],
            "joint": self.joint.to_dict() if self.joint else None,
            "classes": self.classes.to_dict() if self.classes else None,
            "shortcuts": self.shortcuts.to_dict() if self.shortcuts else None,
            **{name: getattr(self, name) for name in ("images", "confidence", "queries", "seconds", "seed")},
            "model_fingerprint": self.model_fingerprint,
            "samples_fingerprint": self.samples_fingerprint,
        }


def examine(
    questions: Questions,
    relations: Sequence[Relation],
    *,
    joint: tuple[Relation, Relation] | None = None,
    max_error: float = 0.05,
    whole_curve: bool = False,
    confidence: float = 0.95,
    begin: Begin = lambda _what, _most: lambda _images: None,
    **response: Any,
) -> Examination:
    """Learn every rule that the samples allow.

    Parameters
    ----------
    questions
        The black box and the samples; with labels, recall and precision are found, with regions, shortcuts.
    relations
        Those whose largest θ is looked for.
    joint
        Two relations whose joint region is looked for.
    max_error, whole_curve, confidence, **response
        As in `most_informative`.
    begin
        Called when each part begins; for progress.

    Raises
    ------
    InputError
        If a relation does not fit the images, there is nothing to do, or a setting is out of range.
    ModelError
        If the model fails.
    """
    box, samples = questions.box, questions.samples
    for relation in [*relations, *(joint or ())]:
        relation.check_spec(samples.spec)
    if not relations and joint is None and samples.labels is None and samples.regions is None:
        raise InputError("There is nothing to examine", hint="name relations, or give labels or boxes")
    started, queries = time.perf_counter(), questions.queries
    options: dict[str, Any] = {"confidence": confidence, "batch_size": questions.batch_size}
    classes, shortcuts, region = None, None, None
    if samples.labels is not None:
        classes = recall_and_precision(box, samples, progress=begin("classes", len(samples)), **options)
    found: list[MostInformative] = []
    for relation in relations:
        questions.advance = begin(relation.name, visits(relation) * len(samples))
        found.append(
            search_relation(
                relation, questions, max_error=max_error, whole_curve=whole_curve, confidence=confidence, **response
            )
        )
    if joint is not None:
        name = " × ".join(one.name for one in joint)
        region = joint_region(
            *joint,
            box,
            samples,
            max_error=max_error,
            seed=questions.seed,
            progress=begin(name, looks_at_most(*joint) * len(samples)),
            **options,
            **response,
        )
    if samples.regions is not None:
        shortcuts = find_shortcuts(box, samples, progress=begin("shortcuts", 10 * len(samples)), **options)
    asked = questions.queries - queries
    asked += sum(one.queries for one in (classes, region, shortcuts) if one is not None)
    fingerprint: Callable[[], str] | None = getattr(box, "fingerprint", None)
    return Examination(
        tuple(found),
        region,
        classes,
        shortcuts,
        len(samples),
        confidence,
        asked,
        time.perf_counter() - started,
        questions.seed,
        str(fingerprint()) if fingerprint else "",
        samples.fingerprint,
    )
