"""Masks that are smooth by construction: each pixel is the smooth maximum of the cells around it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from blackbox_explain.arrays import along_axes, bilinear_matrix

__all__ = ["SmoothMaximum"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

REACH = 2.0
"""Of the kernel, in standard deviations: beyond, it is below a seventh, which the maximum hardly feels."""

FINER = 2
"""Places along each axis that the maximum is taken at, for each cell; between them the mask is linear."""


class SmoothMaximum:
    """m(v) = smax_u k(v − u) m̄(u), smax a = Σ a e^(a/T) / Σ e^(a/T), of masks m̄ on a grid (section 3.2 there).

    Parameters
    ----------
    cells, spatial
        Sizes of the grid and of the image.
    sigma
        Standard deviation of the Gaussian kernel k in cells, whose top is 1.
    temperature
        T.
    """

    def __init__(
        self, cells: tuple[int, ...], spatial: tuple[int, ...], sigma: float, temperature: float = 1 / 20
    ) -> None:
        self._cells, self._temperature = cells, temperature
        self._reach = int(np.ceil(REACH * sigma))
        self._matrices = tuple(bilinear_matrix(size, FINER * n) for size, n in zip(spatial, cells, strict=True))
        # Where a place lies in its cell, and how far each cell around is from it.
        inside = (np.arange(FINER) + 0.5) / FINER - 0.5
        around = range(-self._reach, self._reach + 1)
        self._offsets = [
            offset for offset in itertools.product(around, repeat=len(cells)) if np.hypot.reduce(offset) <= self._reach
        ]
        self._kernels = [
            np.exp(
                -0.5
                * sum(np.square(axis) for axis in np.meshgrid(*(inside - step for step in offset), indexing="ij"))
                / sigma**2
            )
            for offset in self._offsets
        ]

    def up(self, grid: Floats) -> Floats:
        """Return the masks (N, *spatial) of grids (N, *cells)."""
        return along_axes(self._matrices, self._finer(self._at_places(grid)[0]))

    def down(self, grid: Floats, gradient: Floats) -> Floats:
        """Take a gradient (N, *spatial) by the masks of grids back to one (N, *cells) by these.

        d smax / d a = e^(a/T) / Σ e^(a/T) · (1 + (a − smax) / T).
        """
        by_places = self._by_cells(along_axes(self._matrices, gradient, transpose=True))
        maximum, total = self._at_places(grid)
        padded = self._padded(np.zeros_like(grid))
        around = self._padded(grid)
        for offset, kernel in zip(self._offsets, self._kernels, strict=True):
            a = kernel * self._window(around, offset)[(..., *self._new)]
            weight = np.exp(a / self._temperature) / total * (1 + (a - maximum) / self._temperature)
            part = (by_places * weight * kernel).sum(axis=tuple(range(-len(self._cells), 0)))
            self._window(padded, offset)[...] += part
        return self._window(padded, (0,) * len(self._cells))

    @property
    def _new(self) -> tuple[None, ...]:
        return (None,) * len(self._cells)

    def _at_places(self, grid: Floats) -> tuple[Floats, Floats]:
        """Return smax and Σ e^(a/T), (N, *cells, *(FINER,) * d)."""
        around = self._padded(grid)
        shape = (*grid.shape, *(FINER,) * len(self._cells))
        top, total = np.zeros(shape), np.zeros(shape)
        for offset, kernel in zip(self._offsets, self._kernels, strict=True):
            a = kernel * self._window(around, offset)[(..., *self._new)]
            power = np.exp(a / self._temperature)
            top += a * power
            total += power
        return top / total, total

    def _padded(self, grid: Floats) -> Floats:
        """Surround grids by cells that keep nothing."""
        around = [(0, 0), *((self._reach, self._reach),) * len(self._cells)]
        return np.pad(grid, around, constant_values=0.0)

    def _window(self, padded: Floats, offset: tuple[int, ...]) -> Floats:
        places = zip(offset, self._cells, strict=True)
        return padded[(slice(None), *(slice(self._reach + step, self._reach + step + n) for step, n in places))]

    def _finer(self, by_cells: Floats) -> Floats:
        d = len(self._cells)
        order = [0, *(axis for k in range(d) for axis in (1 + k, 1 + d + k))]
        return by_cells.transpose(order).reshape(len(by_cells), *(FINER * n for n in self._cells))

    def _by_cells(self, finer: Floats) -> Floats:
        d = len(self._cells)
        split = finer.reshape(len(finer), *(size for n in self._cells for size in (n, FINER)))
        return split.transpose([0, *(1 + 2 * k for k in range(d)), *(2 + 2 * k for k in range(d))])
