"""Doubts: what speaks against the way that images are given to a model, told from its own answers.

A network that is shown other numbers than it was trained on, such as pixels from 0 to 1 where it expects 0 to 255 minus
a mean, still answers, and a mask can be learned for that answer.  Four things give it away: it cannot tell black, grey,
white and noise from each other; it says the same of every photo, also blurred; what it says hardly changes when the
whole image is perturbed; it is nearly undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.oracle import BATCH, Oracle
from blackbox_explain.box.preprocessing_questions import questions_about
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.perturbation import Blur, Perturbation

__all__ = ["Answer", "ask_for_doubts", "doubts_from", "doubts_of_run"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

MANY = 10
"""Of fewer classes, one for all images is nothing unusual: a detector says "no" to many photos, blurred or not."""

SAME = 0.5
"""A score of which at least this share is left, for the same class, once the whole image is perturbed, stays."""

MOST = 0.8
"""Of the images of a run, at least this share must speak for a doubt."""

LEAST_IMAGES = 3
"""So many images of one class, also once they are perturbed, are no accident even where the preprocessing was given."""

ALIKE = 0.1
"""Plain images of one class are alike to a model if no score differs by more than this among them."""

UNDECIDED = 5.0
"""A best score below so many times chance is hardly a decision."""

KEPT = 0.1
"""Share of the best score that is left of fully perturbed images, in the median, only where something is wrong."""

DECIDED = 0.1
"""A probability from which on a best score is one."""

CHECK = (
    "check preprocessing= and bounds= (--mean, --std, --range 255, --bgr), activation= (--activation), output= "
    "(--output) and that the weights are the trained ones"
)


@dataclass(frozen=True)
class Answer:
    """What a model says of one image, and of the same image fully perturbed.

    Attributes
    ----------
    top, score
        The class with the highest score, and that score.
    perturbed_top, perturbed_score
        The class with the highest score once the whole image is perturbed, and the score of `top` then.
    classes
        K.
    distribution
        Whether the scores are probabilities that sum to one.
    """

    top: int
    score: float
    perturbed_top: int
    perturbed_score: float
    classes: int
    distribution: bool

    @classmethod
    def of(cls, scores: Array, perturbed: Array) -> Answer:
        """Read the scores (K,) of an image and of the same image fully perturbed; NaN counts as lowest."""
        first, second = (
            np.nan_to_num(to_numpy(one).astype(float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
            for one in (scores, perturbed)
        )
        top = int(first.argmax())
        distribution = bool(
            first.size > 1 and np.isfinite(first).all() and first.min() >= -1e-3 and abs(first.sum() - 1) < 1e-2
        )
        return cls(top, float(first[top]), int(second.argmax()), float(second[top]), first.size, distribution)

    @property
    def stays(self) -> bool:
        """Whether the class is the same once the whole image is perturbed, and half of its score is left."""
        return self.top == self.perturbed_top and self.score > 0 and self.perturbed_score >= SAME * self.score


def doubts_from(answers: Sequence[Answer], spec: InputSpec, plain: Floats | None = None) -> list[str]:
    """Return the doubts that a preprocessing, and the answers of a model about some images, give rise to.

    Parameters
    ----------
    answers
        One for each image of a run that did not fail.
    spec
        Of the black box: `preprocessing_assumed` and the names of the classes.
    plain
        (4, K) scores of black, grey, white and noise; None if the model was not asked about them.

    Returns
    -------
    list of str
        Sentences with what to check; empty if there are none.  In order:

        - What does not fit together in the preprocessing itself (`questions_about`), whatever the answers.
        - Black, grey, white and noise get the same class, and scores that differ by 0.1 at most: the numbers that make
          the difference are too small or too large for the model.  Only where the preprocessing was assumed.
        - One class for most images (0.8 of them, 3 or more), and still once they are perturbed, with at least half of
          the scores.
        - The class stays, with at least half of its score, once the whole image is perturbed, for most images or for
          the only one.  Only where the preprocessing was assumed: with the right one, colours alone can tell a class.
        - Of 3 or more images, a tenth of the best score is left in the median once they are perturbed.  Probabilities
          only.
        - No image has a score of 5 times chance (5 / K) for any class.  Probabilities of at least 20 classes only.

        Of answers about fewer than 10 classes there is one doubt alone: 3 or more images, all of one class, which is
        also that of the images perturbed, with at least half of the scores, and of black, grey, white and noise.  Only
        where the preprocessing was assumed.  Photos of one class give none as long as perturbing them changes the
        answer.

    Notes
    -----
    The best class of each image is looked at, whatever the target: that may be a class which is not there.
    """
    found = list(questions_about(spec))
    if not answers:
        return found
    if min(one.classes for one in answers) < MANY:
        return found + _of_few(answers, spec, plain)
    if plain is not None and _assumed(spec) and _alike(plain):
        found.append(
            f"the model cannot tell black, white and noise from each other ({_name(int(plain[0].argmax()), spec)} "
            f"each), and no preprocessing was given: it may not be shown what it was trained on; {CHECK}"
        )
    staying = [one for one in answers if one.stays]
    if len(staying) >= MOST * len(answers):
        found.extend(_stays(staying, len(answers), spec))
    elif (kept := _median_kept(answers)) >= KEPT:
        found.append(
            f"{kept:.0%} of the best score is left once the whole image is perturbed, in the median of {len(answers)} "
            f"images, of which a model that is shown the right pixels keeps next to nothing; {CHECK}"
        )
    best = max(one.score for one in answers)
    chance = UNDECIDED / min(one.classes for one in answers)
    if all(one.distribution for one in answers) and chance <= UNDECIDED / (2 * MANY) and best < chance:
        found.append(
            f"the best score of any image is {best:.2g} of {answers[0].classes} classes, so that the model is nearly "
            f"undecided: an activation may have been applied twice, or preprocessing is missing; {CHECK}"
        )
    return found


def _of_few(answers: Sequence[Answer], spec: InputSpec, plain: Floats | None) -> list[str]:
    if plain is None or not _assumed(spec) or len(answers) < LEAST_IMAGES:
        return []
    classes = {one.top for one in answers} | set(plain.argmax(axis=1).tolist())
    if len(classes) > 1 or not all(one.stays for one in answers):
        return []
    return [
        f"the model says {_name(answers[0].top, spec)} of all {len(answers)} images, of the same images fully "
        f"perturbed, and of black, white and noise, and no preprocessing was given: it may not be shown what it was "
        f"trained on; {CHECK}"
    ]


def _median_kept(answers: Sequence[Answer]) -> float:
    """Return the median share of the best score that is left; 0 where too few images have one worth the name."""
    shares = [one.perturbed_score / one.score for one in answers if one.distribution and one.score >= DECIDED]
    return float(np.median(shares)) if len(shares) >= LEAST_IMAGES else 0.0


def doubts_of_run(answers: Sequence[Answer], oracle: Oracle) -> list[str]:
    """Return the doubts; where the preprocessing was assumed, ask first about black, grey, white and noise."""
    asks = (
        answers and oracle.info.preprocessing_assumed and (answers[0].classes >= MANY or len(answers) >= LEAST_IMAGES)
    )
    return doubts_from(answers, oracle.box.spec, _plain_scores(oracle) if asks else None)


def _plain_scores(oracle: Oracle) -> Floats | None:
    """Return the scores (4, K) of black, grey, white and noise; None from a model that fails on such images."""
    try:
        scores = oracle.scores(plain_images(oracle.box.spec)).astype(np.float64)
    except BlackBoxExplainError:
        return None
    return scores if np.isfinite(scores).all() else None


def _assumed(spec: InputSpec) -> bool:
    return spec.preprocessing_assumed


def _alike(plain: Floats) -> bool:
    probabilities = bool(plain.min() >= -1e-3 and plain.max() <= 1 + 1e-3)
    return (
        probabilities and len(set(plain.argmax(axis=1).tolist())) == 1 and float(np.ptp(plain, axis=0).max()) <= ALIKE
    )


def _name(index: int, spec: InputSpec) -> str:
    return repr(shown_name(index, spec.class_names)) if spec.class_names is not None else f"class {index}"


def _stays(staying: Sequence[Answer], count: int, spec: InputSpec) -> list[str]:
    """Say what it means that the answers for these of all images stay once they are perturbed."""
    (top, often), *_ = Counter(one.top for one in staying).most_common(1)
    if count >= LEAST_IMAGES and often >= MOST * count:
        return [
            f"the model says {_name(top, spec)} of {often} of {count} images, and of the same images fully perturbed: "
            f"it may not be shown what it was trained on; {CHECK}"
        ]
    if not _assumed(spec):
        return []
    least = min(one.perturbed_score / one.score for one in staying)
    whose = "the best score" if count == 1 else f"the best scores of {len(staying)} of {count} images"
    return [
        f"at least {least:.0%} of {whose} is left once the whole image is perturbed, and no preprocessing was given: "
        f"the model may not be shown what it was trained on; {CHECK}"
    ]


def ask_for_doubts(oracle: Oracle, images: Array, perturbation: Perturbation | None = None, seed: int = 0) -> list[str]:
    """Ask a model about images and about the same images fully perturbed, and return the doubts that arise.

    `explain` does so by itself for the images that it is given.  A run that explains few images at a time calls this
    first, with some of them at once, and hands the doubts on to each result by `Explanation.judged`.

    Parameters
    ----------
    oracle
        Asks the model about 2 N images, and 4 more; it counts them together.
    images
        (N, *shape) in pixel space.
    perturbation
        What stands in for deleted pixels; None is a blur.
    seed
        Of its noise.

    Returns
    -------
    list of str
        As `doubts_from` returns them.

    Raises
    ------
    ModelError
        If the model fails.
    """
    made = perturbation or Blur()
    answers: list[Answer] = []
    for first in range(0, len(images), BATCH):
        rows = np.arange(first, min(first + BATCH, len(images)))
        own = oracle.native(images[rows])
        gone = levels_of(taken(made, rows, len(images), oracle.box.spec), own, oracle.box.spec, seed)[0, ...]
        scores, perturbed = (to_numpy(oracle.scores(one)) for one in (own, gone))
        answers.extend(Answer.of(*pair) for pair in zip(scores, perturbed, strict=True))
    return doubts_of_run(answers, oracle)
