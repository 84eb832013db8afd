"""Which of a model's outputs holds the class scores, and how it becomes (N, K)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from blackbox_explain.adapting import NAMED_OUTPUTS
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain.reduction import REDUCE, Reduction, is_row
from blackbox_explain_adapters._tensorflow.operations import leads_to

__all__ = ["Choice", "score_rows"]

SURE_NAMES = ("logits", "scores", "probabilities", "prob", "predictions")


@dataclass(frozen=True)
class Choice:
    """What the caller said of the outputs.

    Attributes
    ----------
    output
        Name, or place from 0 on (of a mapping's sorted names), of the one that holds the class scores; None to find it.
    reduction
        How its further axes are joined.
    names
        Of the outputs of a tuple or list, where the model tells them.
    classes
        Number of class names that were given, or None.
    """

    output: str | int | None = None
    reduction: Reduction | None = None
    names: tuple[str, ...] = ()
    classes: int | None = None


def score_rows(outputs: Any, choice: Choice, batch: int | None, notes: list[str]) -> tf.Tensor:
    """Return the class scores (N, K) among what a model returned.

    Parameters
    ----------
    outputs
        A tensor, a tuple, a mapping, or an object with an attribute of `NAMED_OUTPUTS`.
    choice
        What the caller said.
    batch
        The one number of images, or None.
    notes
        Gets a sentence where the scores were guessed.

    Raises
    ------
    InputError
        If there is no such output.
    UnsupportedModelError
        If none holds class scores, or several may and nothing tells which.
    """
    found = _named(outputs, choice.names)
    if not found:
        raise UnsupportedModelError(
            "The class scores are not among the outputs",
            got=f"a {type(outputs).__name__}",
            expected="a tensor, or a tuple or mapping of tensors",
            hint="wrap a function that returns the scores alone",
        )
    name = _wanted(found, choice.output) if choice.output is not None else None
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name is None:
        name = _found(found, choice, batch)
        notes.append(f"the class scores are the output {name!r} of {_listed(found)}")
    return _rows(found[name], choice, found)


def _named(outputs: Any, names: Sequence[str]) -> dict[str, tf.Tensor]:
    """Return the tensors among outputs by their names, or by their places."""
    if tf.is_tensor(outputs):
        return {"output": outputs}
    if isinstance(outputs, Mapping):
        # In the order of their names, as everywhere in TensorFlow: signatures have none of their own.
        return {str(name): one for name, one in sorted(outputs.items()) if tf.is_tensor(one)}
    if isinstance(outputs, (tuple, list)):
        told: Sequence[str] = getattr(outputs, "_fields", None) or names
        labels = told if len(told) == len(outputs) == len(set(told)) else [str(place) for place in range(len(outputs))]
        return {name: one for name, one in zip(labels, outputs, strict=True) if tf.is_tensor(one)}
    attributes = ((name, getattr(outputs, name, None)) for name in NAMED_OUTPUTS)
    return {name: one for name, one in attributes if tf.is_tensor(one)}


def _wanted(found: Mapping[str, tf.Tensor], wanted: str | int) -> str:
    if str(wanted) in found:
        return str(wanted)
    names = list(found)
    place = int(wanted) if str(wanted).lstrip("-").isdigit() else len(names)
    if not -len(names) <= place < len(names):
        raise InputError("There is no such output", got=f"output={wanted!r}", expected=_listed(found))
    return names[place]


def _found(found: Mapping[str, tf.Tensor], choice: Choice, batch: int | None) -> str:
    """Choose among several by type and shape, number of classes, name, and by what is made of what."""
    usable = {name: one for name, one in found.items() if _may_hold_scores(one, batch, choice)}
    fitting = {name: one for name, one in usable.items() if choice.classes in one.shape.as_list()[1:]}
    usable = fitting or usable
    for wanted in SURE_NAMES:
        if len(named := [name for name in usable if wanted in name.lower()]) == 1:
            return named[0]
    # Features lead to logits, and logits to probabilities.
    last = [
        name
        for name, one in usable.items()
        if not any(other is not one and leads_to(one, other) for other in usable.values())
    ]
    if len(last) == 1:
        return last[0]
    if not usable:
        raise UnsupportedModelError(
            "The class scores are not among the outputs",
            got=_listed(found),
            expected="one tensor of floats, (N, K)",
            hint=f"pass output={next(iter(found))!r} (--output) with reduce=... {REDUCE}",
        )
    raise UnsupportedModelError(
        "The model has several outputs that may hold the class scores",
        got=_listed(usable),
        expected="one of them",
        hint=f"pass output={next(iter(usable))!r}, or --output {next(iter(usable))}",
    )


def _may_hold_scores(output: tf.Tensor, batch: int | None, choice: Choice) -> bool:
    if not output.dtype.is_floating:
        return False
    if output.shape.rank is None:
        return True
    sizes = output.shape.as_list()
    if not sizes or (batch is None and sizes[0] is not None) or (batch is not None and sizes[0] not in (None, batch)):
        return False
    return is_row(sizes, choice.classes) or choice.reduction is not None


def _rows(outputs: tf.Tensor, choice: Choice, found: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return an output as (N, K): a lone axis is one class, axes of one are dropped."""
    if choice.reduction is not None and outputs.shape.rank is not None:
        join = tf.reduce_mean if choice.reduction.kind == "mean" else tf.reduce_max
        outputs = join(outputs, axis=choice.reduction.of_rank(outputs.shape.rank))
    rank: Any = outputs.shape.rank
    if rank is None:
        return tf.ensure_shape(outputs, (None, None))
    if not is_row(outputs.shape.as_list(), choice.classes):
        other = "" if choice.output is not None or len(found) < 2 else "; or pass output=... for another output"
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=f"outputs of shape {outputs.shape}",
            expected="(N, K): one row of class scores per image",
            hint=(REDUCE if rank > 2 else "wrap a function that picks and reshapes them") + other,
        )
    if rank == 1:
        return outputs[:, None]
    lone = [axis for axis in range(1, rank) if outputs.shape[axis] == 1]
    dropped = lone if len(lone) < rank - 1 else lone[1:]
    return tf.squeeze(outputs, dropped) if dropped and rank > 2 else outputs


def _listed(found: Mapping[str, tf.Tensor]) -> str:
    return ", ".join(f"{name!r} ({one.dtype.name} {one.shape})" for name, one in found.items())
