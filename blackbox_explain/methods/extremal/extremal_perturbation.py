"""Extremal perturbation: the mask of a fixed area that keeps the score highest (Fong, Patrick & Vedaldi 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, channel_products, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.box.targets import target_scores
from blackbox_explain.methods.deleting import OF, BlurAt224, Deleting
from blackbox_explain.methods.extremal.smooth_maximum import SmoothMaximum
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.perturbations.deletion import count_at
from blackbox_explain.perturbations.perturbation import Perturbation, shortest_side
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["ExtremalPerturbation"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

CELL, SIGMA, BLUR = 7.0, 21.0, 20.0
"""In pixels of 224: a cell of the grid, the kernel of the smooth maximum, the blur that deletes."""

WEIGHT, GROWTH = 300.0, 1.0035
"""Of the area's regulariser at the start, and by how much it grows at each step."""

LET_IN = 0.2
"""Share of the steps in which the area's weight grows from 0, so that the score, and no tie, says what is kept."""

MOMENTUM = 0.9

LEAST_FALL = 1e-6


@dataclass(frozen=True)
class ExtremalPerturbation(Deleting):
    """Learn the smooth mask of a given area that keeps the score highest.

    argmax f(m ⊗ x0) over smooth masks m of area a.

    Fong, Patrick & Vedaldi, *Understanding Deep Networks via Extremal Perturbations and Smooth Masks* (2019).  The area
    is held by λ ‖vecsort(m) − r_a‖², r_a the sorted mask of that area that is 0 or 1 everywhere; masks are smooth by
    `SmoothMaximum`.  Gradient ascent with momentum 0.9; λ is 300 and grows by 0.35 % at each step.  In the first fifth
    of the steps it is let in: a mask that is the same everywhere would else be sorted by chance.  What else is not the
    authors': masks begin at one half, a perturbation has two levels, and no image is flipped on the way.

    Attributes
    ----------
    area
        a, the share of the image that is kept.
    steps
        800 in the paper.
    learning_rate
        0.01 in the paper.
    gain
        What the difference between the scores of the image and of the perturbed one counts for beside the area: the
        paper takes raw scores, which are about ten apart.
    perturbation
        What stands in for pixels that are not kept; None is blur of the paper's width, 20 pixels at 224.
    """

    area: float = 0.1
    steps: int = 800
    learning_rate: float = 0.01
    gain: float = 10.0

    name: ClassVar[str] = "extremal-perturbation"
    needs: ClassVar[type[Any]] = Differentiable

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "area", above=0, below=1)
        check_whole(self, "steps")
        check_number(self, "learning_rate", above=0, most=1e3)
        check_number(self, "gain", above=0, most=1e6)

    def chosen(self) -> Perturbation:
        """Return what stands in for deleted pixels."""
        return super().chosen() if self.perturbation is not None else BlurAt224(BLUR)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, one for the perturbed one, and a gradient for each step."""
        del info
        return Budget(2 + self.steps)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the masks."""
        spatial = oracle.box.spec.spatial
        scores = self.masked_scores(oracle, images, weights, seed)
        perturbed = target_scores(to_numpy(oracle.scores(scores.gone)), scores.weights)
        fall = scores.original - perturbed
        scale = self.gain / np.where(np.abs(fall) > LEAST_FALL, np.abs(fall), 1.0)
        cell = CELL * shortest_side(spatial) / OF
        cells = tuple(max(1, min(size, round(size / cell))) for size in spatial)
        smooth = SmoothMaximum(cells, spatial, SIGMA / CELL)
        grid = np.full((len(fall), *cells), 0.5, scores.images.dtype)
        speed = np.zeros_like(grid)
        wanted = count_at(self.area, math.prod(spatial))
        scale = scale.reshape(-1, *(1,) * len(spatial)).astype(grid.dtype)
        difference = scores.images - scores.gone
        # Made once: fresh memory for each step takes longer than what is written there.
        mixed = np.empty_like(difference)
        weight = WEIGHT
        for step in range(1, self.steps + 1):
            masks, down = smooth.with_adjoint(grid)
            np.multiply(masks[:, None], difference, out=mixed)
            mixed += scores.gone
            slope = to_numpy(oracle.gradient(mixed, scores.weights)[1])
            by_mask = channel_products(slope, difference) * scale
            by_mask -= min(1.0, step / (LET_IN * self.steps)) * weight * _area_slope(masks, wanted)
            speed = MOMENTUM * speed + down(by_mask)
            grid = np.clip(grid + self.learning_rate * speed, 0, 1)
            weight *= GROWTH
        return self.found(smooth.up(grid), images)


def _area_slope(masks: Floats, wanted: int) -> Floats:
    """Return d mean((vecsort(m) − r_a)²) / d m of masks (N, *spatial), r_a of so many ones.

    The ones are those of the largest values, of equal ones the last: nothing else of the order counts.
    """
    flat = masks.reshape(len(masks), -1)
    least = np.partition(flat, -wanted, axis=1)[:, -wanted, None]
    ones = flat >= least
    if (np.count_nonzero(ones, axis=1) != wanted).any():
        above, equal = flat > least, flat == least
        later = np.cumsum(equal[:, ::-1], axis=1)[:, ::-1]
        ones = above | (equal & (later <= wanted - above.sum(axis=1, keepdims=True)))
    slope = np.subtract(flat, ones, dtype=flat.dtype)
    slope *= flat.dtype.type(2 / flat.shape[1])
    return slope.reshape(masks.shape)
