"""All rules of the catalogue about one black box, each with its measured error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, OutOfMemoryError
from blackbox_explain.explanation.preprocessing_doubts import ask_for_doubts
from blackbox_explain.progress import Advance
from blackbox_explain.rules.measuring.joint_region import JointRegion, looks_at_most, pairs_of, search_region
from blackbox_explain.rules.measuring.rule_family import check_enough
from blackbox_explain.rules.measuring.search import MostInformative, search_relation, visits
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.studies.classification import ClassReport, classes_of
from blackbox_explain.rules.studies.shortcuts import Shortcuts, looks, shortcuts_of

__all__ = ["Examination", "examine", "looked_for"]

Begin = Callable[[str, int], Advance]
"""Called with what begins and the most images that it takes; returns what counts them."""


LOOKED_AT = 16
"""Images that doubts are told from."""


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
    failed
        Parts that could not be examined, and why.
    doubts
        Signs that the model is shown the wrong pixels: whatever is found then says little.
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
    failed: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()

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
            "failed": [{"part": part, "error": error} for part, error in self.failed],
            "doubts": list(self.doubts),
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
    finished: Callable[[Examination], None] = lambda _so_far: None,
    doubts: Sequence[str] = (),
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
    finished
        Called after each part with all that was found so far; for saving it.
    doubts
        About the model, besides those that `examine` finds itself by asking about some of the images, and the same
        images blurred.

    Raises
    ------
    InputError
        If a relation does not fit the images, there is nothing to do, there are too few images for `max_error`, or a
        setting is out of range.
    ModelError
        If the model fails in all parts; a part that fails alone is in `failed`.
    """
    samples = questions.samples
    for relation in [*relations, *(joint or ())]:
        relation.check_spec(samples.spec)
    if not relations and joint is None and samples.labels is None and samples.regions is None:
        raise InputError("There is nothing to examine", hint="name relations, or give labels or boxes")
    if rules := looked_for(relations, joint):
        check_enough(len(samples), rules, confidence, max_error)
    started, queries = time.perf_counter(), questions.queries
    found = Examination(
        (),
        None,
        None,
        None,
        len(samples),
        confidence,
        0,
        0.0,
        questions.seed,
        questions.model_fingerprint,
        samples.fingerprint,
    )
    found = replace(found, doubts=(*doubts, *_doubts(questions)))
    errors: list[BlackBoxExplainError] = []
    for part in _parts(questions, relations, joint, max_error, whole_curve, confidence, response):
        questions.advance = begin(part.name, part.most * len(samples))
        try:
            found = replace(found, **part.add(found))
        except BlackBoxExplainError as error:
            errors.append(error)
            found = replace(found, failed=(*found.failed, (part.name, str(error))))
        found = replace(found, queries=questions.queries - queries, seconds=time.perf_counter() - started)
        finished(found)
    if not (found.relations or found.joint or found.classes or found.shortcuts):
        raise errors[0]
    return found


def _doubts(questions: Questions) -> list[str]:
    """Ask about some of the images, and about the same images blurred, whether the model sees what it should."""
    rows = np.linspace(0, len(questions.samples) - 1, min(LOOKED_AT, len(questions.samples))).astype(np.int64)
    try:
        return ask_for_doubts(questions.oracle, questions.samples.batch(np.unique(rows)), seed=questions.seed)
    except (ModelError, OutOfMemoryError):
        # What fails on an image is said where it is asked about.
        return []


def looked_for(relations: Sequence[Relation], joint: tuple[Relation, Relation] | None = None) -> int:
    """Return how many rules one search tells apart, at most: what decides how many images it takes; 0 if none."""
    return max([0, *(len(one.levels) for one in relations), *([] if joint is None else [pairs_of(*joint)])])


@dataclass(frozen=True)
class _Part:
    """One thing to find out: its name, the most looks at all images that it takes, and what adds it to a report."""

    name: str
    most: int
    add: Callable[[Examination], dict[str, Any]]


def _parts(
    questions: Questions,
    relations: Sequence[Relation],
    joint: tuple[Relation, Relation] | None,
    max_error: float,
    whole_curve: bool,
    confidence: float,
    response: dict[str, Any],
) -> Iterator[_Part]:
    samples = questions.samples
    options: dict[str, Any] = {"max_error": max_error, "confidence": confidence, **response}
    if samples.labels is not None:
        # Together, because the worst classes are picked from them.
        yield _Part(
            "classes", 1, lambda _: {"classes": classes_of(questions, k=1, confidence=confidence, together=True)}
        )

    def search(relation: Relation) -> Callable[[Examination], dict[str, Any]]:
        return lambda so_far: {
            "relations": (*so_far.relations, search_relation(relation, questions, whole_curve=whole_curve, **options))
        }

    for relation in relations:
        yield _Part(relation.name, visits(relation, whole_curve), search(relation))
    if joint is not None:
        name, most = " × ".join(one.name for one in joint), looks_at_most(*joint)
        yield _Part(name, most, lambda _: {"joint": search_region(*joint, questions, **options)})
    if samples.regions is not None:
        yield _Part("shortcuts", looks(), lambda _: {"shortcuts": shortcuts_of(questions, confidence=confidence)})
