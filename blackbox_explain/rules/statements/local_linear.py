"""Rules about one image each: the linear rule of eq. 2, whose error is measured instead of taken for granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.oracle import check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples, as_samples
from blackbox_explain.errors import InputError
from blackbox_explain.rules.questions import BATCH, Questions, Rows, Scores
from blackbox_explain.rules.relations.relation import Relation, check_relation
from blackbox_explain.rules.repeated_samples import distinct
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.statements.rule import Outcome, Rule
from blackbox_explain.setting_ranges import is_number

__all__ = ["Explained", "Taylor", "explained_classes", "explained_words", "taylor_maps"]

Explained = Literal["top", "label"]
"""Whose score a local rule speaks of: each image's top class, or the one that the samples are labelled with."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Taylor(Rule):
    """The local rule of eq. 2: f(x) = f(x0) + ⟨S1(x0), x − x0⟩ with S1 = ∇f(x0), for x near x0, up to a tolerance.

    "Near" is stated: x ~θ x0 is any relation of at most θ, drawn as for `Invariance`, of which this is the next better
    rule (with S1 = 0 they are the same).  With ``Deletion(by="zero")`` the neighbours are x0 ⊙ m, and the rule is that
    of S2 = ∇f(x0) ⊙ x0: f(x0 ⊙ m) = f(x0) − ⟨S2, 1 − m⟩.  `taylor_maps` returns both.

    Each row of the samples is one x0 with one neighbour; `RepeatedSamples` gives an image many.  The black box is asked
    for one gradient for each different image of a batch.

    Attributes
    ----------
    relation, theta
        What the neighbours are.
    tolerance
        How far the score may be from what is predicted.
    explained
        ``"top"`` or ``"label"``: whose score f is.
    """

    relation: Relation
    theta: float
    tolerance: float = 0.1
    explained: Explained = "top"

    def __post_init__(self) -> None:
        check_relation(self.relation)
        self.relation.check_theta(self.theta)
        explained_words(self.explained)
        if not is_number(self.tolerance) or not 0 <= self.tolerance < np.inf:
            raise InputError("A tolerance is at least 0", got=f"tolerance={self.tolerance!r}")

    @property
    def sentence(self) -> str:
        """The statement in English."""
        near = self.relation.phrase(self.theta)
        score = f"the score of {explained_words(self.explained)}"
        return f"if {near}, {score} is within {self.tolerance:g} of what its gradient predicts"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Ask about one neighbour of each image.

        Raises
        ------
        NoGradientError
            If the black box gives scores only.
        """
        found = [self.predicted(questions, batch) for batch in questions.batches(rows)]
        said, true = (np.concatenate(part) for part in zip(*found, strict=True))
        amount = np.abs(said - true) - self.tolerance
        return Outcome.always(amount <= 0, amount)

    def predicted(self, questions: Questions, rows: Rows) -> tuple[Floats, Floats]:
        """Return the scores that the rule predicts for one neighbour of each image, and what they are: (n,) each."""
        images = questions.samples.batch(rows)
        moved = Invariance(self.relation, self.theta).transformed(questions, rows)
        first, which = distinct(questions.samples, images, rows)
        slopes, before, classes = _gradients(self.explained, questions, first)
        axes = tuple(range(1, images.ndim))
        # Differences in double precision: what is summed up is small and of either sign.
        change = moved.astype(np.float64) - images
        said = before[which] + (slopes[which] * change).sum(axis=axes)
        places = {row: place for place, row in enumerate(rows.tolist())}
        after = questions.ask(rows, lambda some: moved[[places[row] for row in some.tolist()]])
        return said, after[np.arange(len(rows)), classes[which]]


def taylor_maps(
    box: BlackBox, samples: Samples | Array, explained: Explained = "top", *, batch_size: int = BATCH
) -> tuple[Floats, Floats]:
    """Return S1(x0) = ∇f(x0) and S2(x0) = ∇f(x0) ⊙ x0 of eq. 2, the maps whose rule `Taylor` measures.

    S1 says what any small change does, f(x) ≈ f(x0) + ⟨S1, x − x0⟩; S2 what deletion to zero does,
    f(x0 ⊙ m) ≈ f(x0) − ⟨S2, 1 − m⟩.

    Parameters
    ----------
    box
        From `wrap`.
    samples
        Images x0, (N, *shape), or samples.
    explained
        ``"top"`` or ``"label"``: whose score f is.
    batch_size
        Images in one call of the model.

    Returns
    -------
    s1, s2
        (N, *shape) each: in units of the score per unit of the pixels, and of the score.

    Raises
    ------
    NoGradientError
        If the black box gives scores only.
    InputError
        If the images do not fit, or labels are asked for and lacking.
    """
    check_call(box, batch_size, 0)
    explained_words(explained)
    known = as_samples(samples, box.spec)
    questions = Questions(box, known, 0, batch_size)
    slopes: list[Floats] = []
    images: list[Floats] = []
    for rows in questions.batches(np.arange(len(known))):
        images.append(known.batch(rows).astype(np.float64))
        slopes.append(_gradients(explained, questions, rows)[0])
    s1 = np.concatenate(slopes)
    return s1, s1 * np.concatenate(images)


def _gradients(
    explained: Explained, questions: Questions, rows: Rows
) -> tuple[Floats, Floats, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return S1 (m, *shape), f(x0) (m,) and the classes explained (m,) of some images."""
    classes = explained_classes(explained, questions, rows)
    before = questions.original(rows)
    weights = np.eye(before.shape[1], dtype=np.float32)[classes]
    _, slopes = questions.oracle.gradient(questions.samples.batch(rows), weights)
    return slopes.astype(np.float64), before[np.arange(len(rows)), classes], classes


def explained_classes(explained: Explained, questions: Questions, rows: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return whose score is spoken of for some images: (n,).

    Raises
    ------
    InputError
        If it is the labelled class, and there are no labels, or the model has no such class.
    """
    scores: Scores = questions.original(rows)
    if explained == "top":
        return scores.argmax(axis=1)
    labels = questions.samples.require_labels("A rule about the labelled class")[rows]
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        expected = f"0 to {scores.shape[1] - 1}"
        raise InputError("The model has no such class", got=f"{labels.min()} to {labels.max()}", expected=expected)
    return labels


def explained_words(explained: str) -> str:
    """Return how the class is called in a sentence.

    Raises
    ------
    InputError
        If it is neither.
    """
    if explained not in get_args(Explained):
        raise InputError("Local rules speak of one class", got=repr(explained), expected="'top' or 'label'")
    return "the top class" if explained == "top" else "the class it is labelled with"
