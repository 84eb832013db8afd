"""The gradient: the local linear rule of the paper (eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.protocols import BlackBox, check_images
from blackbox_explain.box.targets import Target, resolve
from blackbox_explain.methods.mask.masked_score import ask, ask_gradient, require_gradient

__all__ = ["gradient"]


def gradient(
    box: BlackBox, images: Array, target: Target | Sequence[Target | None] | None = None
) -> np.ndarray[Any, Any]:
    """Return S1(x0) = ∇f(x0), the rule f(x) ≈ f(x0) + ⟨∇f(x0), x − x0⟩ (eq. 2).

    Parameters
    ----------
    box
        A black box with gradients.
    images
        (N, *shape) in pixel space.
    target
        As in `explain`.

    Returns
    -------
    ndarray
        (N, *shape), signed.

    Raises
    ------
    NoGradientError
        If the black box gives scores only.
    """
    differentiable = require_gradient(box)
    native = getattr(box, "native", np.asarray)
    pixels = native(check_images(images, box.spec))
    scores = to_numpy(ask(box, pixels))
    weights, _ = resolve(target, scores, box.spec.class_names)
    return to_numpy(ask_gradient(differentiable, pixels, native(weights))[1])
