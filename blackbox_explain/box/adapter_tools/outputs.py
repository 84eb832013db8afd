"""Which output holds the class scores: by what the caller said, by shape, by name, and by what leads to what."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from blackbox_explain.box.adapter_tools.reduction import REDUCE, Reduction, is_row
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError

__all__ = ["Output", "Wanted", "choose_output", "named_outputs", "refuse_shape", "stands_beside"]

SURE_NAMES = ("logits", "scores", "probabilities", "predictions", "prob")
"""What class scores are called; the first that fits one output alone is taken."""

BESIDE = {"aux", "auxiliary", "attention", "attn", "box", "boxes", "domain", "mask", "masks"}
"""Words in the names of what stands beside the class scores."""

ATTRIBUTES = ("logits", "scores", "predictions", "probabilities", "output", "output_0", "out")
"""Where an object that is no tuple, mapping or dataclass may hold them."""


@dataclass(frozen=True)
class Wanted:
    """What the caller said of the outputs.

    Attributes
    ----------
    output
        Name, or place from 0 on, of the one that holds the class scores; None to find it.
    reduction
        How its further axes are joined.
    classes
        Number of class names that were given, or None.
    """

    output: str | int | None = None
    reduction: Reduction | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Output:
    """What is known of an output.

    Attributes
    ----------
    shape
        With the batch; None for sizes that are free, and in place of all if nothing is known.
    floating
        Whether it holds real numbers.
    differentiable
        Whether it has a gradient by the images, as far as is known.
    ranked
        Whether it is known to hold the best scores in their order, which do not tell whose they are.
    label
        Whether it holds one whole number for each image, in a type of predicted classes.
    """

    shape: tuple[int | None, ...] | None
    floating: bool
    differentiable: bool = True
    ranked: bool = False
    label: bool = False


def named_outputs(outputs: Any, is_array: Callable[[Any], bool], names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arrays among what a model returned, by name, or by place from "0" on in a tuple or list.

    Parameters
    ----------
    outputs
        An array; a tuple, list, mapping or dataclass of arrays; or an object with an attribute of `ATTRIBUTES`.  What
        comes first in it, or has such a name, may be one of these again: its arrays are named by both, ``"0.logits"``.
    is_array
        Tells arrays from everything else.
    names
        Of the outputs in a tuple or list, where the model tells them.
    """
    if is_array(outputs):
        return {"output": outputs}
    if isinstance(outputs, Mapping):
        pairs = [(str(name), one) for name, one in cast("Mapping[Any, Any]", outputs).items()]
    elif isinstance(outputs, (tuple, list)):
        values = cast("Sequence[Any]", outputs)
        told = cast("Sequence[str]", getattr(outputs, "_fields", None) or names)
        labels = told if len(told) == len(values) == len(set(told)) else [str(place) for place in range(len(values))]
        pairs = list(zip(labels, values, strict=True))
    elif dataclasses.is_dataclass(outputs):
        pairs = [(one.name, getattr(outputs, one.name, None)) for one in dataclasses.fields(outputs)]
    else:
        pairs = [(name, getattr(outputs, name, None)) for name in ATTRIBUTES]
    found: dict[str, Any] = {}
    for place, (name, one) in enumerate(pairs):
        if is_array(one):
            found[name] = one
        elif _may_hold(one) and (name in ATTRIBUTES or (place == 0 and not isinstance(outputs, Mapping))):
            # What comes first, or is called so, is not passed over for what stands beside it.
            found |= {f"{name}.{inner}": array for inner, array in named_outputs(one, is_array).items()}
    return found


def _may_hold(one: Any) -> bool:
    return isinstance(one, (Mapping, tuple, list)) or (dataclasses.is_dataclass(one) and not isinstance(one, type))


def choose_output(
    found: Mapping[str, Output],
    count: int | None,
    wanted: Wanted,
    leads_to: Callable[[str, str], bool] = lambda first, second: False,
) -> tuple[str, str | None]:
    """Choose the output that holds the class scores.

    Parameters
    ----------
    found
        All of them, by name.
    count
        Number of images, None if it is free.
    wanted
        What the caller said.
    leads_to
        Tells whether the second of two outputs is computed from the first, as logits are from features.

    Returns
    -------
    name
        Of the output.
    note
        A sentence for the user, if it was found among several and not told.

    Raises
    ------
    InputError
        If there is no such output as the caller said.
    ModelError
        If the only one holds predicted classes.
    UnsupportedModelError
        If none may hold class scores, or several may and nothing tells which.
    """
    if wanted.output is not None:
        return _said(found, wanted.output), None
    if len(found) == 1:
        ((name, only),) = found.items()
        if only.label and wanted.classes != 1:
            raise ModelError(
                "The answer is one whole number for each image, which looks like the predicted class",
                expected="(N, K) class scores",
                hint="return the scores, such as predict_proba; where 0 and 1 are decisions, return them as floats",
            )
        return name, None
    if not found:
        raise UnsupportedModelError(
            "The class scores are not among the outputs",
            expected="an array, or a tuple, mapping or dataclass that holds one",
            hint="wrap a function that returns the scores alone",
        )
    usable = [name for name, one in found.items() if _may_hold_scores(one, count, wanted)]
    if not usable:
        raise UnsupportedModelError(
            "The class scores are not among the outputs",
            got=_listed(found, found),
            expected=f"one array of floats, ({'N' if count is None else count}, K)",
            hint=f"{_by_name(next(iter(found)))} with reduce=...; {REDUCE}",
        )
    if wanted.classes is not None:
        usable = [name for name in usable if wanted.classes in (found[name].shape or ())[1:]] or usable
    usable = [name for name in usable if found[name].differentiable] or usable
    usable = [name for name in usable if not found[name].ranked] or usable
    usable = [name for name in usable if not stands_beside(name)] or usable
    name = _told_apart(usable, found, leads_to)
    if name is None:
        raise UnsupportedModelError(
            "The model has several outputs that may hold the class scores",
            got=_listed(usable, found),
            expected="to be told which",
            hint=_by_name(usable[0]),
        )
    return name, f"the class scores are the output {name!r} of {_listed(found, found)}"


def stands_beside(name: str) -> bool:
    """Say whether the name of an output is that of something beside the class scores."""
    return not BESIDE.isdisjoint(re.split(r"[^a-z]+", name.lower()))


def refuse_shape(shape: Sequence[int], count: int, wanted: Wanted, others: int, origin: str) -> ModelError:
    """Return the error for an output that is no row of scores for each image, with what helps.

    Parameters
    ----------
    shape
        Of the output.
    count
        Number of images.
    wanted
        What the caller said: nobody who named an output is told to name one.
    others
        Number of further outputs.
    origin
        Who answered, for the message.
    """
    steps: list[str] = []
    if len(shape) > 2 and shape[0] == count:
        steps.append(REDUCE)
    else:
        steps.append("wrap a function that picks and reshapes the class scores")
    if others and wanted.output is None:
        steps.append("or pass output=... for another output")
    return ModelError(
        f"{origin} does not answer like a classifier",
        got=f"outputs of shape {tuple(shape)} for {count} images",
        expected=f"({count}, K): one row of K class scores per image",
        hint="; ".join(steps),
    )


def _said(found: Mapping[str, Output], wanted: str | int) -> str:
    if str(wanted) in found:
        return str(wanted)
    names = list(found)
    text = str(wanted)
    place = int(text) if text.lstrip("-").isdigit() else len(names)
    if not -len(names) <= place < len(names):
        raise InputError(
            "There is no such output", got=f"output={wanted!r}", expected=_listed(found, found) or "no output at all"
        )
    return names[place]


def _may_hold_scores(one: Output, count: int | None, wanted: Wanted) -> bool:
    if not one.floating or one.shape is None:
        return one.floating
    # Where the number of images is free, an axis of one size is not that of images.
    if not one.shape or one.shape[0] not in (None, count):
        return False
    return wanted.reduction is not None or is_row(one.shape, wanted.classes)


def _told_apart(usable: Sequence[str], found: Mapping[str, Output], leads_to: Callable[[str, str], bool]) -> str | None:
    if len(usable) == 1:
        return usable[0]
    for sure in SURE_NAMES:
        for fits in (str.__eq__, str.__contains__):
            named = [name for name in usable if fits(name.lower(), sure)]
            if len(named) == 1:
                return named[0]
    # Features lead to logits, and logits to probabilities.
    last = [one for one in usable if not any(other != one and leads_to(one, other) for other in usable)]
    # One number for an image, made of many, may be the score of the one class, or how sure the model is of many.
    unsure = len(last) == 1 and _is_lone(found[last[0]]) and not all(_is_lone(found[name]) for name in usable)
    return last[0] if len(last) == 1 and not unsure else None


def _is_lone(one: Output) -> bool:
    return one.shape is not None and all(size == 1 for size in one.shape[1:])


def _by_name(name: str) -> str:
    return f"pass output={name!r} (--output {name})"


def _listed(names: Sequence[str] | Mapping[str, Output], found: Mapping[str, Output]) -> str:
    return ", ".join(f"{name!r} {_shape(found[name])}" for name in names)


def _shape(one: Output) -> str:
    if one.shape is None:
        return "of unknown shape"
    sizes = ["N" if size is None and not place else str(size or "?") for place, size in enumerate(one.shape)]
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"
