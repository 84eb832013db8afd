"""What turns a network's outputs into scores: softmax, sigmoid or nothing, and how gradients pass through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError

Activation = Literal["auto", "softmax", "log_softmax", "sigmoid", "none"]
ACTIVATIONS: tuple[Activation, ...] = ("auto", "softmax", "log_softmax", "sigmoid", "none")

__all__ = [
    "ACTIVATIONS",
    "SCORES_ARE_LOGITS",
    "Activation",
    "Ending",
    "WatchedRange",
    "activate",
    "activation_adjoint",
    "choose_activation",
    "no_logits",
    "said_activation",
]


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


Ending = Literal["softmax", "log_softmax", "sigmoid", "log_sigmoid", "linear"]
"""The last operation of a model, where its graph or module tells."""

ROUNDING = 1e-6
"""By which probabilities may leave 0 to 1 on the probes."""

SLACK = 1e-2
"""By which later outputs may do so: quantised models and images slightly out of bounds are not taken for logits."""


def choose_activation(outputs: Array, ends_in: Ending | None = None) -> tuple[Activation, str]:
    """Decide what turns outputs into scores: once, when a model is wrapped, and never by the images of a user.

    Parameters
    ----------
    outputs
        (N, K) raw outputs for fixed images, such as `adapter_tools.description.plain_images`.
    ends_in
        The last operation of the model, where its graph or module tells; None where nothing does.

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

    Notes
    -----
    A choice that rested on the range of the outputs alone may be wrong: `WatchedRange` holds later outputs against it.
    """
    values = to_numpy(outputs).astype(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise ModelError("The outputs are not finite", got="NaN or infinity in every row", expected="class scores")
    if ends_in in ("softmax", "log_softmax", "sigmoid", "log_sigmoid"):
        return "none", f"the model ends in a {ends_in}, so its outputs are taken as they are"
    classes = values.shape[1]
    inside = bool(np.all(values >= -ROUNDING) and np.all(values <= 1 + ROUNDING))
    sums = values.sum(axis=1)
    if ends_in != "linear" and classes > 1 and values.min() >= 0 and np.allclose(sums, 100, atol=0.5):
        return "none", "the outputs sum to 100, as percentages do, so they are taken as they are"
    if ends_in == "linear":
        # Probabilities mixed by a matrix are probabilities; logits do not sum to one by chance on every probe.
        if inside and classes > 1 and np.allclose(values.sum(axis=1), 1.0, atol=1e-4):
            return "none", "the outputs sum to one, so they are probabilities already"
        if classes == 1:
            return "sigmoid", "the model ends in a linear layer with one output, of the one class: a sigmoid is applied"
        return "softmax", "the model ends in a linear layer: a softmax is applied"
    if inside:
        if classes > 1 and np.allclose(values.sum(axis=1), 1.0, atol=5e-3):
            return "none", "the outputs sum to one, so they are probabilities already"
        if classes == 1:
            return (
                "none",
                "there is one output, in [0, 1]: the score of the one class, which is explained even below 0.5",
            )
        return "none", "the outputs lie in [0, 1] without summing to one, so they are taken as they are"
    if classes == 1:
        return (
            "sigmoid",
            "there is one output, of the one class, and it leaves [0, 1], so a sigmoid is applied",
        )
    return "softmax", "the outputs are not probabilities, so a softmax is applied"


SCORES_ARE_LOGITS = "the model does not tell what its scores are made of: they are taken for the logits"
"""What is said of logits of a model that ends in nothing known, and to which nothing is applied."""


def no_logits(ends_in: Ending | None, why: str) -> UnsupportedModelError:
    """Return the error to raise where logits are asked for and a model's own activation cannot be left out.

    Parameters
    ----------
    ends_in
        That activation.
    why
        What keeps it from being left out.
    """
    return UnsupportedModelError(
        f"The logits of this model cannot be had: it ends in a {ends_in} that cannot be left out",
        got=why,
        hint="wrap the model without its last activation: its outputs are the logits then",
    )


def said_activation(wanted: Activation, ends_in: Ending | None, outputs: Array) -> tuple[Activation, tuple[str, ...]]:
    """Return what is applied to outputs where the caller said it, and sentences for the user.

    Parameters
    ----------
    wanted
        What the caller said; not ``"auto"``.
    ends_in
        The last operation of the model; None where nothing tells.
    outputs
        (N, K) raw outputs for fixed images.

    Raises
    ------
    InputError
        If the model ends in another such operation, which cannot be taken away.

    Notes
    -----
    A model that ends in what is asked for is taken as it is: applied twice, a softmax would flatten the scores.
    """
    if wanted == "none":
        return "none", ()
    if wanted == ends_in:
        return "none", (f"the model ends in a {wanted} itself, so that none is applied to its outputs",)
    if (ends_in, wanted) == ("log_softmax", "softmax"):
        return "softmax", ()  # of logarithms of probabilities: the probabilities
    if ends_in in ("softmax", "log_softmax", "sigmoid", "log_sigmoid"):
        raise InputError(
            f"The model ends in a {ends_in}, which cannot be replaced",
            got=f"activation={wanted!r}",
            expected=f"'auto', 'none' or {ends_in!r}",
            hint="wrap the model without it, or in a function that returns what you mean",
        )
    chosen, reason = choose_activation(outputs, ends_in)
    return wanted, (f"a {wanted} is applied as asked for, although {reason}",) if chosen == "none" else ()


@dataclass(frozen=True)
class WatchedRange:
    """Holds the outputs of a model against the guess that they are scores already, for they lay in [0, 1] on probes.

    Attributes
    ----------
    classes
        K.
    """

    classes: int

    @classmethod
    def of(cls, outputs: Array, wanted: Activation, chosen: Activation, ends_in: Ending | None) -> WatchedRange | None:
        """Return what to hold later outputs against; None where the user or the model said what they are."""
        guessed = wanted == "auto" and chosen == "none" and ends_in in (None, "linear")
        # Percentages never lay there.
        inside = guessed and float(np.nanmax(to_numpy(outputs))) <= 1 + SLACK
        return cls(outputs.shape[1]) if inside else None

    def check(self, outputs: Array) -> None:
        """Raise `ModelError` if outputs (N, K) leave [0, 1]; what is not finite says nothing.

        This looks at values, so that a device is waited for.
        """
        values = to_numpy(outputs)
        with np.errstate(invalid="ignore"):
            outside = values[np.isfinite(values) & ((values < -SLACK) | (values > 1 + SLACK))]
        if outside.size:
            better = "softmax" if self.classes > 1 else "sigmoid"
            raise ModelError(
                "The outputs were taken for scores when the model was wrapped, because they lay in [0, 1] for plain "
                "images, and now they leave it",
                got=f"an output of {outside[np.argmax(np.abs(outside))]:.4g}",
                hint=f'say what turns outputs into scores: wrap(..., activation="{better}"), --activation {better}, '
                'or "none" to explain them as they are',
            )
