"""Whether a gradient graph that was written does what it should: it runs, and gives the scores of the model itself."""

from __future__ import annotations

import numpy as np

from blackbox_explain.blackbox import DifferentiableBlackBox
from blackbox_explain.errors import ModelError, UnsupportedModelError

__all__ = ["try_out"]

ROWS = 3
"""Images: most of them must agree, since a score may jump where two values tie."""


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
    spec, refused = box.spec, "The model cannot be differentiated"
    images = np.random.default_rng(1).uniform(*spec.bounds, (ROWS, *spec.shape)).astype(np.float32)
    expected = np.asarray(box.scores(images))
    try:
        found, gradient = map(np.asarray, box.scores_and_gradient(images, np.ones_like(expected)))
    except ModelError as error:
        hint = "explain it from its scores alone, or with another version of ONNX Runtime"
        raise UnsupportedModelError(refused, got=str(error), expected="a gradient that runs", hint=hint) from error
    if gradient.shape != images.shape or found.shape != expected.shape:
        got = f"a gradient of shape {gradient.shape}, and scores of shape {found.shape}"
        raise UnsupportedModelError(refused, got=got, expected=f"{images.shape} and {expected.shape}")
    both = np.isfinite(expected) & np.isfinite(found)
    off = np.abs(np.where(both, found - expected, 0)).max(axis=1)
    share = float(
        np.median(off / np.maximum(np.abs(np.where(both, expected, 0)).max(axis=1), np.finfo(np.float32).tiny))
    )
    if tolerance is not None and share > tolerance:
        raise UnsupportedModelError(
            refused,
            got=f"scores that are off by {share:.2g} of the largest where the gradient is computed, too",
            expected=f"at most {tolerance:g}",
            hint="explain it from its scores alone; this model is read otherwise than ONNX Runtime reads it",
        )
