"""What is explained: scores → one number per image, linear in the scores.

Every target becomes one row of weights over the classes, so that one run of the model is enough for the value
and its gradient, and images with different targets share a batch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import TargetError

__all__ = ["Difference", "Labels", "Target", "Top", "class_index", "one_per_image", "resolve"]


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


def one_per_image(target: Target | Sequence[Target | None] | None, count: int) -> list[Target | None]:
    """Return one target for each of `count` images.

    Raises
    ------
    TargetError
        If a sequence has another length.
    """
    if target is None or isinstance(target, (int, str, np.integer, Top, Labels, Difference)):
        return [target] * count
    if not isinstance(target, Iterable):
        raise TargetError("This is not a target", got=repr(target), expected=TARGETS)
    targets = list(target)
    if len(targets) != count:
        raise TargetError(
            "The targets do not match the images",
            got=f"{len(targets)} targets for {count} images",
            expected="one target for all images, or one for each",
        )
    return targets


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
            "The class names do not match the scores", got=f"{len(class_names)} names", expected=f"{scores.shape[1]}"
        )
    rows = [_resolve_one(one, row, class_names) for one, row in zip(targets, scores, strict=True)]
    weights = np.stack([row for row, _ in rows]) if rows else np.zeros_like(scores)
    return weights, tuple(name for _, name in rows)


def _resolve_one(
    target: Target | None, scores: np.ndarray[Any, Any], names: Sequence[str] | None
) -> tuple[np.ndarray[Any, Any], str]:
    classes = scores.shape[0]
    weights = np.zeros_like(scores)
    if target is None:
        target = Top(1)
    if isinstance(target, Top):
        if not 1 <= target.k <= classes:
            raise TargetError("There are not as many classes", got=f"top {target.k}", expected=f"1 to {classes}")
        chosen = np.argsort(-scores, kind="stable")[: target.k]
        weights[chosen] = 1.0
        return weights, " + ".join(_name(int(index), names) for index in chosen)
    if isinstance(target, Labels):
        indices = [class_index(one, classes, names) for one in target.classes]
        if not indices:
            raise TargetError("No class was named", got="Labels()", expected="at least one class")
        weights[indices] = 1.0
        return weights, " + ".join(_name(index, names) for index in indices)
    if isinstance(target, Difference):
        plus, minus = (class_index(one, classes, names) for one in (target.positive, target.negative))
        if plus == minus:
            raise TargetError("A class minus itself is zero", got=f"{target!r}", expected="two different classes")
        weights[plus], weights[minus] = 1.0, -1.0
        return weights, f"{_name(plus, names)} - {_name(minus, names)}"
    index = class_index(target, classes, names)
    weights[index] = 1.0
    return weights, _name(index, names)


def class_index(label: int | str, classes: int, names: Sequence[str] | None = None) -> int:
    """Find the class that a number or a name means.

    Parameters
    ----------
    label
        An index from 0, a whole name ("tabby, tabby cat") or one of its synonyms ("tabby"); case does not matter.
        A string of digits that is no name is read as an index.
    classes
        K, the number of scores.
    names
        K names, or None.

    Raises
    ------
    TargetError
        If there is no such class, with the nearest names, or if several share the name, with their indices.
    """
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        if not 0 <= label < classes:
            raise TargetError("There is no such class", got=f"class {label}", expected=f"0 to {classes - 1}")
        return int(label)
    if not isinstance(label, str):
        raise TargetError("This is not a target", got=repr(label), expected=TARGETS)
    wanted = label.strip().casefold()
    if not wanted:
        raise TargetError("The class has no name", got=repr(label), expected="a name or an index")
    whole = {index for index, name in enumerate(names or ()) if name.casefold() == wanted}
    found = whole or {
        i for i, name in enumerate(names or ()) if wanted in (s.strip() for s in name.casefold().split(","))
    }
    if len(found) == 1:
        return found.pop()
    if found:
        meant = ", ".join(f"{index} ({_name(index, names)})" for index in sorted(found))
        raise TargetError(
            "Several classes share this name", got=repr(label), expected="one class", hint=f"one of {meant}"
        )
    if wanted.isdigit():
        return class_index(int(wanted), classes, names)
    if names is None:
        raise TargetError(
            "This model's classes have no names",
            got=repr(label),
            expected="an index",
            hint="wrap(..., class_names=[...])",
        )
    raise TargetError("There is no such class", got=repr(label), hint=_near(wanted, names))


def _near(wanted: str, names: Sequence[str]) -> str:
    synonyms = {part.strip().casefold(): part.strip() for name in names for part in name.split(",")}
    words = [name for name in synonyms if wanted in name.split()]
    near = words[:4] or difflib.get_close_matches(wanted, synonyms, n=4, cutoff=0.6)
    near += [name for name in synonyms if wanted in name and name not in near][: 4 - len(near)]
    return ", ".join(synonyms[name] for name in near) or "`blackbox-explain models --classes` lists the names"


def _name(index: int, names: Sequence[str] | None) -> str:
    return names[index].split(",")[0] if names is not None else f"class {index}"
