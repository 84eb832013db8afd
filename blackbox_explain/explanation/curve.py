"""What is left of a score when the most salient pixels are deleted, or when nothing else is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from blackbox_explain.box.oracle import Answers, Oracle
from blackbox_explain.box.targets import target_scores
from blackbox_explain.perturbations.deletion import count_at, ranks
from blackbox_explain.perturbations.levels import levels_of
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["RankedImages", "score_curve"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class RankedImages:
    """Images without their most salient pixels, or with nothing but these, however many.

    Attributes
    ----------
    oracle
        Asks the model, on behalf of these n images.
    images, gone
        (n, *shape) in pixel space, and fully perturbed.
    rank
        (n, *spatial) place of each pixel in the order of saliency.
    keep
        Whether the most salient pixels are what is left.
    """

    oracle: Oracle
    images: Floats
    gone: Floats
    rank: Counts
    keep: bool

    @classmethod
    def of(cls, oracle: Oracle, images: Floats, gone: Floats, saliency: Floats, keep: bool) -> RankedImages:
        """Rank the pixels of images (n, *shape) by saliency (n, *spatial)."""
        return cls(oracle, images, gone, np.stack([ranks(one) for one in saliency]), keep)

    @property
    def size(self) -> int:
        """Pixels of an image."""
        return int(np.prod(self.rank.shape[1:]))

    def region(self, rows: Counts, counts: Counts) -> Booleans:
        """Return where the most salient pixels are (m, *spatial): `counts` (m,) of them in each of `rows` (m,)."""
        return self.rank[rows] < counts.reshape(-1, *(1,) * (self.rank.ndim - 1))

    def made(self, rows: Counts, counts: Counts) -> Floats:
        """Return the images (m, *shape) without them, or with nothing but them."""
        deleted = self.region(rows, counts) ^ self.keep
        return np.where(deleted[:, None], self.gone[rows], self.images[rows]).astype(self.images.dtype, copy=False)

    def scores(self, rows: Counts, counts: Counts) -> Floats:
        """Return all scores (m, K) there."""
        return np.asarray(self.oracle.scores_of(partial(self._part, rows, counts), len(rows), rows))

    def answers(self, rows: Counts, counts: Counts) -> Answers:
        """Return all scores there, or why a row has none."""
        return self.oracle.answers(partial(self._part, rows, counts), len(rows), rows)

    def _part(self, rows: Counts, counts: Counts, part: slice) -> Floats:
        return self.made(rows[part], counts[part])


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
    gone = np.asarray(levels_of(perturbation, images, oracle.box.spec, seed)[0])
    ranked = RankedImages.of(oracle, images, gone, saliency, keep)
    counts = np.asarray([count_at(share, ranked.size) for share in shares])
    rows = np.repeat(np.arange(len(images)), len(counts))
    scores = ranked.scores(rows, np.tile(counts, len(images)))
    return target_scores(scores, weights[rows]).reshape(len(images), len(counts))
