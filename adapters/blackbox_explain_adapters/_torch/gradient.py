"""Gradients of PyTorch modules: whether one arrives at the images, and a finite one where autograd gives NaN."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_explain.errors import NoGradientError
from blackbox_explain_adapters._torch.activation.by_graph import nodes_behind, operation_of

__all__ = ["MENDED", "gradient_by", "mended_gradient_by", "no_gradient"]

MENDED = (
    "the gradient of a square root, power, logarithm, norm or quotient inside the model is not finite at some inputs "
    "(as at silence, or where a value is 0): it is taken for 0 there"
)

SINGULAR = frozenset(
    {
        *("sqrt", "rsqrt", "pow", "reciprocal", "div", "log", "log2", "log10", "log1p", "logsumexp", "xlogy"),
        *("linalgvectornorm", "norm", "cdist", "pairwisedistance", "std", "stdmean", "hypot", "prod", "cumprod"),
        *("atan2", "acos", "asin", "acosh", "atanh", "abs", "angle", "sgn"),
    }
)
"""Operations that are finite where their derivative is not, or where it is NaN because it multiplies 0 by infinity."""

STEPS = frozenset({"round", "floor", "ceil", "trunc", "sign", "heaviside", "fix", "frac"})
"""Operations whose derivative is 0 almost everywhere, which says nothing of what they do."""


def gradient_by(outputs: torch.Tensor, weights: torch.Tensor, images: torch.Tensor) -> torch.Tensor | None:
    """Return d Σ(weights · outputs) / d images; None if the images are no part of what was computed."""
    if not outputs.requires_grad:
        return None
    return torch.autograd.grad((outputs * weights).sum(), images, allow_unused=True)[0]


def mended_gradient_by(outputs: torch.Tensor, weights: torch.Tensor, images: torch.Tensor) -> torch.Tensor | None:
    """Return the same, where each operation of `SINGULAR` that has no finite derivative is given the derivative 0."""
    # Nodes are made anew for each run, so that hooks need not be taken away again.
    for node in nodes_behind(outputs):
        if operation_of(node) in SINGULAR:
            node.register_hook(_finite)
    return gradient_by(outputs, weights, images)


def no_gradient(gradient: Callable[[], torch.Tensor | None], outputs: torch.Tensor) -> NoGradientError | None:
    """Say why there is no gradient, or return None if there is one.

    Parameters
    ----------
    gradient
        Computes it.
    outputs
        What it is the gradient of.
    """
    try:
        found = gradient()
    except (RuntimeError, NotImplementedError) as error:
        reason = f"PyTorch says: {str(error).strip().splitlines()[0].removesuffix('.')}"
    else:
        if found is not None:
            steps = sorted({name for node in nodes_behind(outputs) if (name := operation_of(node)) in STEPS})
            if not steps or bool((found != 0).any()):
                return None
            reason = f"it is 0 for every plain image, behind the operation {', '.join(steps)}"
        elif outputs.requires_grad:
            reason = "the images are cut off from the scores, as by a cast to whole numbers, argmax or detach"
        else:
            reason = "outputs that are detached, computed under no_grad, quantised, or made of whole numbers"
    return NoGradientError("The model gives no gradient by its images", got=reason)


def _finite(
    by_inputs: tuple[torch.Tensor | None, ...], by_outputs: tuple[torch.Tensor | None, ...]
) -> tuple[torch.Tensor | None, ...]:
    del by_outputs
    return tuple(None if one is None else torch.where(torch.isfinite(one), one, 0) for one in by_inputs)
