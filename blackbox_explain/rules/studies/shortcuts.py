"""Shortcuts: classes that a black box tells from something other than their objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.perturbations.named import OF_PAPER, PerturbationName
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.arguments import check_options
from blackbox_explain.rules.measuring.faithfulness import Violation, percent
from blackbox_explain.rules.measuring.proportion import Share
from blackbox_explain.rules.questions import BATCH, Questions, Rows
from blackbox_explain.rules.statements.object_decides import MARGIN, Answers, ObjectDecides, Part
from blackbox_explain.rules.studies.class_shortcut import OTHERS, Shortcut, Told

__all__ = ["Shortcut", "Shortcuts", "Told", "find_shortcuts", "looks", "shortcuts_of"]

LEAST = 5
"""Photos of a class, at least, for it to be looked at."""

SHOWN = 10
"""Photos of each list that the summary names."""

PARTS: tuple[Part, ...] = ("outside", "object", "elsewhere")


@dataclass(frozen=True, eq=False)
class Shortcuts:
    """What `find_shortcuts` found.

    Attributes
    ----------
    findings
        One for each class of which there are enough photos; the highest lower end of the strength first.
    not_enough
        Names of the classes of which there are fewer photos than `least`; their photos count among the others'.
    object_alone, keeps, elsewhere
        Of the photos of all classes: shares whose class survives when all but the object, the object, and an equal area
        outside of it are deleted, in all ways.
    photos
        All photos whose class survives without the object, in all ways, the farthest lead first.  Those of a class that
        is not flagged may have become what the model says of any photo without an object.
    left_out
        Photos that nothing was asked about: without a region or filled by it, or not of their class to begin with.
    ways, margin, least
        As given.
    confidence
        Of all intervals in `findings` together, and of each of the three shares above by itself.
    queries
        Images that the model was asked about.
    seed
        Of all random draws.
    model_fingerprint, samples_fingerprint
        Of the model (empty if it has none) and of the images.
    """

    findings: tuple[Shortcut, ...]
    not_enough: tuple[str, ...]
    object_alone: Share
    keeps: Share
    elsewhere: Share
    photos: tuple[Violation, ...]
    left_out: int
    ways: tuple[PerturbationName, ...]
    margin: float
    least: int
    confidence: float
    queries: int
    seed: int
    model_fingerprint: str
    samples_fingerprint: str

    @property
    def flagged(self) -> tuple[Shortcut, ...]:
        """The findings that are flagged, the strongest first."""
        return tuple(one for one in self.findings if one.flagged)

    @property
    def compared(self) -> tuple[Shortcut, ...]:
        """The findings that could have been flagged: those of classes with photos of others to compare with."""
        return tuple(one for one in self.findings if all(told.becomes.n for told in one.told))

    @property
    def verdict(self) -> str:
        """How many shortcuts were found in how many classes, or why none could be, without a full stop."""
        if self.compared:
            count = len(self.flagged)
            found = "no shortcut" if not count else "1 shortcut" if count == 1 else f"{count} shortcuts"
            return f"{found} found in {_classes(len(self.compared))}"
        if self.findings:
            return "nothing to compare with: photos of at least two classes are needed"
        photos = "photo" if self.least == 1 else "photos"
        return f"nothing to compare: a class of at least {self.least} {photos} is needed, and photos of others"

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return for each finding, in words: class, "shortcut" or nothing, keeps, becomes, and object alone.

        Keeps and becomes are those of the way in which the least is certain.
        """
        return [
            (one.name, "shortcut" if one.flagged else "", least.keeps.text, least.becomes.text, one.object_alone.text)
            for one in self.findings
            for least in (one.weakest,)
        ]

    def summary(self) -> str:
        """Return what was found, for people."""
        lines = [
            f"the class survives without the object: {self.keeps.text}",
            *_named(self.photos),
            f"the class survives without an equal area elsewhere: {self.elsewhere.text}",
            f"the class survives with the object alone: {self.object_alone.text}",
        ]
        for one in self.flagged:
            lines.append(f"shortcut: {one.sentence}")
            lines += _named(one.photos)
        if not self.flagged:
            lines.append(self.verdict)
        if self.not_enough:
            lines.append(f"not enough photos of {_classes(len(self.not_enough))} (fewer than {self.least})")
        if self.left_out:
            photos = "1 photo" if self.left_out == 1 else f"{self.left_out} photos"
            lines.append(f"left out: {photos} without a region, filled by it, or not told rightly")
        lines.append(f"{percent(self.confidence)} % intervals, those of the classes corrected for their number")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        plain = ("left_out", "margin", "least", "confidence", "queries", "seed")
        return finite(
            {
                "verdict": self.verdict,
                "compared": len(self.compared),
                "findings": [one.to_dict() for one in self.findings],
                **{name: getattr(self, name).to_dict() for name in ("object_alone", "keeps", "elsewhere")},
                "photos": [vars(one) for one in self.photos],
                "not_enough": list(self.not_enough),
                "ways": list(self.ways),
                **{name: getattr(self, name) for name in plain},
                **{name: getattr(self, name) for name in ("model_fingerprint", "samples_fingerprint")},
            }
        )


def find_shortcuts(
    box: BlackBox,
    samples: Samples,
    *,
    ways: tuple[PerturbationName, ...] = OF_PAPER,
    margin: float = MARGIN,
    least: int = LEAST,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
) -> Shortcuts:
    """Find classes that a black box tells from something other than their objects.

    The object of each photo is deleted, and the photo *keeps* its class if that stays the top class.  That alone is no
    finding: a model must answer something of a photo without an object, and if that is always "lake", all lakes keep
    their class.  So the same is asked of the photos of all other classes, of which some *become* lakes.  What is said
    more often where the deleted object was of this class than where it was not is not told by the object.  Photos of
    other classes that keep their own class in all ways are left out if at least `OTHERS` remain: what makes them keep
    it, their own shortcut, is also all that makes them no lakes.  That can only raise the share that becomes.

    A class is **flagged** if this holds for certain in each way to delete: the lower end of the interval of `keeps` is
    above the upper end of that of `becomes`.  Each way, because each has its faults: what is blurred a little can still
    be recognised, the mean colour of a photo is partly the object's, noise is none of it but looks unusual.

    All intervals are exact (Clopper–Pearson) at the level 1 − (1 − confidence) / (2 C W), where C is the number of
    classes with at least `least` photos and W that of ways, so that all hold at once (Bonferroni): if all classes are
    told by their objects alone, one is flagged with a probability of at most 1 − confidence.

    What is flagged is any evidence outside of the region, whether one calls it a shortcut or context; what a region
    leaves over of its object (a tail beyond the box, a second object without one) is such evidence too.  A deleted
    region still shows where it was and how large; classes that are told by that alone are flagged as well.

    Parameters
    ----------
    box
        From `wrap`.
    samples
        Photos with the regions of their objects.  With labels, only photos whose top class is the true one are asked
        about; without, the class of a photo is its top class.
    ways
        What stands in for what is deleted.
    margin
        See `ObjectDecides`.
    least
        Photos of a class, at least, for it to be looked at; fewer could hardly be flagged, and each class that is
        looked at widens the intervals of all.
    confidence
        See above.
    batch_size
        Images in one call of the model.
    seed
        Of noise and of the control's places.
    progress
        True, False, or a function called with the number of images after each batch; None shows a bar on a terminal.

    Returns
    -------
    Shortcuts
        Findings by class, the strongest first; `print(found.summary())`.

    Raises
    ------
    InputError
        If there are no regions, no photo is left that can be asked about, the model has one output only, or a setting
        is out of range.
    ModelError
        If the model fails.
    """
    total = len(samples) * looks(ways)
    with progress_bar(total, "deleting objects", None if callable(progress) else progress) as bar:
        questions = Questions(box, samples, seed, batch_size, advance=progress if callable(progress) else bar)
        found = shortcuts_of(questions, ways=ways, margin=margin, least=least, confidence=confidence)
        questions.advance(total - questions.queries)
    return found


def looks(ways: tuple[PerturbationName, ...] = OF_PAPER) -> int:
    """Return how often each image is asked about at most."""
    return 1 + len(PARTS) * len(ways)


def shortcuts_of(
    questions: Questions,
    *,
    ways: tuple[PerturbationName, ...] = OF_PAPER,
    margin: float = MARGIN,
    least: int = LEAST,
    confidence: float,
) -> Shortcuts:
    """Do the work of `find_shortcuts` with questions that others may share."""
    samples, before = questions.samples, questions.queries
    samples.require_regions("A shortcut")
    if least < 1:
        raise InputError("A class that is looked at has photos", got=f"least={least}", expected="at least 1")
    check_options(confidence)
    rules: dict[Part, ObjectDecides] = {part: ObjectDecides(part, ways, margin) for part in PARTS}
    rows = np.arange(len(samples))
    right = samples.labels is None or questions.top(rows) == samples.labels
    rows = rows[rules["object"].speaks_of(questions, rows) & right]
    if not len(rows):
        expected = "photos of which the model tells the class, with a part that is the object and a part that is not"
        raise InputError("No photo can be asked about its object", got=f"{len(samples)} photos", expected=expected)
    found: dict[Part, tuple[Rows, Answers]] = {}
    for part in PARTS:
        rule = rules[part]
        asked = rows[rule.speaks_of(questions, rows)]
        found[part] = asked, rule.answers(questions, asked)
    top = found["object"][1].top
    classes, counts = np.unique(top, return_counts=True)
    enough = classes[counts >= least].tolist()
    level = 1 - (1 - confidence) / (2 * len(ways) * max(1, len(enough)))
    findings = [_finding(index, found, samples, ways, level) for index in enough]
    names = tuple(shown_name(index, samples.spec.class_names) for index in classes[counts < least].tolist())
    shares = {part: Share.of(answers.survives, confidence) for part, (_, answers) in found.items()}
    return Shortcuts(
        tuple(sorted(findings, key=lambda one: (-one.weakest.low, -one.weakest.strength))),
        names,
        shares["outside"],
        shares["object"],
        shares["elsewhere"],
        _survivors(*found["object"], samples),
        len(samples) - len(rows),
        ways,
        margin,
        least,
        confidence,
        questions.queries - before,
        questions.seed,
        questions.model_fingerprint,
        samples.fingerprint,
    )


def _finding(
    index: int,
    found: dict[Part, tuple[Rows, Answers]],
    samples: Samples,
    ways: tuple[PerturbationName, ...],
    level: float,
) -> Shortcut:
    rows, without = found["object"]
    own = without.top == index
    others = ~own & ~without.survives
    if others.sum() < OTHERS:
        others = ~own
    told = tuple(
        Told(way, Share.of(said[own] == index, level), Share.of(said[others] == index, level))
        for way, said in zip(ways, without.said.T, strict=True)
    )
    alone, elsewhere = (
        Share.of(answers.survives[answers.top == index], level)
        for answers in (found["outside"][1], found["elsewhere"][1])
    )
    photos = tuple(one for one in _survivors(rows, without, samples) if one.row in rows[own])
    return Shortcut(index, shown_name(index, samples.spec.class_names), told, alone, elsewhere, photos)


def _survivors(rows: Rows, answers: Answers, samples: Samples) -> tuple[Violation, ...]:
    """Return the photos whose class survives, the farthest lead first."""
    places = np.flatnonzero(answers.survives)
    order = places[np.argsort(-answers.lead[places], kind="stable")]
    return tuple(Violation(int(rows[one]), samples.names[rows[one]], float(answers.lead[one])) for one in order)


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _named(photos: tuple[Violation, ...]) -> list[str]:
    """Return a line for each of the first photos."""
    lines = [f"    {photo.name} (its class leads by {photo.amount:.3f})" for photo in photos[:SHOWN]]
    return lines + ([f"    and {len(photos) - SHOWN} more"] if len(photos) > SHOWN else [])
