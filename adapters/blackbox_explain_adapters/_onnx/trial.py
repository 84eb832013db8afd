"""Whether a gradient graph that was written does what it should: it runs, and gives the scores of the model itself."""

from __future__ import annotations

import math

import numpy as np

from blackbox_explain.blackbox import DifferentiableBlackBox
from blackbox_explain.errors import ModelError, UnsupportedModelError

__all__ = ["try_out"]

REFUSED = "The model cannot be differentiated"

TRIES = 3
"""Images: one that agrees is enough, since a score may jump where two values tie."""


def try_out(box: DifferentiableBlackBox, tolerance: float | None) -> None:
    """Run the gradient graph of a box on noise.

    Parameters
    ----------
    box
        Whose scores come from the model as it was given.
    tolerance
        By how much scores may differ, as a share of the largest score of an image; None to run it only.

    Raises
    ------
    UnsupportedModelError
        If ONNX Runtime cannot run the graph, or its scores are others.
    """
    share = math.inf
    for seed in range(TRIES):
        share = min(share, _apart(box, seed))
        if tolerance is None or share <= tolerance:
            return
    raise UnsupportedModelError(
        REFUSED,
        got=f"scores that are off by {share:.2g} of the largest where the gradient is computed, too",
        expected=f"at most {tolerance:g}",
        hint="explain it from its scores alone; this model is read otherwise than ONNX Runtime reads it",
    )


def _apart(box: DifferentiableBlackBox, seed: int) -> float:
    """Return by how much the scores of noise differ, as a share of the largest."""
    spec = box.spec
    images = np.random.default_rng(seed).uniform(*spec.bounds, (1, *spec.shape)).astype(np.float32)
    expected = np.asarray(box.scores(images))
    try:
        found, gradient = map(np.asarray, box.scores_and_gradient(images, np.ones_like(expected)))
    except ModelError as error:
        hint = "explain it from its scores alone, or with another version of ONNX Runtime"
        raise UnsupportedModelError(REFUSED, got=str(error), expected="a gradient that runs", hint=hint) from error
    if gradient.shape != images.shape or found.shape != expected.shape:
        got = f"a gradient of shape {gradient.shape}, and scores of shape {found.shape}"
        raise UnsupportedModelError(REFUSED, got=got, expected=f"{images.shape} and {expected.shape}")
    both = np.isfinite(expected) & np.isfinite(found)
    off, size = (float(np.abs(one[both]).max(initial=0)) for one in (found - expected, expected))
    return off / max(size, float(np.finfo(np.float32).tiny))
