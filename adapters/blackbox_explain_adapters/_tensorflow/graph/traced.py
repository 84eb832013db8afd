"""Trace a model once, and build on that trace what goes from pixels to scores, and back to a gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.errors import BlackBoxExplainError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.byte_inputs import taking_floats, with_finite_slopes
from blackbox_explain_adapters._tensorflow.graph.finite_slopes import (
    endless_slopes,
    finite_slopes,
    has_finite_slope,
    note_on,
)
from blackbox_explain_adapters._tensorflow.graph.operations import Operations
from blackbox_explain_adapters._tensorflow.graph.outputs import score_rows
from blackbox_explain_adapters._tensorflow.source import Reading, Source, short

__all__ = ["Traced", "gradient_function", "scores_function", "trace"]

FROZEN = "the gradient is computed with the weights that the model had when it was wrapped"
"""What is told where a graph had to be written anew."""

LARGEST = 2.0**24
"""Up to which floats hold all whole numbers."""

SCALE_OF_HALF = 2.0**10
"""By which slopes are larger while they are computed in half precision, whose smallest number is 6e-8."""

ACTIVATE: dict[Activation, Callable[[tf.Tensor], tf.Tensor]] = {
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "sigmoid": tf.sigmoid,
    "none": tf.identity,
}


@dataclass(frozen=True)
class Traced:
    """A model's graph.

    Attributes
    ----------
    model
        Concrete function from the model's own input to its outputs (N, K).
    reading
        How images become that input.
    dtype
        That images are computed in: the model's own precision if it is double, else single.
    notes
        What was guessed of its outputs.
    code
        The Python code that was traced, from the model's own input to its outputs (N, K); None where it had to be
        rewritten for that.
    """

    model: Any
    reading: Reading
    dtype: tf.DType
    notes: tuple[str, ...]
    code: Callable[[tf.Tensor], tf.Tensor] | None = None

    def images(self) -> tf.TensorSpec:
        """Return what the functions on top of it read."""
        return tf.TensorSpec((self.reading.batch, *self.reading.spec.shape), self.dtype, name="images")

    def forward(self, images: tf.Tensor) -> tf.Tensor:
        """Map pixels ``(N, *shape)`` to outputs (N, K)."""
        return tf.cast(self.model(self.input_of(images)), self.dtype)

    def input_of(self, images: tf.Tensor) -> tf.Tensor:
        """Map pixels ``(N, *shape)`` to what the model itself reads."""
        floats = self._preprocessed(images)
        wanted = self.model.inputs[0].dtype
        return tf.cast(_whole(floats, wanted) if wanted.is_integer else floats, wanted)

    def differentiable(self, operations: Operations) -> tuple[Callable[[tf.Tensor], tf.Tensor], tuple[str, ...]]:
        """Return the same function with a gradient, and notes: as if nothing were rounded where the model reads bytes.

        Raises
        ------
        UnsupportedModelError
            If the model does more with its bytes than to make floats of them.
        """
        endless = endless_slopes(operations)
        said = note_on(endless)
        if not self.model.inputs[0].dtype.is_integer:
            if self.finite_slopes_are_its_own(operations):
                return self.forward, said
            # They lie in functions that were traced before.
            written, notes = with_finite_slopes(self.model)
            return dataclasses.replace(self, model=written).forward, (*notes, *said, FROZEN)
        model, notes = taking_floats(self.model)
        wanted = self.model.inputs[0].dtype

        def forward(images: tf.Tensor) -> tf.Tensor:
            floats = self._preprocessed(images)
            rounded = floats + tf.stop_gradient(_whole(floats, wanted) - floats)
            return tf.cast(model(tf.cast(rounded, tf.float32)), self.dtype)

        return forward, (*notes, *said, FROZEN)

    def finite_slopes_are_its_own(self, operations: Operations) -> bool:
        """Return whether all slopes that would be endless were made finite when the model was traced."""
        return all(has_finite_slope(one.node) for one in endless_slopes(operations))

    def _preprocessed(self, images: tf.Tensor) -> tf.Tensor:
        """As `Preprocessing.forward`, in TensorFlow's operations."""
        rules, rank = self.reading.spec.preprocessing, len(self.reading.spec.shape)
        column = (-1,) + (1,) * (rank - 1)
        if np.any(np.asarray(rules.mean) != 0):
            images = images - tf.constant(np.reshape(rules.mean, column), self.dtype)
        if np.any(np.asarray(rules.std) != 1):
            images = images / tf.constant(np.reshape(rules.std, column), self.dtype)
        if rules.channels == "BGR":
            images = tf.reverse(images, axis=[1])
        if rules.layout == "channels_last":
            images = tf.transpose(images, [0, *range(2, rank + 1), 1])
        return tf.reshape(images, (-1, *self.reading.sizes)) if len(self.reading.sizes) != rank else images


def trace(source: Source, reading: Reading, wanted: Wanted) -> Traced:
    """Run the model's Python code, once, on a symbol of `reading`'s shape.

    Raises
    ------
    UnsupportedModelError
        If that cannot be done, or what comes out is no (N, K).
    InputError
        If there is no such output as was asked for.
    """
    notes: list[str] = []
    rewritten = False

    def outputs(images: tf.Tensor) -> tf.Tensor:
        graph: Any = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map(finite_slopes()):
            return score_rows(source.call(images), source.names, wanted, reading.batch, notes)

    spec = tf.TensorSpec((reading.batch, *reading.sizes), source.dtype, name="input")
    try:
        try:
            model = tf.function(outputs, input_signature=[spec], autograph=False).get_concrete_function()
        except tf.errors.OperatorNotAllowedInGraphError:
            # Plain Python that asks tensors for their truth has to be rewritten.
            notes.clear()
            rewritten = True
            model = tf.function(outputs, input_signature=[spec], autograph=True).get_concrete_function()
    except BlackBoxExplainError:
        raise
    except Exception as error:
        raise UnsupportedModelError(
            "TensorFlow cannot trace this model",
            got=short(error),
            expected=f"a model that reads {spec.dtype.name} images of shape {spec.shape} in a tf.function",
            hint="check shape=; a model that only runs eagerly is a function of NumPy arrays: "
            "wrap(lambda images: model(images).numpy(), shape=...)",
        ) from error
    dtype = tf.float64 if source.dtype == tf.float64 else tf.float32
    return Traced(model, reading, dtype, tuple(notes), None if rewritten else outputs)


def scores_function(traced: Traced, activation: Activation) -> Any:
    """Return the concrete function from images to scores (N, K)."""

    def scores(images: tf.Tensor) -> tf.Tensor:
        return ACTIVATE[activation](traced.forward(images))

    return tf.function(scores, input_signature=[traced.images()], autograph=False).get_concrete_function()


def gradient_function(
    traced: Traced, operations: Operations, activation: Activation, classes: int
) -> tuple[Any, tuple[str, ...]]:
    """Return the concrete function from images and weights (N, K) to scores and d Σ(weights · scores) / d images.

    `operations` are those of the model.  Beside the function stand notes on what that gradient is, where it is not of
    the model as it is.

    Raises
    ------
    UnsupportedModelError
        If bytes cannot be differentiated through.
    LookupError
        If an operation has no gradient.
    ModelError
        If no gradient arrives at the images.
    """
    forward, notes = traced.differentiable(operations)
    # Half precision has no numbers as small as the slopes of a class that is nearly certain.
    half = any(one.node.attr["T"].type == tf.float16.as_datatype_enum for one in operations.steps.values())

    def scores_and_gradient(images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False, persistent=half) as tape:
            tape.watch(images)
            scores = ACTIVATE[activation](forward(images))
            total = tf.reduce_sum(scores * weights)
        scale: Any = tf.constant(SCALE_OF_HALF if half else 1.0, total.dtype)
        gradient: Any = tape.gradient(total, images, output_gradients=scale)
        if gradient is None:
            raise ModelError("No gradient arrives at the images")
        found: Any = tf.convert_to_tensor(gradient) / scale
        if half:  # slopes that are large have no room to be made larger
            fine = tf.reduce_all(tf.math.is_finite(found))
            found = tf.cond(fine, lambda: found, lambda: tf.convert_to_tensor(tape.gradient(total, images)))
        return scores, found

    weights = tf.TensorSpec((traced.reading.batch, classes), traced.dtype, name="weights")
    signature = [traced.images(), weights]
    made = tf.function(scores_and_gradient, input_signature=signature, autograph=False).get_concrete_function()
    return made, notes


def _whole(floats: tf.Tensor, wanted: tf.DType) -> tf.Tensor:
    """Return the nearest whole numbers that a type can hold."""
    # Casting cuts off, so that half is added first.  The largest of wide types is none of floats.
    low, high = max(wanted.min, -LARGEST), min(wanted.max, LARGEST)
    return tf.clip_by_value(tf.floor(floats + 0.5), float(low), float(high))
