"""Masks that are smooth by construction: each cell is the smooth maximum of those around it, linear between them."""

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
        self._arrays: tuple[Floats, Floats] | None = None
        self._reach = int(np.ceil(REACH * sigma))
        self._matrices = tuple(bilinear_matrix(size, n) for size, n in zip(spatial, cells, strict=True))
        around = range(-self._reach, self._reach + 1)
        # Along an axis of one cell, of signals laid out as images, there is nothing beside it.
        axes = (around if size > 1 else (0,) for size in cells)
        offsets = [offset for offset in itertools.product(*axes) if np.hypot.reduce(offset) <= self._reach]
        self._windows = [self._window(offset) for offset in offsets]
        self._inside = self._window((0,) * len(cells))
        squares = np.square(np.asarray(offsets, float)).sum(axis=1)
        self._kernel = np.exp(-0.5 * squares / sigma**2).reshape(-1, *(1,) * (1 + len(cells)))

    def up(self, grid: Floats) -> Floats:
        """Return the masks (N, *spatial) of grids (N, *cells), in the same type."""
        return self.with_adjoint(grid)[0]

    def with_adjoint(self, grid: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return the masks (N, *spatial) of grids (N, *cells), and what takes a gradient by masks to one by grids.

        The latter can be called once: it gives its large arrays back, and they are used again.

        d smax / d a = e^(a/T) / Σ e^(a/T) · (1 + (a − smax) / T).  The powers are those of the masks: they are most of
        what either takes.
        """
        kernel = self._kernel.astype(grid.dtype)
        around = self._nothing(grid)
        around[self._inside] = grid
        values, powers = self._taken((len(kernel), *grid.shape), grid.dtype)
        np.stack([around[window] for window in self._windows], out=values)
        values *= kernel / self._temperature  # a / T
        np.exp(values, out=powers)
        total = powers.sum(axis=0)
        highest = np.einsum("o...,o...->...", values, powers) / total  # smax / T
        matrices = tuple(one.astype(grid.dtype) for one in self._matrices)

        held = [(values, powers)]

        def down(gradient: Floats) -> Floats:
            values, powers = held.pop()
            share = along_axes(matrices, gradient.astype(grid.dtype, copy=False), transpose=True) / total
            np.add(values, 1 - highest, out=values)
            by_values = np.multiply(values, powers, out=powers)
            by_values *= share
            by_values *= kernel
            padded = self._nothing(grid)
            for window, one in zip(self._windows, by_values, strict=True):
                part = padded[window]
                np.add(part, one, out=part)
            self._arrays = values, powers
            return padded[self._inside]

        return along_axes(matrices, highest * self._temperature), down

    def _taken(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Floats, Floats]:
        """Return two arrays that nobody else uses: fresh memory takes longer than what is written there."""
        given, self._arrays = self._arrays, None
        if given is not None and given[0].shape == shape and given[0].dtype == dtype:
            return given
        return np.empty(shape, dtype), np.empty(shape, dtype)

    def _nothing(self, grid: Floats) -> Floats:
        """Return cells that keep nothing, those of grids and around them."""
        return np.zeros((len(grid), *(n + 2 * self._reach for n in self._cells)), grid.dtype)

    def _window(self, offset: tuple[int, ...]) -> tuple[slice, ...]:
        """Return where in padded grids the cells lie that are so far from each cell."""
        places = zip(offset, self._cells, strict=True)
        return (slice(None), *(slice(self._reach + step, self._reach + step + n) for step, n in places))
