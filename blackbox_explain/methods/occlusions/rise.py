"""RISE: the mean of random masks, weighted by the scores that they leave (Petsiuk, Das & Saenko 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, along_axes, one_thread
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["RandomMasks", "Rise"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Whole = np.ndarray[Any, np.dtype[np.int64]]

AT_ONCE = 64
"""Masks that are added up at a time."""

MOST_CELLS = 1000
"""Along an axis: all masks are drawn at once."""

BESIDES = 2
"""Cells beyond those over the image, so that a grid that was moved by up to a cell still covers it."""


@dataclass(frozen=True)
class Rise(Deleting):
    """Average random masks, weighted by the scores that they leave.

    S(u) = 1 / (N p) · Σ_k f(x0 under M_k) M_k(u) over N masks, above the mean score of all masks: a pixel that makes no
    difference has 0.

    Petsiuk, Das & Saenko, *RISE: Randomized Input Sampling for Explanation of Black-box Models* (2018): a mask is a
    grid of cells that are kept with probability p, upsampled linearly and moved by up to a cell.

    Attributes
    ----------
    masks
        N; the paper takes 4,000 for VGG-16 and 8,000 for ResNet-50.
    cells
        Along each axis of the grid, at most one for each pixel; 7 in the paper.
    kept
        p; one half in the paper.
    perturbation
        What stands in for deleted pixels; None is grey, the middle of the bounds.
    """

    masks: int = 4000
    cells: int = 7
    kept: float = 0.5

    name: ClassVar[str] = "rise"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "masks")
        check_whole(self, "cells", most=MOST_CELLS)
        check_number(self, "kept", above=0, below=1)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each mask."""
        del info
        return Budget(1 + self.masks)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the weighted mean of the masks, the same masks for every image."""
        drawn = RandomMasks.draw(self, oracle.box.spec.spatial, seed)
        scores = self.masked_scores(oracle, images, weights, seed)
        found = scores.of_shared(drawn.masks, self.masks).astype(np.float64)
        # What the mean score would have given a pixel that was kept as often: no other than all pixels.
        above = found - found.mean(axis=1, keepdims=True)
        return self.found(drawn.weighted(above) / (self.masks * self.kept), images)


@dataclass(frozen=True, eq=False)
class RandomMasks:
    """Grids of cells that are kept or not, and where the image lies on each.

    Attributes
    ----------
    spatial
        Of the image.
    kept
        (masks, *cells), 0 or 1.
    shifts
        (masks, axes) pixels by which the image is moved over the grid.
    matrices
        For each axis (size + cell, cells) to pixels from cells, linearly.
    """

    spatial: tuple[int, ...]
    kept: Floats
    shifts: Whole
    matrices: tuple[Floats, ...]

    @classmethod
    def draw(cls, settings: Rise, spatial: tuple[int, ...], seed: int) -> RandomMasks:
        """Draw the masks of a seed, the same for every image."""
        grid = tuple(min(settings.cells, size) for size in spatial)
        cell = tuple(-(-size // n) for size, n in zip(spatial, grid, strict=True))
        rng = np.random.default_rng([seed, settings.masks])
        kept = rng.random((settings.masks, *(n + BESIDES for n in grid))) < settings.kept
        shifts = np.stack([rng.integers(0, one, settings.masks) for one in cell], axis=1)
        matrices = [_linear(size, n + BESIDES, one) for size, n, one in zip(spatial, grid, cell, strict=True)]
        return cls(spatial, kept.astype(np.float32), shifts, tuple(matrices))

    def masks(self, part: slice) -> Floats:
        """Return some of the masks (m, *spatial), in 0 to 1."""
        return self._along_axes(part, 0)

    def weighted(self, weights: Floats) -> Floats:
        """Return Σ_k w_k M_k (n, *spatial) of weights (n, masks).

        Masks that are moved alike along the first axis are added up as cells of it: no mask is made again.
        """
        matrix, size = self.matrices[0], self.spatial[0]
        most = len(matrix) - size
        cells = np.zeros((most, len(weights), matrix.shape[1], *self.spatial[1:]))
        for first in range(0, len(self.kept), AT_ONCE):
            part = slice(first, min(first + AT_ONCE, len(self.kept)))
            strips = self._along_axes(part, 1)
            for shift, strip, weight in zip(self.shifts[part, 0], strips, weights[:, part].T, strict=True):
                cells[shift] += np.multiply.outer(weight, strip)
        total = np.zeros((len(weights), *self.spatial))
        for shift in np.unique(self.shifts[:, 0]):
            total += np.moveaxis(np.tensordot(matrix[shift : shift + size], cells[shift], (1, 1)), 0, 1)
        return total

    def _along_axes(self, part: slice, begin: int) -> Floats:
        """Return the cells of some masks as pixels along the axes from `begin` on."""
        kept, sizes, matrices = self.kept[part], self.spatial[begin:], self.matrices[begin:]
        found = np.empty((*kept.shape[: 1 + begin], *sizes), np.float32)
        with one_thread():
            for one, cells, shifts in zip(found, kept, self.shifts[part, begin:], strict=True):
                windows = zip(matrices, shifts, sizes, strict=True)
                one[...] = along_axes(tuple(matrix[shift : shift + size] for matrix, shift, size in windows), cells)
        return found


def _linear(size: int, cells: int, cell: int) -> Floats:
    """Return the matrix (size + cell, cells) that interpolates between cells that are `cell` pixels apart."""
    places = np.arange(size + cell) / cell
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(cells)[None])).astype(np.float32)
