"""What is explained: scores → one number per image, linear in the scores.

Every target becomes one row of weights over the classes, so that one run of the model is enough for the value
and its gradient, and images with different targets share a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from array_api_compat import is_array_api_obj

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.errors import ModelError, TargetError
from blackbox_explain.setting_ranges import is_whole

__all__ = ["Difference", "Labels", "Target", "Top", "one_per_image", "resolve", "target_scores"]


@dataclass(frozen=True)
class Top:
    """The sum of the `k` highest scores of the unperturbed image."""

    k: int = 1


@dataclass(frozen=True)
class Labels:
    """The sum of the scores of several classes, each an index or a name."""

    classes: tuple[int | str, ...]

    def __init__(self, *classes: int | str) -> None:
        object.__setattr__(self, "classes", classes)


@dataclass(frozen=True)
class Difference:
    """How much `positive` leads `negative`: what makes this a tabby and not a tiger cat."""

    positive: int | str
    negative: int | str


Target = int | str | Top | Labels | Difference

TARGETS = "a class index, a name, Top, Labels or Difference"


def one_per_image(target: Any, count: int) -> list[Target | None]:
    """Return one target for each of `count` images.

    Parameters
    ----------
    target
        A `Target` or None for all images; or a list, tuple or array of any library, such as the labels of a loader,
        with one for each.  An array of no axes is one target.

    Raises
    ------
    TargetError
        If a sequence has another length, or is no sequence of targets.
    """
    array = _array_of(target)
    if array is not None:
        if array.ndim > 1:
            hint = "labels[:, 0]" if array.shape[1] == 1 else "labels.argmax(axis=1), if these are one-hot"
            got = f"an array {array.shape}"
            raise TargetError("Targets have one axis", got=got, expected=f"({count},) labels", hint=hint)
        target = array.tolist()
    if target is None or isinstance(target, (int, float, str, np.generic, Top, Labels, Difference)):
        return [cast("Target | None", target)] * count
    if isinstance(target, (Mapping, Set)) or not isinstance(target, Iterable):
        raise TargetError("This is not a target", got=repr(target)[:80], expected=TARGETS)
    targets: list[Any] = [one if (alone := _array_of(one)) is None or alone.ndim else alone.item() for one in target]
    if len(targets) != count:
        hint = "Labels(...), to explain several classes together" if count == 1 else ""
        raise TargetError(
            "The targets do not match the images",
            got=f"{len(targets)} targets for {count} images",
            expected="one target for all images, or one for each",
            hint=hint,
        )
    return targets


def _array_of(given: Any) -> np.ndarray[Any, Any] | None:
    """Return an array of any library on the host; None of anything else."""
    if not hasattr(given, "shape"):
        return None
    if isinstance(given, np.ndarray) or is_array_api_obj(given):
        return to_numpy(given)
    return np.asarray(given) if hasattr(given, "shape") and hasattr(given, "__array__") else None


def resolve(
    target: Target | Sequence[Target | None] | None, scores: np.ndarray[Any, Any], class_names: Sequence[str] | None
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    """Turn targets into weights over the scores.

    Parameters
    ----------
    target
        One target for all images, or a sequence with one per image; None is the top class of each image.
    scores
        (N, K) scores of the unperturbed images.
    class_names
        K names, or None.

    Returns
    -------
    weights
        (N, K) of the type of `scores`.
    names
        N descriptions for people.

    Raises
    ------
    TargetError
        If a class does not exist, if a name is ambiguous or if the number of targets is not N.
    """
    targets = one_per_image(target, scores.shape[0])
    if class_names is not None and len(class_names) != scores.shape[1]:
        raise TargetError(
            "The class names do not match the scores",
            got=f"{len(class_names)} names",
            expected=f"{scores.shape[1]}, one for each score",
            hint=_names_hint(len(class_names), scores.shape[1]),
        )
    rows = [_resolve_one(one, row, class_names) for one, row in zip(targets, scores, strict=True)]
    weights = np.stack([row for row, _ in rows]) if rows else np.zeros_like(scores)
    return weights, tuple(name for _, name in rows)


def _names_hint(names: int, scores: int) -> str:
    if scores == 1:
        return "the only score is that of the positive class: name that one alone"
    if scores == names + 1:
        return "a name is missing: look for a line that is lost, or put 'background' first if the first class is that"
    return "give every class a name, in the order of the scores"


def target_scores(scores: Array, weights: Array) -> Array:
    """Return the targets' scores (N,) among scores (N, K); what a target does not name may be NaN or infinite.

    Parameters
    ----------
    scores
        (N, K) of the box.
    weights
        (N, K) from `resolve`.

    Raises
    ------
    ModelError
        If the scores are of another number of classes.
    """
    if scores.shape[1] != weights.shape[1]:
        raise ModelError("The model has other classes", got=f"{scores.shape[1]}", expected=f"{weights.shape[1]}")
    xp = namespace(scores)
    return xp.sum(xp.where(weights != 0, scores, xp.zeros_like(scores)) * weights, axis=1)


def _resolve_one(
    target: Target | None, scores: np.ndarray[Any, Any], names: Sequence[str] | None
) -> tuple[np.ndarray[Any, Any], str]:
    classes = scores.shape[0]
    weights = np.zeros_like(scores)
    if target is None:
        target = Top(1)
    if isinstance(target, Top):
        if not is_whole(target.k) or not 1 <= target.k <= classes:
            got, expected = f"top {target.k!r}", f"a whole number from 1 to {classes}"
            raise TargetError("There are not as many classes", got=got, expected=expected)
        chosen = np.argsort(-scores, kind="stable")[: target.k]
        weights[chosen] = 1.0
        return weights, " + ".join(shown_name(int(index), names) for index in chosen)
    if isinstance(target, Labels):
        indices = [*dict.fromkeys(class_index(one, classes, names) for one in target.classes)]
        if not indices:
            raise TargetError("No class was named", got="Labels()", expected="at least one class")
        weights[indices] = 1.0
        return weights, " + ".join(shown_name(index, names) for index in indices)
    if isinstance(target, Difference):
        plus, minus = (class_index(one, classes, names) for one in (target.positive, target.negative))
        if plus == minus:
            raise TargetError("A class minus itself is zero", got=f"{target!r}", expected="two different classes")
        weights[plus], weights[minus] = 1.0, -1.0
        return weights, f"{shown_name(plus, names)} - {shown_name(minus, names)}"
    index = class_index(target, classes, names)
    weights[index] = 1.0
    return weights, shown_name(index, names)
