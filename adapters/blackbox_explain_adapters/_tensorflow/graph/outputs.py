"""Which of a model's outputs holds the class scores, and how it becomes (N, K)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from blackbox_explain.box.adapter_tools.outputs import Output, Wanted, choose_output, named_outputs
from blackbox_explain.box.adapter_tools.reduction import REDUCE, is_row
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.operations import is_ranked, leads_to

__all__ = ["score_rows"]


def score_rows(outputs: Any, names: Sequence[str], wanted: Wanted, batch: int | None, notes: list[str]) -> tf.Tensor:
    """Return the class scores (N, K) among what a model returned.

    Parameters
    ----------
    outputs
        A tensor, a tuple, a mapping, or an object with an attribute of `ATTRIBUTES`.
    names
        Of the outputs of a tuple or list, where the model tells them.
    wanted
        What the caller said; places count the sorted names of a mapping.
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
    if isinstance(outputs, Mapping):
        # In the order of their names, as everywhere in TensorFlow: signatures have none of their own.
        outputs = dict(sorted(outputs.items()))
    found: dict[str, Any] = named_outputs(outputs, tf.is_tensor, names)
    known = {name: Output(_sizes(one), one.dtype.is_floating, ranked=is_ranked(one)) for name, one in found.items()}
    name, note = choose_output(known, batch, wanted, lambda first, second: leads_to(found[first], found[second]))
    if note is not None:
        notes.append(note)
    return _rows(found[name], wanted, batch, len(found))


def _sizes(one: tf.Tensor) -> tuple[int | None, ...] | None:
    rank: Any = one.shape.rank
    return None if rank is None else tuple(one.shape.as_list())


def _rows(outputs: tf.Tensor, wanted: Wanted, batch: int | None, others: int) -> tf.Tensor:
    """Return an output as (N, K): a lone axis is one class, axes of one are dropped."""
    rank: Any = outputs.shape.rank
    if wanted.reduction is not None and rank is not None:
        join = tf.reduce_mean if wanted.reduction.kind == "mean" else tf.reduce_max
        outputs = join(outputs, axis=wanted.reduction.axes_of(outputs.shape.as_list(), batch))
        rank = outputs.shape.rank
    if rank is None:
        return tf.ensure_shape(outputs, (None, None))
    if not is_row(outputs.shape.as_list(), wanted.classes):
        other = "" if wanted.output is not None or others < 2 else "; or pass output=... for another output"
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
