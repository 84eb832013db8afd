"""Gradient × input: the local rule whose variation is deletion (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target
from blackbox_explain.methods.gradient import gradient

__all__ = ["gradient_times_input"]


def gradient_times_input(
    box: BlackBox, images: Array, target: Target | Sequence[Target | None] | None = None
) -> np.ndarray[Any, Any]:
    """Return S2(x0) = d f(x0 ⊙ m) / dm at m = 1, which is ∇f(x0) ⊙ x0.

    Parameters and errors are those of `gradient`.

    Returns
    -------
    ndarray
        (N, *shape), signed.
    """
    return gradient(box, images, target) * to_numpy(images)
