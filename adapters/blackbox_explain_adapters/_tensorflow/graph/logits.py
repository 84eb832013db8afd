"""The logits of a traced model: what the activation that it ends in is applied to."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from blackbox_explain.box.activations import SCORES_ARE_LOGITS, Activation, no_logits
from blackbox_explain_adapters._tensorflow.graph.byte_inputs import with_finite_slopes
from blackbox_explain_adapters._tensorflow.graph.final_activation import ending_of
from blackbox_explain_adapters._tensorflow.graph.operations import operations_of
from blackbox_explain_adapters._tensorflow.graph.traced import Traced

__all__ = ["traced_to_logits"]

FROZEN = "the logits are computed with the weights that the model had when they were asked for"

HEADS = ("Softmax", "LogSoftmax", "Sigmoid")

MOVING = ("Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose", "EnsureShape", "CheckNumerics")
"""What leaves a row of scores in order: no axis counts but that of the batch and that of the classes."""


def traced_to_logits(traced: Traced, activation: Activation) -> tuple[Traced, tuple[str, ...]]:
    """Return a model whose outputs are logits, and notes.

    Parameters
    ----------
    traced
        The model, with or without an activation of its own.
    activation
        What is applied to its outputs.

    Raises
    ------
    UnsupportedModelError
        If the model ends in an activation that cannot be left out.

    Notes
    -----
    The model's own code is traced anew where it shows the activation, so that weights follow the model and its layers
    can be watched.  Else, as with a SavedModel, the graph is copied with all that it calls written out.
    """
    ends_in = ending_of(operations_of(traced.model))
    if ends_in in (None, "linear"):
        return traced, (SCORES_ARE_LOGITS,) if activation == "none" and ends_in is None else ()
    if (made := _by_code(traced)) is not None:
        return made, ()
    if (copy := _by_copy(traced)) is not None:
        return copy
    raise no_logits(ends_in, "more than moves of what it gives, as averages, between it and the scores")


def _by_code(traced: Traced) -> Traced | None:
    if (code := traced.code) is None:
        return None
    end = _End()

    def logits(images: tf.Tensor) -> tf.Tensor:
        return end.left_out(code(images))

    source = traced.model.inputs[0]
    spec = tf.TensorSpec(source.shape, source.dtype, name="input")
    model = tf.function(logits, input_signature=[spec], autograph=False).get_concrete_function()
    return dataclasses.replace(traced, model=model, code=logits) if end.found else None


def _by_copy(traced: Traced) -> tuple[Traced, tuple[str, ...]] | None:
    end = _End()
    model, notes = with_finite_slopes(traced.model, end.left_out)
    return (dataclasses.replace(traced, model=model, code=None), (*notes, FROZEN)) if end.found else None


class _End:
    """Takes away what outputs end in; `found` tells afterwards whether that was an activation."""

    found = False

    def left_out(self, outputs: tf.Tensor) -> tf.Tensor:
        operation: Any = outputs.op
        while operation.type in MOVING:
            operation = operation.inputs[0].op
        self.found = operation.type in HEADS
        if not self.found:
            return outputs
        logits = tf.reshape(operation.inputs[0], tf.shape(outputs))
        logits.set_shape(outputs.shape)
        return tf.cast(logits, outputs.dtype)
