"""Any function from images to scores, with a gradient if the caller has one."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

from blackbox_explain.arrays import Array, namespace
from blackbox_explain.box.activations import (
    Activation,
    Ending,
    WatchedRange,
    activate,
    activation_adjoint,
    choose_activation,
    said_activation,
)
from blackbox_explain.box.adapter_tools.checks import check_batch, check_scores, check_weights, guarded
from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.box.adapter_tools.probing import manner_of_asking
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.adapter_tools.shown import Shown
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain_adapters._callable.rows import FunctionRows, array_like

__all__ = ["CallableBlackBox", "DifferentiableCallable", "wrap_callable"]


def wrap_callable(
    model: Callable[[Array], Array],
    described: Described,
    *,
    gradient: Callable[[Array, Array], Array] | None = None,
    fixed_batch: int | None = None,
    output: str | int | None = None,
    reduce: Any = None,
) -> BlackBox:
    """Wrap a function.

    Parameters
    ----------
    model
        Maps NumPy images ``(N, *shape)``, preprocessed, in the layout of the preprocessing, to scores (N, K).
    described
        What the caller said; the shape is needed.
    gradient
        ``gradient(images, weights) -> d Σ(weights · model(images)) / d images``, with `images` as `model` gets them
        and weights (N, K); None for a score-only black box.
    fixed_batch
        The one N that the function takes: other batches are padded and cropped.  None if it takes any.
    output
        Name, or place from 0 on, of what holds the class scores, where the function returns several arrays.
    reduce
        How further axes of it are joined, such as ``("mean", 1)`` or ``("max", (2, 3))``; the batch is axis 0.

    Raises
    ------
    InputError
        If the shape is missing, or there is no such output.
    ModelError
        If the function fails on plain images, or its class scores are not found.
    """
    if gradient is not None and not callable(gradient):
        expected = "a function gradient(images, weights)"
        raise InputError("This is no gradient", got=f"gradient={gradient!r}", expected=expected)
    if fixed_batch is not None:
        if isinstance(fixed_batch, bool) or not isinstance(fixed_batch, Integral) or fixed_batch < 1:
            got = f"fixed_batch={fixed_batch!r}"
            raise InputError("This is no number of images", got=got, expected="a whole number of at least 1, or None")
        fixed_batch = int(fixed_batch)
    spec, assumptions = described.spec()
    classes = None if spec.class_names is None else len(spec.class_names)
    function = FunctionRows(model, Wanted(output, Reduction.of(reduce), classes))
    raw = CallableBlackBox(function, spec, "none")
    manner = manner_of_asking(raw.asked, spec, fixed_batch)
    notes = (*assumptions, *function.notes, *manner.notes)
    if gradient is None:
        return CallableBlackBox(function, spec, described.activation, notes, manner.batch)
    return DifferentiableCallable(function, gradient, spec, described.activation, notes, manner.batch)


class CallableBlackBox(Shown):
    """A score-only black box around a function.

    Parameters
    ----------
    function
        As `wrap_callable` describes it.
    spec, activation, assumptions
        Of the black box.  With ``"auto"`` the function is asked for the outputs of plain images, once and at once.
    batch
        The one N that `function` takes, or None.
    ends_in
        The last operation of the function, where its model tells.

    Raises
    ------
    ModelError
        If the function fails then, or does not answer like a classifier.
    """

    def __init__(
        self,
        function: Callable[[Array], Array],
        spec: InputSpec,
        activation: Activation = "auto",
        assumptions: tuple[str, ...] = (),
        batch: int | None = None,
        ends_in: Ending | None = None,
    ) -> None:
        self.spec = spec
        self.activation: Activation = activation
        self.assumptions = assumptions
        self._function = function
        self._batch = batch
        self._watched: WatchedRange | None = None
        if activation == "auto":
            outputs = self.asked(plain_images(spec), batch)
            self.activation, reason = choose_activation(outputs, ends_in)
            self.assumptions = (*assumptions, reason)
            self._watched = WatchedRange.of(outputs, activation, self.activation, ends_in)
        elif activation != "none":
            self.activation, said = said_activation(activation, ends_in, self.asked(plain_images(spec), batch))
            self.assumptions = (*assumptions, *said)

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        check_batch(images, self.spec)

        def call(rows: Array) -> tuple[Array]:
            return (self._activated(self._inputs(rows)),)

        return in_batches(call, self._batch, images)[0]

    def _inputs(self, images: Array) -> Array:
        # A copy, so that a function that works in place does not write into the caller's images.
        return namespace(images).asarray(self.spec.preprocessing.forward(images), copy=True)

    def asked(self, images: Array, size: int | None) -> Array:
        """Map images to raw outputs, so many at once; whatever the function raises becomes `ModelError`."""

        def outputs(rows: Array) -> tuple[Array]:
            return (self._outputs(self._inputs(rows)),)

        return guarded(lambda rows: in_batches(outputs, size, rows)[0], images)

    def _outputs(self, inputs: Array) -> Array:
        outputs = self._function(inputs)
        check_scores(outputs, inputs.shape[0], "The function")
        xp = namespace(outputs)
        if xp.isdtype(outputs.dtype, ("bool", "integral")):
            # Votes and decisions.
            outputs = xp.astype(outputs, inputs.dtype)
        return outputs

    def _activated(self, inputs: Array) -> Array:
        outputs = self._outputs(inputs)
        if self._watched is not None:
            self._watched.check(outputs)
        return activate(outputs, self.activation)


class DifferentiableCallable(CallableBlackBox):
    """A function together with its vector-Jacobian product."""

    def __init__(
        self, function: Callable[[Array], Array], gradient: Callable[[Array, Array], Array], *described: Any
    ) -> None:
        super().__init__(function, *described)
        self._gradient = gradient

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        check_batch(images, self.spec, weights)

        def call(rows: Array, chosen: Array) -> tuple[Array, Array]:
            scores = self._activated(self._inputs(rows))
            check_weights(chosen, *scores.shape)
            by_outputs = activation_adjoint(scores, chosen, self.activation)
            inputs = self._inputs(rows)
            gradient = array_like(self._gradient(inputs, by_outputs), inputs)
            if tuple(getattr(gradient, "shape", ())) != inputs.shape:
                raise ModelError(
                    "The gradient does not fit the images",
                    got=f"shape {getattr(gradient, 'shape', type(gradient).__name__)}",
                    expected=f"{inputs.shape}, as the function gets them",
                )
            # A copy, as of the scores.
            own = namespace(rows).asarray(self.spec.preprocessing.adjoint(gradient), dtype=rows.dtype, copy=True)
            return scores, own

        scores, gradient = in_batches(call, self._batch, images, weights)
        return scores, gradient
