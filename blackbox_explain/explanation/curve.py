"""What is left of a score when the most salient pixels are deleted, or when nothing else is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.targets import target_scores
from blackbox_explain.perturbations.deletion import count_at, ranks
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["score_curve"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def score_curve(
    oracle: Oracle,
    images: Floats,
    saliency: Floats,
    weights: Floats,
    perturbation: Perturbation,
    shares: Sequence[float],
    *,
    keep: bool = False,
    seed: int = 0,
) -> Floats:
    """Return the target scores of images without their most salient pixels, at several shares.

    Parameters
    ----------
    oracle
        Asks the model, on behalf of these n images.
    images
        (n, *shape) in pixel space.
    saliency
        (n, *spatial), high = important; of equal pixels the first are the more important ones.
    weights
        (n, K) the targets as weights over the scores.
    perturbation
        What stands in for what is deleted.
    shares
        S shares of the pixels, in [0, 1].
    keep
        Whether the most salient pixels are what is left, and all others are deleted.
    seed
        Of the noise of the perturbation.

    Returns
    -------
    ndarray
        (n, S).

    Raises
    ------
    ModelError, OutOfMemoryError
        As `Oracle.scores`.
    """
    count, spatial = len(images), images.shape[2:]
    gone = np.asarray(perturbation.levels(images, oracle.box.spec, seed)[0])
    rank = np.stack([ranks(one) for one in saliency])
    counts = np.asarray([count_at(share, int(np.prod(spatial))) for share in shares])
    of, at = np.repeat(np.arange(count), len(counts)), np.tile(counts, count)

    def make(part: slice) -> Floats:
        rows = of[part]
        top = rank[rows] < at[part].reshape(-1, *(1,) * len(spatial))
        return np.where((top ^ keep)[:, None], gone[rows], images[rows]).astype(images.dtype, copy=False)

    scores = np.asarray(oracle.scores_of(make, len(of), of))
    return target_scores(scores, weights[of]).reshape(count, len(counts))
