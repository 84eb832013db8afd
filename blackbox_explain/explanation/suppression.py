"""How much of a score is gone: the normalised suppression of section 5.2."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.perturbations.perturbation import Game

__all__ = ["LEAST_REACH", "effect", "has_reach", "suppression"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


LEAST_REACH = 0.01
"""A score that falls by less than this share of itself does not depend on what is perturbed."""


def suppression(original: Floats, left: Floats, perturbed: Floats) -> Floats:
    """Return 1 − p', where p' = (left − perturbed) / (original − perturbed) is the share of the score that is left.

    Parameters
    ----------
    original, left, perturbed
        Target scores of the image, of what is made of it, and of the fully perturbed image; arrays of shapes that go
        together, such as (N,) each, or (N, 1), (N, S), (N, 1).

    Returns
    -------
    ndarray
        Of their shape, 1 where it is as if all were deleted; NaN where the score of the fully perturbed image is that
        of the image.
    """
    original, left, perturbed = (np.asarray(one) for one in (original, left, perturbed))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = original - perturbed
        return np.where(reach == 0, np.nan, 1 - (left - perturbed) / reach)


def has_reach(original: Floats, perturbed: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return whether perturbing lowers a score by so much that shares of the fall can be told; not where it is NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(original - perturbed > LEAST_REACH * np.abs(original))


def effect(original: Floats, left: Floats, perturbed: Floats, game: Game) -> Floats:
    """Return how much of what perturbing takes away is gone (deletion), or kept (preservation).

    Parameters
    ----------
    original, left, perturbed
        As in `suppression`.
    game
        ``"deletion"``: 1 − p'; ``"preservation"``: p'.
    """
    gone = suppression(original, left, perturbed)
    return gone if game == "deletion" else 1 - gone
