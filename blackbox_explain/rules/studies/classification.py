"""Q1: which class the images are of, as the black box tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.arguments import check_options
from blackbox_explain.rules.measuring.proportion import Share
from blackbox_explain.rules.questions import BATCH, Questions, Rows, Scores
from blackbox_explain.rules.statements.rule import Booleans, Floats, Outcome, Rule
from blackbox_explain.setting_ranges import is_whole

__all__ = ["ClassReport", "Classification", "Recognised", "class_rules", "recall_and_precision"]

NEED = "A rule about the true class"


@dataclass(frozen=True)
class Classification(Rule):
    """{x ∈ X_c ⇔ f(x) = c} for one class c, or for all classes at once (Q1 of section 3.1).

    Attributes
    ----------
    index
        The class c; None is the true class of each image, whichever it is.
    k
        f(x) = c means that c is among the k highest scores; of equal scores, the lower index is the higher.
    name
        Of the class, for the sentence.
    """

    index: int | None = None
    k: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        if not is_whole(self.k) or self.k < 1:
            raise InputError("A class is at best the top one", got=f"k={self.k!r}", expected="a number of at least 1")
        if self.index is not None and (not is_whole(self.index) or self.index < 0):
            expected = "an index from 0; of a name, Classification.of_class"
            raise InputError("There is no such class", got=f"class {self.index!r}", expected=expected)

    @classmethod
    def of_class(cls, label: int | str, class_names: Sequence[str], k: int = 1) -> Classification:
        """Return the rule about one class, named by its index, its name or one of its synonyms.

        Raises
        ------
        TargetError
            If there is no such class, or several share the name.
        """
        index = class_index(label, len(class_names), class_names)
        return cls(index, k, shown_name(index, class_names))

    @property
    def sentence(self) -> str:
        """The statement in English."""
        if self.index is None:
            return "the top class is the true class" if self.k == 1 else f"the true class is among the top {self.k}"
        name = self.name or f"class {self.index}"
        said = f"the top class is {name}" if self.k == 1 else f"{name} is among the top {self.k} classes"
        return f"{said} for every image of {name} and for no other"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Compare the true classes with the scores of the untouched images.

        The amount is what the score of the class lacks to be among the k highest, or has too much to be none of them.

        Raises
        ------
        InputError
            If there are no labels, or labels, class or k do not fit the scores.
        """
        labels = questions.samples.require_labels(NEED)[rows]
        scores = questions.original(rows)
        _check_labels(labels, scores, self.k)
        if self.index is None:
            said, lead = _among_top(scores, labels, self.k)
            return Outcome.always(said, -lead)
        if self.index >= scores.shape[1]:
            expected = f"0 to {scores.shape[1] - 1}"
            raise InputError("There is no such class", got=f"class {self.index}", expected=expected)
        said, lead = _among_top(scores, np.full(len(rows), self.index), self.k)
        true = labels == self.index
        return Outcome.always(said == true, np.where(true, -lead, lead))


def class_rules(samples: Samples, k: int = 1) -> tuple[Classification, ...]:
    """Return Q1 for every class that some image is of, in the order of the classes.

    Raises
    ------
    InputError
        If the samples have no labels.
    TargetError
        If a label is none of the classes that have names.
    """
    names = samples.spec.class_names
    classes = np.unique(samples.require_labels(NEED)).tolist()
    if names is None:
        return tuple(Classification(index, k) for index in classes)
    return tuple(Classification.of_class(index, names, k) for index in classes)


@dataclass(frozen=True)
class Recognised:
    """How well one class is told from the others.

    Attributes
    ----------
    index, name
        The class.
    recall
        Share of the images of the class that are said to be of it.
    precision
        Share of the images said to be of the class that are.
    """

    index: int
    name: str
    recall: Share
    precision: Share

    @property
    def sentence(self) -> str:
        """Both shares in words, without a full stop."""
        return f"{self.name}: recall {self.recall.text}, precision {self.precision.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        shares = {"recall": self.recall.to_dict(), "precision": self.precision.to_dict()}
        return {"class": self.index, "name": self.name, **shares}


@dataclass(frozen=True, eq=False)
class ClassReport:
    """Recall and precision of every class, read off one pass over the images.

    Attributes
    ----------
    correct
        Share of all images whose true class is the top class (or among the top k).
    classes
        One for each class that an image is of or is said to be of, in the order of the classes.
    k
        How many of the highest scores count as what is said.
    confidence
        Of the intervals, each for itself, or of all of them together if `together`.
    together
        Whether the intervals hold all at once (Bonferroni), as they must if the worst class is picked from them.
    queries
        Images that the model was asked about.
    """

    correct: Share
    classes: tuple[Recognised, ...]
    k: int
    confidence: float
    together: bool
    queries: int

    @property
    def not_enough(self) -> tuple[Recognised, ...]:
        """Classes of which there are not enough images to know the recall."""
        return tuple(one for one in self.classes if not one.recall.enough)

    def rows(self, *, known: bool = False) -> list[tuple[str, str, str]]:
        """Return class, recall and precision in words, the lowest recall first.

        Parameters
        ----------
        known
            Leave out classes that no image is of: they are only said of images of other classes.
        """
        order = sorted(self.classes, key=lambda one: (not one.recall.n, one.recall.value if one.recall.n else 0.0))
        return [(one.name, one.recall.text, one.precision.text) for one in order if one.recall.n or not known]

    def summary(self) -> str:
        """Return a table for people."""
        what = "top class is the true class" if self.k == 1 else f"true class is among the top {self.k}"
        of_all = "of all intervals together" if self.together else "of each interval"
        lines = [f"{what}: {self.correct.text}; confidence {self.confidence:g} {of_all}"]
        lines += [f"{'class':<28}{'recall':<44}precision"]
        lines += [f"{name[:27]:<28}{recall:<44}{precision}" for name, recall, precision in self.rows()]
        if few := len(self.not_enough):
            lines.append(f"not enough images to know the recall of {few} of {len(self.classes)} classes")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "correct": self.correct.to_dict(),
            "classes": [one.to_dict() for one in self.classes],
            **{name: getattr(self, name) for name in ("k", "confidence", "together", "queries")},
        }


def recall_and_precision(
    box: BlackBox,
    samples: Samples,
    *,
    k: int = 1,
    confidence: float = 0.95,
    together: bool = False,
    batch_size: int = BATCH,
    progress: bool | Advance | None = None,
) -> ClassReport:
    """Ask about every image once and read off how well each class is told from the others.

    Parameters
    ----------
    box
        From `wrap`.
    samples
        Images with their true classes.
    k
        How many of the highest scores count as what is said.
    confidence
        Of the intervals.
    together
        Widen the intervals until they hold all at once, for whoever looks for the worst class.
    batch_size
        Images in one call of the model.
    progress
        True, False, or a function called with the number of images after each batch; None shows a bar on a terminal.

    Raises
    ------
    InputError
        If there are no labels, labels or k do not fit the scores, or the confidence is out of range.
    ModelError
        If the model fails.
    """
    with progress_bar(len(samples), "asking for classes", None if callable(progress) else progress) as bar:
        questions = Questions(box, samples, batch_size=batch_size, advance=progress if callable(progress) else bar)
        return classes_of(questions, k=k, confidence=confidence, together=together)


def classes_of(questions: Questions, *, k: int, confidence: float, together: bool) -> ClassReport:
    """Do the work of `recall_and_precision` with questions that others may share."""
    check_options(confidence)
    samples, before = questions.samples, questions.queries
    labels = samples.require_labels("Recall and precision")
    scores = questions.original(np.arange(len(samples)))
    _check_labels(labels, scores, k)
    said = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    classes = np.union1d(labels, said)
    level = 1 - (1 - confidence) / (2 * len(classes) + 1) if together else confidence
    found: list[Recognised] = []
    for index in classes.tolist():
        is_said, is_true = (said == index).any(axis=1), labels == index
        recall, precision = Share.of(is_said[is_true], level), Share.of(is_true[is_said], level)
        found.append(Recognised(index, shown_name(index, samples.spec.class_names), recall, precision))
    correct = Share.of((said == labels[:, None]).any(axis=1), level)
    return ClassReport(correct, tuple(found), k, confidence, together, questions.queries - before)


def _check_labels(labels: Rows, scores: Scores, k: int) -> None:
    classes = scores.shape[1]
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise InputError(
            "The model lacks the class of an image", got=f"class {wrong[0]}", expected=f"0 to {classes - 1}"
        )
    if not 1 <= k < classes:
        got = f"the top {k} of {classes} classes"
        raise InputError("All classes together say nothing of an image", got=got, expected=f"k from 1 to {classes - 1}")


def _among_top(scores: Scores, classes: Rows, k: int) -> tuple[Booleans, Floats]:
    """Return whether a class (n,) is among the k highest, and its score less the k-th highest of the others."""
    each = np.arange(len(scores))
    said = (np.argsort(-scores, axis=1, kind="stable")[:, :k] == classes[:, None]).any(axis=1)
    others = scores.copy()
    others[each, classes] = -np.inf
    rival, own = np.sort(others, axis=1)[:, -k], scores[each, classes]
    # Scores may be infinite.
    with np.errstate(invalid="ignore"):
        return said, np.where(own == rival, 0.0, own - rival)
