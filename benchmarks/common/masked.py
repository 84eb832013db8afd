"""Scores of photos under masks that were learned elsewhere: objective, transfer, hard deletion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain import BlackBox, Explanation, MaskExplanation
from blackbox_explain.arrays import namespace, to_numpy
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings, make_perturbation
from blackbox_explain.methods.mask.starts import integrated_mask_gradient
from blackbox_explain.methods.upsampling import make_upsampling, smooth
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Blur, Perturbation

DELETED, KEPT = (0.03, 0.06, 0.10, 0.15, 0.20, 0.30, 0.40), (0.06, 0.15, 0.30)
"""Shares of the pixels that tables of deletions are of, and those of what is kept while all else is blurred."""

Maps = np.ndarray[Any, Any]


class OwnScore:
    """The score under the masks of one result, by the perturbation of some settings."""

    def __init__(self, box: BlackBox, result: MaskExplanation, settings: Settings) -> None:
        self._settings = settings
        oracle = Oracle.of(box, len(result), batch_size=len(result))
        native = oracle.native
        images = native(result.images)
        levels = make_perturbation(self._settings).levels(images, box.spec, seed=0)
        cells = tuple(result.mask.shape[1:])
        self._mask = native(result.mask)
        self._score = MaskedScore(
            oracle,
            make_upsampling(self._settings.upsampling, cells, box.spec.spatial, images),
            LevelStack(canvas(levels, self._settings.jitter_kind, self._settings.jitter), box.spec.spatial),
            LevelStack(levels, box.spec.spatial),
            native(result.weights),
        )

    def objective(self) -> Maps:
        """Return eq. 4 for deletion (N,), its expectation the mean over all shifts of the preset's jitter."""
        one = self._settings
        penalty, _ = Regularizer(one.area_weight, one.tv_weight, one.tv_beta, one.tv_kind, "deletion")(self._mask)
        mask = self._score.upsampling.up(self._mask)
        offsets = itertools.product(range(one.jitter), repeat=mask.ndim - 1)
        scores = [to_numpy(self._score.of_images(self._score.moving.mixed(mask, offset)[0])) for offset in offsets]
        return to_numpy(penalty) + np.mean(scores, axis=0)

    def gradient_map(self) -> Maps:
        """Return the smoothed integrated gradient in mask space, upsampled: (N, *spatial)."""
        xp = namespace(self._mask)
        gradient = integrated_mask_gradient(self._score, xp.ones_like(self._mask), self._settings.start_points)
        return to_numpy(self._score.upsampling.up(smooth(gradient, 1.0)))


def left_of_region(box: BlackBox, result: MaskExplanation, perturbation: Perturbation) -> Maps:
    """Return the share of the score (N,) that is left once the region is deleted (preservation: all but it).

    The perturbation and the model may be others than those that it was found with.
    """
    gone = to_numpy(perturbation.levels(result.images, box.spec, seed=0)[0])
    deleted = (result.region ^ (result.game == "preservation"))[:, None]
    without = np.where(deleted, gone, result.images).astype(result.images.dtype)
    whole, fully, left = (_scores(box, one, result.weights, len(result)) for one in (result.images, gone, without))
    return (left - fully) / (whole - fully)


def hard_deletion(
    box: BlackBox,
    images: Maps,
    results: Sequence[Explanation],
    ranking: Maps,
    shares: Sequence[float],
    batch: int = 16,
    *,
    keep: bool = False,
) -> dict[str, float]:
    """Blur the highest-ranked share of the pixels fully, and return the mean normalised score left for each share.

    Parameters
    ----------
    box, images, results
        The black box, (N, *shape) images, and results whose targets and original scores are used.
    ranking
        (N, *spatial), high = first to go; ties are broken at random.
    shares
        Shares of the pixels.
    keep
        Whether all other pixels are blurred instead.
    """
    weights = np.concatenate([result.weights for result in results])
    original = np.concatenate([result.score for result in results])
    fully_blurred = to_numpy(Blur().levels(images, box.spec, seed=0)[0])
    fully = _scores(box, fully_blurred, weights, batch)
    flat = ranking.reshape(len(images), -1)
    noise = np.random.default_rng(0).random(flat.shape)
    order = np.stack([np.lexsort((tie, -row)) for row, tie in zip(flat, noise, strict=True)])
    left: dict[str, float] = {}
    for share in shares:
        inside = np.zeros(flat.shape, dtype=bool)
        np.put_along_axis(inside, order[:, : round(share * flat.shape[1])], values=True, axis=1)
        mixed = np.where((inside ^ keep).reshape(len(images), 1, *box.spec.spatial), fully_blurred, images)
        scores = _scores(box, mixed, weights, batch)
        left[f"{share:.2f}"] = float(np.mean((scores - fully) / (original - fully)))
    return left


def random_map(size: tuple[int, ...], seed: int, cell: int = 8) -> Maps:
    """Rank square cells at random: (*size)."""
    cells = [-(-n // cell) for n in size]
    blocks = np.kron(np.random.default_rng(seed).random(cells), np.ones([cell] * len(size)))
    return blocks[tuple(slice(0, n) for n in size)]


def _scores(box: BlackBox, images: Maps, weights: Maps, batch: int) -> Maps:
    parts = [
        np.sum(to_numpy(box.scores(images[first : first + batch])) * weights[first : first + batch], axis=1)
        for first in range(0, len(images), batch)
    ]
    return np.concatenate(parts)
