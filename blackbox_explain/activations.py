"""What turns a network's outputs into scores: softmax, sigmoid or nothing, and how gradients pass through it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.errors import ModelError

Activation = Literal["auto", "softmax", "log_softmax", "sigmoid", "none"]
ACTIVATIONS: tuple[Activation, ...] = ("auto", "softmax", "log_softmax", "sigmoid", "none")

__all__ = ["ACTIVATIONS", "Activation", "activate", "activation_adjoint", "choose_activation"]


def activate(outputs: Array, activation: Activation) -> Array:
    """Return scores (N, K) of raw outputs (N, K)."""
    xp = namespace(outputs)
    if activation == "sigmoid":
        return 0.5 * (1 + xp.tanh(0.5 * outputs))
    if activation in ("softmax", "log_softmax"):
        shifted = outputs - xp.max(outputs, axis=1, keepdims=True)
        exponentials = xp.exp(shifted)
        total = xp.sum(exponentials, axis=1, keepdims=True)
        return exponentials / total if activation == "softmax" else shifted - xp.log(total)
    return outputs


def activation_adjoint(scores: Array, weights: Array, activation: Activation) -> Array:
    """Return d Σ(weights · scores) / d outputs (N, K), given the scores that `activate` returned."""
    xp = namespace(scores)
    if activation == "sigmoid":
        return weights * scores * (1 - scores)
    if activation == "softmax":
        return scores * (weights - xp.sum(weights * scores, axis=1, keepdims=True))
    if activation == "log_softmax":
        return weights - xp.exp(scores) * xp.sum(weights, axis=1, keepdims=True)
    return weights


def choose_activation(outputs: Array) -> tuple[Activation, str]:
    """Decide, once and from real outputs (N, K), what turns them into probabilities.

    Returns
    -------
    activation
        ``"none"``, ``"softmax"`` or ``"sigmoid"``.
    reason
        A sentence for the user.

    Raises
    ------
    ModelError
        If no row of the outputs is finite.
    """
    values = to_numpy(outputs).astype(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise ModelError("The outputs are not finite", got="NaN or infinity in every row", expected="class scores")
    if np.all(values >= -1e-6) and np.all(values <= 1 + 1e-6):
        if values.shape[1] > 1 and np.allclose(values.sum(axis=1), 1.0, atol=5e-3):
            return "none", "the outputs sum to one, so they are probabilities already"
        if values.shape[1] == 1:
            return (
                "none",
                "there is one output, in [0, 1]: the score of the one class, which is explained even below 0.5",
            )
        return "none", "the outputs lie in [0, 1] without summing to one, so they are taken as they are"
    if values.shape[1] == 1:
        return (
            "sigmoid",
            "there is one output, of the one class, and it leaves [0, 1], so a sigmoid is applied",
        )
    return "softmax", "the outputs are not probabilities, so a softmax is applied"
