"""RISE: the mean of random masks, weighted by the scores that they leave (Petsiuk, Das & Saenko 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, along_axes
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["Rise", "masks_of"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

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
        spatial = oracle.box.spec.spatial
        made = masks_of(self, spatial, seed)
        scores = self.masked_scores(oracle, images, weights, seed)
        found = scores.of_shared(made, self.masks).astype(np.float64)
        # What the mean score would have given a pixel that was kept as often: no other than all pixels.
        above = (found - found.mean(axis=1, keepdims=True)).astype(np.float32)
        saliency = np.zeros((len(found), math.prod(spatial)))
        for first in range(0, self.masks, AT_ONCE):
            part = slice(first, min(first + AT_ONCE, self.masks))
            saliency += above[:, part] @ made(part).reshape(part.stop - part.start, -1)
        return self.found((saliency / (self.masks * self.kept)).reshape(-1, *spatial), images)


def masks_of(settings: Rise, spatial: tuple[int, ...], seed: int) -> Callable[[slice], Floats]:
    """Return a function that makes some of the masks (m, *spatial), each from the seed and its number."""
    grid = tuple(min(settings.cells, size) for size in spatial)
    cell = tuple(-(-size // n) for size, n in zip(spatial, grid, strict=True))
    rng = np.random.default_rng([seed, settings.masks])
    kept = rng.random((settings.masks, *(n + BESIDES for n in grid))) < settings.kept
    shifts = np.stack([rng.integers(0, one, settings.masks) for one in cell], axis=1)
    matrices = [_linear(size, n + BESIDES, one) for size, n, one in zip(spatial, grid, cell, strict=True)]

    def made(part: slice) -> Floats:
        masks = np.empty((part.stop - part.start, *spatial), np.float32)
        for mask, cells, shift in zip(masks, kept[part], shifts[part], strict=True):
            windows = zip(matrices, shift, spatial, strict=True)
            own = tuple(matrix[offset : offset + size] for matrix, offset, size in windows)
            mask[...] = along_axes(own, cells[None].astype(np.float32))[0]
        return masks

    return made


def _linear(size: int, cells: int, cell: int) -> Floats:
    """Return the matrix (size + cell, cells) that interpolates between cells that are `cell` pixels apart."""
    places = np.arange(size + cell) / cell
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(cells)[None])).astype(np.float32)
