"""The first look at a TensorFlow model: how it reads images, what it answers, and how it has to be asked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from blackbox_explain.arrays import Array
from blackbox_explain.box.activations import Activation, WatchedRange, choose_activation, said_activation
from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.box.adapter_tools.probing import TOLERANCE, manner_of_asking
from blackbox_explain.errors import ModelError, UnsupportedModelError
from blackbox_explain_adapters._tensorflow.arrays import as_tensor
from blackbox_explain_adapters._tensorflow.graph.final_activation import ending_of
from blackbox_explain_adapters._tensorflow.graph.first_layers import rescaled
from blackbox_explain_adapters._tensorflow.graph.operations import Operations, operations_of
from blackbox_explain_adapters._tensorflow.graph.traced import Traced, trace
from blackbox_explain_adapters._tensorflow.source import Source, readings, short
from blackbox_explain_adapters._tensorflow.state import State

__all__ = ["Trial", "tried"]

ROUGH = 3e-2
"""What counts as rounding where a model computes in half precision."""


@dataclass(frozen=True)
class Trial:
    """What was found.

    Attributes
    ----------
    traced
        The model, read in the first way that works.
    operations
        What the model consists of; its constants are in there, so that it is not kept.
    classes
        Number of its scores.
    activation
        What turns its outputs into scores.
    notes
        Sentences for the user.
    watched
        What later outputs are held against, where the activation was a guess by their range.
    state
        What it changes when it is asked.
    """

    traced: Traced
    operations: Operations
    classes: int
    activation: Activation
    notes: tuple[str, ...]
    watched: WatchedRange | None
    state: State


def tried(source: Source, described: Described, wanted: Wanted) -> Trial:
    """Return the first reading that works, and what the model does with a few plain images.

    Raises
    ------
    UnsupportedModelError
        If there is none, or there are no class scores.
    ModelError
        If TensorFlow cannot run the model.
    """
    failure: Exception | None = None
    for reading in readings(source, described):
        try:
            traced = trace(source, reading, wanted)
            operations = operations_of(traced.model)
            # Bytes say what they are.
            told = rescaled(reading, described, operations) if source.dtype.is_floating else reading
            return _looked_at(dataclasses.replace(traced, reading=told), operations, described.activation)
        except (UnsupportedModelError, tf.errors.OpError) as error:
            failure = failure or error
    if isinstance(failure, UnsupportedModelError):
        raise failure
    raise ModelError("TensorFlow cannot run the model", got=short(failure or RuntimeError())) from failure


def _looked_at(traced: Traced, operations: Operations, wanted: Activation) -> Trial:
    forward = tf.function(traced.forward, input_signature=[traced.images()], autograph=False)
    state = State(traced.model)

    def ask(images: Array, size: int | None) -> np.ndarray[Any, Any]:
        def call(rows: Array) -> tuple[np.ndarray[Any, Any]]:
            with state.kept():
                return (forward(as_tensor(rows, traced.dtype)).numpy(),)

        return in_batches(call, size, images)[0]

    images, batch, notes = plain_images(traced.reading.spec), traced.reading.batch, list[str]()
    with state.watched():
        outputs = ask(images, batch)
    if state.changing:
        batch = batch or 1
        notes.append(state.note())
        outputs = ask(images, batch)
    if outputs.shape[0] != len(images) or outputs.shape[1] < 1:
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=f"outputs of shape {outputs.shape} for {len(images)} images",
            expected="(N, K): one row of class scores per image",
        )
    rough = any(one.node.attr["T"].type in ROUGH_TYPES for one in operations.steps.values())
    manner = manner_of_asking(ask, traced.reading.spec, batch, tolerance=ROUGH if rough else TOLERANCE)
    notes += manner.notes
    if manner.batch != traced.reading.batch:
        traced = dataclasses.replace(traced, reading=dataclasses.replace(traced.reading, batch=manner.batch))
    ends_in = ending_of(operations)
    activation = wanted
    if wanted == "auto":
        activation, reason = choose_activation(outputs, ends_in)
        notes.append(reason)
    else:
        activation, said = said_activation(wanted, ends_in, outputs)
        notes += said
    watched = WatchedRange.of(outputs, wanted, activation, ends_in)
    return Trial(traced, operations, outputs.shape[1], activation, tuple(notes), watched, state)


ROUGH_TYPES = (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
