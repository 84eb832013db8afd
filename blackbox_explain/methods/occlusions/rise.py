"""RISE: the mean of random masks, weighted by the scores that they leave (Petsiuk, Das & Saenko 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, along_axes
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.errors import InputError
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget

__all__ = ["Rise"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

AT_ONCE = 64
"""Masks that are added up at a time."""


BESIDES = 2
"""Cells beyond those over the image, so that a grid that was moved by up to a cell still covers it."""


@dataclass(frozen=True)
class Rise(Deleting):
    """Average random masks, weighted by the scores that they leave.

    S(u) = 1 / (N p) · Σ_k f(x0 under M_k) M_k(u) over N masks.

    Petsiuk, Das & Saenko, *RISE: Randomized Input Sampling for Explanation of Black-box Models* (2018): a mask is a
    grid of cells that are kept with probability p, upsampled linearly and moved by up to a cell.

    Attributes
    ----------
    masks
        N; the paper takes 4,000 for VGG-16 and 8,000 for ResNet-50.
    cells
        Along each axis of the grid; 7 in the paper.
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
        whole = all(isinstance(one, int) and one >= 1 for one in (self.masks, self.cells))
        if not whole or not 0 < self.kept < 1:
            raise InputError(
                "No such masks can be drawn",
                got=f"masks={self.masks!r}, cells={self.cells!r}, kept={self.kept!r}",
                expected="at least one mask and one cell, and a share above 0 and below 1",
            )

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each mask."""
        del info
        return Budget(1 + self.masks)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the weighted mean of the masks, the same masks for every image."""
        spatial = oracle.box.spec.spatial
        drawn = _Masks(self, spatial, seed)
        scores = self.masked_scores(oracle, images, weights, seed)
        found = scores.of_shared(drawn.made, self.masks).astype(np.float64)
        saliency = np.zeros((len(found), math.prod(spatial)))
        for first in range(0, self.masks, AT_ONCE):
            part = slice(first, min(first + AT_ONCE, self.masks))
            saliency += found[:, part] @ drawn.made(part).reshape(part.stop - part.start, -1)
        return self.found(saliency.reshape(-1, *spatial) / (self.masks * self.kept), images)


class _Masks:
    """The masks of one run, each made from the seed and its number when it is asked for."""

    def __init__(self, settings: Rise, spatial: tuple[int, ...], seed: int) -> None:
        self._settings, self._spatial = settings, spatial
        self._grid = tuple(min(settings.cells, size) for size in spatial)
        self._cell = tuple(-(-size // n) for size, n in zip(spatial, self._grid, strict=True))
        rng = np.random.default_rng([seed, settings.masks])
        grids = rng.random((settings.masks, *(n + BESIDES for n in self._grid))) < settings.kept
        self._grids = grids.astype(np.float32)
        self._shifts = np.stack([rng.integers(0, cell, settings.masks) for cell in self._cell], axis=1)

    def made(self, part: slice) -> Floats:
        """Return some of the masks (m, *spatial)."""
        sizes = zip(self._spatial, self._grid, self._cell, strict=True)
        matrices = [_linear(size, n + BESIDES, cell) for size, n, cell in sizes]
        masks = np.empty((part.stop - part.start, *self._spatial), np.float32)
        for mask, grid, shift in zip(masks, self._grids[part], self._shifts[part], strict=True):
            windows = zip(matrices, shift, self._spatial, strict=True)
            own = tuple(matrix[offset : offset + size] for matrix, offset, size in windows)
            mask[...] = along_axes(own, grid[None])[0]
        return masks


def _linear(size: int, cells: int, cell: int) -> Floats:
    """Return the matrix (size + cell, cells) that interpolates between cells that are `cell` pixels apart."""
    places = np.arange(size + cell) / cell
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(cells)[None])).astype(np.float32)
