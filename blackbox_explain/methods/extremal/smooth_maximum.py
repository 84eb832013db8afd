"""Masks that are smooth by construction: each pixel is the smooth maximum of the cells around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
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
        squares = (
            sum(np.square(axis) for axis in np.meshgrid(*(inside - step for step in offset), indexing="ij"))
            for offset in self._offsets
        )
        # The places of a cell come first, so that images and cells are one run of numbers.
        self._kernels = [np.exp(-0.5 * one / sigma**2)[(..., *(None,) * (1 + len(cells)))] for one in squares]

    def up(self, grid: Floats) -> Floats:
        """Return the masks (N, *spatial) of grids (N, *cells), in the same type."""
        return self.with_adjoint(grid)[0]

    def with_adjoint(self, grid: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return the masks (N, *spatial) of grids (N, *cells), and what takes a gradient by masks to one by grids.

        d smax / d a = e^(a/T) / Σ e^(a/T) · (1 + (a − smax) / T).  The powers are those of the masks: they are most of
        what either takes.
        """
        cold = 1 / self._temperature
        kernels = [(cold * kernel).astype(grid.dtype) for kernel in self._kernels]
        around = self._padded(grid)
        shape = (*(FINER,) * len(self._cells), *grid.shape)
        powers = np.empty((len(kernels), *shape), grid.dtype)
        top, total, scratch = np.zeros(shape, grid.dtype), np.zeros(shape, grid.dtype), np.empty(shape, grid.dtype)
        for power, offset, kernel in zip(powers, self._offsets, kernels, strict=True):
            np.multiply(kernel, self._window(around, offset), out=scratch)
            np.exp(scratch, out=power)
            np.add(total, power, out=total)
            np.add(top, np.multiply(scratch, power, out=scratch), out=top)
        coldest = top / total  # smax / T
        matrices = tuple(one.astype(grid.dtype) for one in self._matrices)

        def down(gradient: Floats) -> Floats:
            by_places = self._by_cells(along_axes(matrices, gradient.astype(grid.dtype, copy=False), transpose=True))
            share = by_places / total
            rest = share * (1 - coldest)
            padded = self._padded(np.zeros_like(grid))
            for power, offset, kernel in zip(powers, self._offsets, kernels, strict=True):
                np.multiply(kernel, self._window(around, offset), out=scratch)
                np.multiply(scratch, share, out=scratch)
                np.add(scratch, rest, out=scratch)
                np.multiply(scratch, power, out=scratch)
                np.multiply(scratch, kernel, out=scratch)
                self._window(padded, offset)[...] += scratch.reshape(-1, *grid.shape).sum(axis=0)
            return self._window(padded, (0,) * len(self._cells)) / cold

        return along_axes(matrices, self._finer(coldest / cold)), down

    def _padded(self, grid: Floats) -> Floats:
        """Surround grids by cells that keep nothing."""
        around = [(0, 0), *((self._reach, self._reach),) * len(self._cells)]
        return np.pad(grid, around, constant_values=0.0)

    def _window(self, padded: Floats, offset: tuple[int, ...]) -> Floats:
        places = zip(offset, self._cells, strict=True)
        return padded[(slice(None), *(slice(self._reach + step, self._reach + step + n) for step, n in places))]

    def _finer(self, by_cells: Floats) -> Floats:
        """Lay out what is told by places in cells (*(FINER,) * d, N, *cells) as a finer grid."""
        d = len(self._cells)
        order = [d, *(axis for k in range(d) for axis in (d + 1 + k, k))]
        return by_cells.transpose(order).reshape(by_cells.shape[d], *(FINER * n for n in self._cells))

    def _by_cells(self, finer: Floats) -> Floats:
        d = len(self._cells)
        split = finer.reshape(len(finer), *(size for n in self._cells for size in (n, FINER)))
        order = [*(2 + 2 * k for k in range(d)), 0, *(1 + 2 * k for k in range(d))]
        return np.ascontiguousarray(split.transpose(order))
