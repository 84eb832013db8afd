"""TensorFlow models as black boxes, with exact gradients where one flows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from blackbox_explain.arrays import Array
from blackbox_explain.box.activations import Activation, WatchedRange
from blackbox_explain.box.adapter_tools.checks import check_batch, check_output, check_scores
from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like, note_on
from blackbox_explain.box.adapter_tools.shown import Shown
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import Layer, Of
from blackbox_explain.errors import (
    BlackBoxExplainError,
    InputError,
    ModelError,
    OutOfMemoryError,
    UnsupportedModelError,
)
from blackbox_explain_adapters._tensorflow.arrays import answer_like, as_tensor
from blackbox_explain_adapters._tensorflow.fingerprint import digest
from blackbox_explain_adapters._tensorflow.graph.logits import traced_to_logits
from blackbox_explain_adapters._tensorflow.graph.operations import Operations, operations_of
from blackbox_explain_adapters._tensorflow.graph.traced import Traced, gradient_function, scores_function
from blackbox_explain_adapters._tensorflow.layers import LayerWatch
from blackbox_explain_adapters._tensorflow.source import short
from blackbox_explain_adapters._tensorflow.state import State

__all__ = ["DifferentiableTensorFlow", "LayeredKeras", "Parts", "TensorFlowBlackBox"]


MOST_FUNCTIONS = 4
"""Sets of layers that were asked for of late, for each of which a function is kept."""


@dataclass(frozen=True)
class Parts:
    """What the boxes of one model share.

    Attributes
    ----------
    owner
        The model, as it was given.
    traced
        Its graph.
    spec, activation, assumptions
        As boxes have them.
    scores
        Concrete function from images to scores.
    state
        What the model changes when it is asked.
    watched
        Holds the outputs against the guess that they need no activation; None where it is no guess.
    place
        Device, or None.
    native
        The torch device whose arrays the model reads where it computes, None for arrays of NumPy.
    stored
        Returns what ``__reduce__`` does, for models that can be pickled.
    of
        What its scores are.
    """

    owner: Any
    traced: Traced
    spec: InputSpec
    activation: Activation
    assumptions: tuple[str, ...]
    scores: Any
    state: State
    watched: WatchedRange | None
    place: str | None
    native: str | None
    stored: Callable[[], tuple[Any, ...]] | None
    of: Of = "scores"


class TensorFlowBlackBox(Shown):
    """A TensorFlow model that gives scores.

    Notes
    -----
    All that runs was traced when the box was made, for a free batch size or for the one that the model has.
    """

    def __init__(self, parts: Parts, refusal: BlackBoxExplainError | None = None) -> None:
        self.spec = parts.spec
        self.activation: Activation = parts.activation
        self.assumptions = parts.assumptions
        self.no_gradient = refusal
        self._parts = parts

    def native(self, array: np.ndarray[Any, Any]) -> Array:
        """Move a NumPy array to where the model computes: a torch tensor on a GPU, itself on a CPU."""
        if self._parts.native is None:
            return np.asarray(array)
        import torch

        return torch.tensor(array, device=self._parts.native)

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        return self._run(lambda images: (self._parts.scores(images),), images)[0]

    def operations(self) -> Operations:
        """Return what the model consists of."""
        return operations_of(self._parts.traced.model)

    def fingerprint(self) -> str:
        """Return a digest of the graph and its weights, and of what its scores are."""
        of = self._parts.of
        return digest(self._parts.traced.model) + ("" if of == "scores" else f", exact of {of}")

    def __reduce__(self) -> tuple[Any, ...]:
        if self._parts.stored is None:
            _refuse_pickling(self._parts.owner)
        return self._parts.stored()

    def _run(self, function: Callable[..., tuple[tf.Tensor, ...]], *arrays: Array) -> tuple[Array, ...]:
        check_batch(arrays[0], self.spec)
        if tf.is_tensor(arrays[0]):
            # Tensors have no namespace of the array API, in which batches are cut and filled.
            found = self._run(function, *(np.asarray(one) for one in arrays))
            return tuple(tf.constant(one) for one in found)

        def call(*rows: Array) -> tuple[Array, ...]:
            with self._parts.state.kept():
                answers = function(*(as_tensor(one, self._parts.traced.dtype) for one in rows))
            return tuple(answer_like(one, rows[0]) for one in answers)

        try:
            with tf.device(self._parts.place):
                answers = in_batches(call, self._parts.traced.reading.batch, *arrays)
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfMemoryError("Memory ran out", got=f"a batch of {arrays[0].shape[0]}") from error
        except tf.errors.OpError as error:
            raise ModelError("TensorFlow cannot run the model", got=short(error)) from error
        check_scores(answers[0], arrays[0].shape[0], "The model")
        if self._parts.watched is not None:
            self._parts.watched.check(answers[0])
        return answers


class DifferentiableTensorFlow(TensorFlowBlackBox):
    """A TensorFlow model that gives scores and gradients.

    Notes
    -----
    On a CPU TensorFlow shares out the images of a convolution's gradient among its threads by their number: an image
    alone gets other last bits than in company, and after many steps a mask that differs slightly.
    """

    backward_rules = ("exact",)

    def __init__(self, parts: Parts, gradient: Any) -> None:
        super().__init__(parts)
        self._gradient = gradient

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        check_batch(images, self.spec, weights, classes=self._gradient.inputs[1].shape[-1])
        scores, gradient = self._run(self._gradient, images, weights)
        return scores, gradient

    def with_backward(
        self, rules: str | Mapping[str, Any], of: Of = "scores", **settings: Any
    ) -> DifferentiableTensorFlow:
        """Return a box of the same scores, or of its logits, with TensorFlow's own gradient.

        Parameters
        ----------
        rules
            ``"exact"``: there are no others.
        of
            ``"scores"``, or ``"logits"``: what the last activation is applied to, also where the model itself ends in
            one.
        **settings
            None.

        Raises
        ------
        InputError
            If there is no such output, or there are settings.
        UnsupportedModelError
            If the rules are others, or the model's own activation cannot be left out.
        """
        check_output(of)
        if rules != "exact":
            raise UnsupportedModelError(
                "Gradients of Keras and TensorFlow pass every operation by its own rule alone",
                got=f"rules={rules!r}",
                expected="'exact'",
                hint="export the model to ONNX with tf2onnx, and wrap the file",
            )
        if settings:
            raise InputError("The exact rules have no settings", got=", ".join(settings), expected="none")
        return self if of == "scores" else self._of_logits()

    def _of_logits(self) -> DifferentiableTensorFlow:
        parts, stored = self._parts, self._parts.stored
        with tf.device(parts.place):
            traced, notes = traced_to_logits(parts.traced, parts.activation)
            classes = self._gradient.inputs[1].shape[-1]
            gradient, _ = gradient_function(traced, operations_of(traced.model), "none", classes)
            parts = dataclasses.replace(
                parts,
                traced=traced,
                activation="none",
                assumptions=(*parts.assumptions, *notes),
                scores=scores_function(traced, "none"),
                watched=None,
                stored=None if stored is None else lambda: (_logits_of, stored()),
                of="logits",
            )
        return self._remade(parts, gradient)

    def _remade(self, parts: Parts, gradient: Any) -> DifferentiableTensorFlow:
        return DifferentiableTensorFlow(parts, gradient)


class LayeredKeras(DifferentiableTensorFlow):
    """A Keras model whose layers can be asked for."""

    def __init__(self, parts: Parts, gradient: Any, watch: LayerWatch) -> None:
        super().__init__(parts, gradient)
        self._watch = watch
        self._inner = lru_cache(maxsize=MOST_FUNCTIONS)(watch.function)
        self._parametrised: tuple[str, ...] | None = None

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers that give floats with a row for each image, in the order in which they are done.

        The model is run, to see their shapes.
        """
        traced = self._parts.traced
        images = plain_images(self.spec)[:2]
        count = traced.reading.batch or len(images)
        rows = as_tensor(np.resize(images, (count, *self.spec.shape)), traced.dtype)
        with tf.device(self._parts.place), self._parts.state.kept():
            names, function = self._watch.shapes()
            shapes = [tuple(one.numpy().tolist()) for one in function(rows)]
        kinds = {name: type(layer).__name__ for name, layer in self._watch.layers.items()}
        return tuple(
            Layer(name, kinds[name], shape[1:])
            for name, shape in zip(names, shapes, strict=True)
            if len(shape) > 1 and shape[0] == count
        )

    def inner(self, images: Array, weights: Array, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return for layers what they give, and the gradients of Σ(weights · scores) by that.

        Maps come channels first where the layer, or what it reads, tells where its channels lie.

        Parameters
        ----------
        images
            ``(N, *shape)`` in pixel space.
        weights
            (N, K).
        names
            As in `layers`.

        Raises
        ------
        UnsupportedModelError
            If there is no such layer, it does not run, no gradient reaches it, or it has not a row for each image.
        """
        check_batch(images, self.spec, weights, classes=self._gradient.inputs[1].shape[-1])
        with tf.device(self._parts.place):
            function = self._inner(tuple(names))
        _, *found = self._run(function, images, weights)
        for place, name in enumerate(names):
            if found[2 * place].shape[0] != images.shape[0]:
                got = f"{name!r}, {found[2 * place].shape[0]} rows for {images.shape[0]} images"
                raise UnsupportedModelError("This layer has not a row for each image", got=got)
        return {name: (found[2 * place], found[2 * place + 1]) for place, name in enumerate(names)}

    def parameter_layers(self) -> tuple[str, ...]:
        """Return the names of the layers whose parameters the scores are computed with, from output to input.

        A copy of the model tells them: what a layer has learned is told from statistics by what it would train.

        Raises
        ------
        UnsupportedModelError
            If the model has none, or cannot be copied.
        """
        if self._parametrised is None:
            self._parametrised = tuple(self._copied()._watch.parameters())
        return self._parametrised

    def randomized(self, layers: Sequence[str], seed: int) -> LayeredKeras:
        """Return a box around a copy of the model, with random parameters in some of its `parameter_layers`.

        Raises
        ------
        InputError
            If there is no such layer.
        UnsupportedModelError
            As `parameter_layers`.
        """
        made = self._copied()
        known = made._watch.parameters()
        check_layers(layers, known)
        for layer in layers:
            for place, variable in enumerate(known[layer]):
                variable.assign(drawn_like(variable.numpy(), seed, f"{layer}/{place}"))
        notes = (*self.assumptions, note_on(layers, seed))
        # The guess that the scores need no activation was made of the learned parameters.
        parts = dataclasses.replace(made._parts, assumptions=notes, watched=None)
        # It may hold the weights of before, as constants.
        gradient, _ = gradient_function(
            parts.traced, operations_of(parts.traced.model), self.activation, self._gradient.inputs[1].shape[-1]
        )
        return LayeredKeras(parts, gradient, made._watch)

    def _copied(self) -> LayeredKeras:
        """Return a box around a copy of the model all of whose parameters may be trained."""
        make, arguments = self.__reduce__()
        with tf.device(self._parts.place):
            made = make(*arguments)
        for layer in made._watch.layers.values():
            layer.trainable = True  # what is frozen was learned all the same
        return made

    def _remade(self, parts: Parts, gradient: Any) -> DifferentiableTensorFlow:
        if (code := parts.traced.code) is None:
            return super()._remade(parts, gradient)
        watch = dataclasses.replace(self._watch, traced=parts.traced, code=code, activation=parts.activation)
        return LayeredKeras(parts, gradient, watch)


def _logits_of(make: Callable[..., Any], arguments: tuple[Any, ...]) -> DifferentiableTensorFlow:
    """Make a box again from its pickle."""
    return make(*arguments).with_backward("exact", of="logits")


def _refuse_pickling(owner: Any) -> NoReturn:
    raise UnsupportedModelError(
        "This black box cannot be pickled",
        got=f"one around a {type(owner).__name__}",
        expected="a Keras model",
        hint="save the model, and wrap its file where it is needed",
    )
