"""How much of a score is gone: the normalised suppression of section 5.2."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["suppression"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def suppression(original: Floats, left: Floats, perturbed: Floats) -> Floats:
    """Return 1 − p', where p' = (left − perturbed) / (original − perturbed) is the share of the score that is left.

    Parameters
    ----------
    original, left, perturbed
        (N,) target scores of the image, of what is made of it, and of the fully perturbed image.

    Returns
    -------
    ndarray
        (N,), 1 where it is as if all were deleted; NaN where the score of the fully perturbed image is that of the
        image.
    """
    original, left, perturbed = (np.asarray(one) for one in (original, left, perturbed))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = original - perturbed
        return np.where(reach == 0, np.nan, 1 - (left - perturbed) / reach)
