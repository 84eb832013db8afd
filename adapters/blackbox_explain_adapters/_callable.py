"""Any function from images to scores, with a gradient if the caller has one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from blackbox_explain.activations import Activation, activate, activation_adjoint, choose_activation
from blackbox_explain.adapting import Described, check_batch, check_scores, check_weights, in_batches
from blackbox_explain.arrays import Array, namespace
from blackbox_explain.blackbox import BlackBox, InputSpec
from blackbox_explain.errors import ModelError

__all__ = ["CallableBlackBox", "DifferentiableCallable", "wrap_callable"]

_CHOICE = threading.Lock()
"""Held while the first outputs decide on the activation: of several threads, one decides."""


def wrap_callable(
    model: Callable[[Array], Array],
    described: Described,
    *,
    gradient: Callable[[Array, Array], Array] | None = None,
    fixed_batch: int | None = None,
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
    """
    spec, assumptions = described.spec()
    if gradient is None:
        return CallableBlackBox(model, spec, described.activation, assumptions, fixed_batch)
    return DifferentiableCallable(model, gradient, spec, described.activation, assumptions, fixed_batch)


class CallableBlackBox:
    """A score-only black box around a function.

    Parameters
    ----------
    function
        As `wrap_callable` describes it.
    spec, activation, assumptions
        Of the black box.
    batch
        The one N that `function` takes, or None.
    """

    def __init__(
        self,
        function: Callable[[Array], Array],
        spec: InputSpec,
        activation: Activation = "auto",
        assumptions: tuple[str, ...] = (),
        batch: int | None = None,
    ) -> None:
        self.spec = spec
        self.activation: Activation = activation
        self.assumptions = assumptions
        self._function = function
        self._batch = batch

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        check_batch(images, self.spec)

        def call(rows: Array) -> tuple[Array]:
            return (self._activated(self._inputs(rows)),)

        return in_batches(call, self._batch, images)[0]

    def _inputs(self, images: Array) -> Array:
        # A copy, so that a function that works in place does not write into the caller's images.
        return namespace(images).asarray(self.spec.preprocessing.forward(images), copy=True)

    def _activated(self, inputs: Array) -> Array:
        outputs = self._function(inputs)
        outputs = outputs if hasattr(outputs, "shape") else np.asarray(outputs)
        check_scores(outputs, inputs.shape[0], "The function")
        xp = namespace(outputs)
        if xp.isdtype(outputs.dtype, ("bool", "integral")):
            # Votes and decisions.
            outputs = xp.astype(outputs, inputs.dtype)
        with _CHOICE:
            if self.activation == "auto":
                self.activation, reason = choose_activation(outputs)
                self.assumptions = (*self.assumptions, reason)
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
            gradient = self._gradient(inputs, by_outputs)
            if tuple(getattr(gradient, "shape", ())) != inputs.shape:
                raise ModelError(
                    "The gradient does not fit the images",
                    got=f"shape {getattr(gradient, 'shape', type(gradient).__name__)}",
                    expected=f"{inputs.shape}, as the function gets them",
                )
            return scores, namespace(rows).astype(self.spec.preprocessing.adjoint(gradient), rows.dtype)

        scores, gradient = in_batches(call, self._batch, images, weights)
        return scores, gradient
