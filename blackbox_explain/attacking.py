"""`attack`: images changed so that a score falls; `recover`: whether deleting brings the label back (5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import require
from blackbox_explain.box.input_spec import check_images
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox, Differentiable
from blackbox_explain.box.targets import Target, one_per_image, resolve, target_scores
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.setting_ranges import is_number, is_whole

__all__ = ["Attacked", "Recovered", "attack", "recover"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

PIXEL = 1 / 255
"""One step, as a share of the bounds' range: that of a byte."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """Images that were changed so that a score falls.

    Attributes
    ----------
    images
        (N, *shape) the attacked images, in pixel space.
    target
        N descriptions of what was attacked.
    score, score_attacked
        (N,) target scores of the images, before and after.
    top, top_attacked
        (N,) the leading classes, before and after.
    queries
        (N, 2) images that the model was run on: scores alone, scores with gradient.
    """

    images: Floats
    target: tuple[str, ...]
    score: Floats
    score_attacked: Floats
    top: Counts
    top_attacked: Counts
    queries: Counts

    @property
    def fooled(self) -> Booleans:
        """(N,) whether another class leads now."""
        return self.top != self.top_attacked


@dataclass(frozen=True, eq=False)
class Recovered:
    """What a model says of attacked images after something was deleted from them.

    Attributes
    ----------
    top
        (N,) the leading classes.
    place
        (N,) where the label that was asked for stands among all classes; 0 leads.
    """

    top: Counts
    place: Counts

    @property
    def leads(self) -> Booleans:
        """(N,) whether the label is the leading class."""
        return self.place == 0

    def among(self, k: int) -> Booleans:
        """Return whether the label is among the k leading classes (N,)."""
        return self.place < k


def attack(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    *,
    epsilon: float = 8 * PIXEL,
    step: float = PIXEL,
    steps: int | None = None,
    batch_size: int = BATCH,
) -> Attacked:
    """Change images a little so that the score of a target falls.

    x ← clip(x − step · sign(d score / d x)), held within `epsilon` of the image and within the bounds: the basic
    iterative method of Kurakin et al., *Adversarial examples in the physical world* (2017), the fast gradient sign step
    taken several times, by which section 5.5 of the paper makes its adversarial images.  One step of size `epsilon` is
    the fast gradient sign method.

    Parameters
    ----------
    box
        From `wrap`; it must give gradients.
    images
        (N, *box.spec.shape) in pixel space.
    target
        As in `explain`; None is the top class of each image.
    epsilon
        Largest change of a value, as a share of the range of the bounds; the paper has 8 of 255.
    step
        Change in one step, likewise.
    steps
        How many; None is the authors' of the method, min(ε + 4, 1.25 ε) in bytes, for steps of one byte: 10 for 8.
    batch_size
        Images in one call of the model; halved when memory runs out.

    Returns
    -------
    Attacked
        The changed images, and what the model says of them.

    Raises
    ------
    InputError
        If the images do not fit, or a number is out of range.
    NoGradientError
        If the box gives no gradients.
    TargetError
        If there is no such class.
    ModelError, OutOfMemoryError
        If the model fails, a score or slope that is asked about is not finite, or memory runs out.
    """
    check_call(box, batch_size)
    require(box, Differentiable, "an attack")
    for name, value in (("epsilon", epsilon), ("step", step)):
        if not is_number(value) or not 0 < value <= 1:
            raise InputError("This is no change of an image", got=f"{name}={value!r}", expected="above 0, at most 1")
    if steps is None:
        steps = max(1, round(min(epsilon / PIXEL + 4, 1.25 * epsilon / PIXEL) * PIXEL / step))
    if not is_whole(steps) or steps < 1:
        raise InputError("An attack takes steps", got=f"steps={steps!r}", expected="a whole number of at least 1")
    host = check_images(images, box.spec)
    oracle = Oracle.of(box, len(host), batch_size=batch_size)
    before = np.asarray(oracle.scores(host))
    weights, names = resolve(one_per_image(target, len(host)), before, box.spec.class_names)
    _check_known(before, target_scores(before, weights), "the scores")
    low, high = box.spec.bounds
    most, by = epsilon * (high - low), step * (high - low)
    least, largest = np.maximum(host - most, low), np.minimum(host + most, high)
    changed = host
    for _ in range(steps):
        slope = to_numpy(oracle.gradient(changed, weights)[1])
        _check_finite(slope, "the gradient")
        changed = np.clip(changed - by * np.sign(slope), least, largest).astype(host.dtype, copy=False)
    after = np.asarray(oracle.scores(changed))
    _check_known(after, target_scores(after, weights), "the scores of the attacked images")
    return Attacked(
        images=changed,
        target=names,
        score=target_scores(before, weights),
        score_attacked=target_scores(after, weights),
        top=before.argmax(axis=1),
        top_attacked=after.argmax(axis=1),
        queries=oracle.queries,
    )


def recover(box: BlackBox, images: Array, labels: Sequence[int], *, batch_size: int = BATCH) -> Recovered:
    """Ask which class leads once something was deleted from attacked images, and where their true labels stand.

    Section 5.5 deletes by the mask that was learned for the adversarial label, ``explain(box, attacked.images)``, whose
    `masked_images` are what is asked about here.

    Parameters
    ----------
    box
        The model.
    images
        (N, *box.spec.shape) in pixel space, such as the ``masked_images`` of a result.
    labels
        N class indices: what led before the attack, ``attacked.top``, or the truth.
    batch_size
        Images in one call of the model; halved when memory runs out.

    Raises
    ------
    InputError
        If images and labels do not fit, or the model has no such class.
    ModelError, OutOfMemoryError
        If the model fails, a score or slope that is asked about is not finite, or memory runs out.
    """
    check_call(box, batch_size)
    host = check_images(images, box.spec)
    chosen = to_numpy(labels) if hasattr(labels, "shape") else np.asarray(labels)
    if chosen.dtype.kind not in "iu":
        raise InputError("Labels are class indices", got=f"{labels!r}"[:80], expected="whole numbers")
    if chosen.shape != (len(host),):
        raise InputError("The labels do not match the images", got=f"{chosen.shape}", expected=f"({len(host)},)")
    scores = np.asarray(Oracle.of(box, len(host), batch_size=batch_size).scores(host))
    if not ((chosen >= 0) & (chosen < scores.shape[1])).all():
        raise InputError(
            "There is no such class", got=f"{chosen.tolist()}"[:80], expected=f"0 to {scores.shape[1] - 1}"
        )
    _check_known(scores, scores[np.arange(len(host)), chosen], "the scores")
    # Of equal scores the first leads, as everywhere.
    order = np.argsort(-scores, axis=1, kind="stable")
    return Recovered(top=order[:, 0], place=(order == chosen[:, None]).argmax(axis=1))


def _check_finite(values: Floats, what: str) -> None:
    """Raise `ModelError` unless all numbers are finite."""
    if not np.isfinite(values).all():
        raise ModelError("Scores or gradients are not finite", got=f"NaN or infinity in {what}")


def _check_known(scores: Floats, own: Floats, what: str) -> None:
    """Raise `ModelError` unless it can be told which class leads, and what is asked about is finite."""
    _check_finite(np.where(np.isnan(scores).any(axis=1), np.nan, own), what)
