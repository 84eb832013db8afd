"""Any function from images to scores, with a gradient if the caller has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from blackbox_explain.activations import Activation, activate, activation_adjoint, choose_activation
from blackbox_explain.arrays import Array
from blackbox_explain.blackbox import BlackBox, Described, InputSpec, check_scores

__all__ = ["CallableBlackBox", "DifferentiableCallable", "wrap_callable"]


def wrap_callable(
    model: Callable[[Array], Array],
    described: Described,
    *,
    gradient: Callable[[Array, Array], Array] | None = None,
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
    """
    spec, assumptions = described.spec()
    if gradient is None:
        return CallableBlackBox(model, spec, described.activation, assumptions)
    return DifferentiableCallable(model, spec, described.activation, assumptions, gradient)


class CallableBlackBox:
    """A score-only black box around a function."""

    def __init__(
        self, function: Callable[[Array], Array], spec: InputSpec, activation: Activation, assumptions: tuple[str, ...]
    ) -> None:
        self.spec = spec
        self.activation: Activation = activation
        self.assumptions = assumptions
        self._function = function

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        return self._activated(self.spec.preprocessing.forward(images))

    def _activated(self, inputs: Array) -> Array:
        outputs = self._function(inputs)
        outputs = outputs if hasattr(outputs, "shape") else np.asarray(outputs)
        check_scores(outputs, inputs.shape[0], "The function")
        if self.activation == "auto":
            self.activation, reason = choose_activation(outputs)
            self.assumptions = (*self.assumptions, reason)
        return activate(outputs, self.activation)


class DifferentiableCallable(CallableBlackBox):
    """A function together with its vector-Jacobian product."""

    def __init__(self, *parts: Any) -> None:
        *rest, self._gradient = parts
        super().__init__(*rest)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        inputs = self.spec.preprocessing.forward(images)
        scores = self._activated(inputs)
        by_outputs = activation_adjoint(scores, weights, self.activation)
        return scores, self.spec.preprocessing.adjoint(self._gradient(inputs, by_outputs))
