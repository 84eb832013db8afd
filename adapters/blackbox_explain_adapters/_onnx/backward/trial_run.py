"""Whether a gradient graph that was written does what it should: it runs, and gives the scores of the model itself."""

from __future__ import annotations

import math

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.errors import ModelError, OutOfMemoryError, UnsupportedModelError

__all__ = ["try_out"]

REFUSED = "The model cannot be differentiated"

TRIES = 3
"""Images: one that agrees is enough, since a score may jump where two values tie."""


def try_out(box: Differentiable, tolerance: float | None, floor: float) -> None:
    """Run the gradient graph of a box on noise, and on noise a part of which is black and a part white.

    Parameters
    ----------
    box
        Whose scores come from the model as it was given.
    tolerance
        By how much scores may differ, as a share of the largest score of an image; None to run it only.
    floor
        What is taken for the largest score where that is smaller.

    Raises
    ------
    UnsupportedModelError
        If ONNX Runtime cannot run the graph, or its scores are others.
    """
    for in_part in (False, True):
        share = _least_apart(box, in_part, tolerance, floor)
        if tolerance is not None and share > tolerance:
            raise UnsupportedModelError(
                REFUSED,
                got=f"scores that are off by {share:.2g} of the largest where the gradient is computed, too",
                expected=f"at most {tolerance:g}",
                hint="explain it from its scores alone; this model is read otherwise than ONNX Runtime reads it",
            )


def _least_apart(box: Differentiable, in_part: bool, tolerance: float | None, floor: float) -> float:
    """Return by how much the scores of that image differ for which they differ least; 0 where memory runs out."""
    share = math.inf
    for seed in range(TRIES):
        try:
            share = min(share, _apart(box, _noise(seed, box.spec, in_part), floor, tolerance))
        except OutOfMemoryError:
            return 0.0  # one image is the least that can be asked: whoever asks will be told
        if tolerance is None or share <= tolerance:
            break
    return share


def _apart(box: Differentiable, images: np.ndarray, floor: float, tolerance: float | None) -> float:
    """Return by how much the scores of an image differ, as a share of the largest; 0 for a model that draws lots."""
    expected = np.asarray(box.scores(images))
    try:
        found, gradient = map(np.asarray, box.scores_and_gradient(images, np.ones_like(expected)))
    except ModelError as error:
        hint = "explain it from its scores alone, or with another version of ONNX Runtime"
        raise UnsupportedModelError(REFUSED, got=str(error), expected="a gradient that runs", hint=hint) from error
    if gradient.shape != images.shape or found.shape != expected.shape:
        got = f"a gradient of shape {gradient.shape}, and scores of shape {found.shape}"
        raise UnsupportedModelError(REFUSED, got=got, expected=f"{images.shape} and {expected.shape}")
    off = _off(found, expected, floor)
    if tolerance is None or off <= tolerance:
        return off
    drawn = _off(np.asarray(box.scores(images)), expected, floor)
    return off if drawn < off / 10 else 0.0


def _noise(seed: int, spec: InputSpec, in_part: bool) -> np.ndarray:
    """Return an image (1, *shape) of noise; `in_part`, if a quarter of it is black and one white, as noise never is.

    Where that has no finite scores, as of a model that takes logarithms, it says nothing; plain noise says it then.
    """
    images = np.random.default_rng(seed).uniform(*spec.bounds, (1, spec.shape[0], math.prod(spec.shape[1:])))
    quarter = images.shape[-1] // 4 if in_part else 0
    images[..., :quarter], images[..., quarter : 2 * quarter] = spec.bounds
    return images.reshape(1, *spec.shape).astype(np.float32)


def _off(found: np.ndarray, expected: np.ndarray, floor: float) -> float:
    sound = np.isfinite(expected)
    if not np.isfinite(found[sound]).all():
        return math.inf
    off, size = (float(np.abs(one[sound]).max(initial=0)) for one in (found - expected, expected))
    return off / max(size, floor)
