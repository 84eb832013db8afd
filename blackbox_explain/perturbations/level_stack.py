"""Perturbation as interpolation through a stack of levels, and its derivative.

Level 0 is the fully perturbed image, the last level is the image itself; a mask value m lies at position
m · (L − 1) of the stack.  Between two levels the image is their linear mix, so the derivative is their difference.
One piece of code serves constants, noise, blur and whatever other stack a perturbation supplies.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, on_host, to_numpy

__all__ = ["LevelStack"]


class LevelStack:
    """Images interpolated through their levels at a mask, on a canvas that jitter moves over.

    Parameters
    ----------
    levels
        (L, N, C, *canvas) levels of N images, from fully perturbed to untouched; L at least 2.
    spatial
        Size of the images: the window that is cut out of the canvas, at most its size.
    """

    def __init__(self, levels: Array, spatial: tuple[int, ...]) -> None:
        self._levels = levels
        self._spatial = spatial
        self._canvas: tuple[int, ...] = tuple(levels.shape[3:])
        self._steps = levels.shape[0] - 1
        self._asked: np.ndarray[Any, Any] = np.empty(0)

    def __len__(self) -> int:
        """Return the number of images, N."""
        return self._levels.shape[1]

    def take(self, rows: Array) -> LevelStack:
        """Return the stack of some of its images."""
        return LevelStack(self._levels[:, rows, ...], self._spatial)

    def mixed(self, mask: Array, offset: tuple[int, ...] | None = None, *, reuse: bool = False) -> tuple[Array, Array]:
        """Return Φ(x0; M) (eq. 3 and 4) and its derivative by the mask.

        Parameters
        ----------
        mask
            (N, *spatial) values in [0, 1]; 1 leaves a pixel untouched.  A stack of one image takes any number of masks.
        offset
            Where the window lies on the canvas; None is the origin.
        reuse
            The arrays returned are good until the next such call only, if that saves time: in a loop fresh memory
            costs as much as filling it.

        Returns
        -------
        images, slope
            Two arrays (N, C, *spatial): the perturbed images, and d images / d mask, which is the same function of
            each pixel's own mask value in every channel.  At a level itself the slope is that of the level above.  Of
            two levels of one image the slope is the same for every mask, and (1, C, *spatial).
        """
        offset = offset or (0,) * len(self._spatial)
        if self._steps > 1:
            return self._mixed_by_image(mask, offset, reuse) if on_host(mask) else self._mixed_by_table(mask, offset)
        window = self._window(offset)
        slope = self._differences[window]
        return self._levels[0][window] + mask[:, None, ...] * slope, slope

    def images(
        self, mask: Array, rows: np.ndarray[Any, np.dtype[np.int64]], offset: tuple[int, ...] | None = None
    ) -> Array:
        """Return Φ(x0; M) for several masks of each image.

        Parameters
        ----------
        mask
            (Q, *spatial).
        rows
            (Q,) which image each mask is for, masks of one image side by side.
        offset
            As in `mixed`.

        Returns
        -------
        Array
            (Q, C, *spatial); on the host it is good until the next such call, as with `reuse` in `mixed`.
        """
        offset = offset or (0,) * len(self._spatial)
        if on_host(mask):
            return namespace(mask).asarray(self._images_by_query(to_numpy(mask), rows, offset))
        edges = [0, *(np.flatnonzero(np.diff(rows)) + 1), len(rows)]
        pieces: list[Array] = []
        for first, last in itertools.pairwise(edges):
            row = slice(int(rows[first]), int(rows[first]) + 1)
            one = LevelStack(self._levels[:, row, ...], self._spatial)
            pieces.append(one.mixed(mask[first:last, ...], offset)[0])
        return pieces[0] if len(pieces) == 1 else namespace(mask).concat(pieces, axis=0)

    def _images_by_query(
        self, masks: np.ndarray[Any, Any], rows: np.ndarray[Any, np.dtype[np.int64]], offset: tuple[int, ...]
    ) -> np.ndarray[Any, Any]:
        """Mix on the host, an image at a time, into memory that stays."""
        # No more than twice what is needed: where memory ran out, fewer images are asked about from then on.
        if not len(masks) <= len(self._asked) < 2 * len(masks):
            dtype = to_numpy(self._levels[:1, :1, ...]).dtype
            self._asked = np.empty((len(masks), self._levels.shape[2], *self._spatial), dtype)
        images = self._asked[: len(masks)]
        if self._steps > 1:
            first, slope = self._places(offset), np.empty(images.shape[1:], images.dtype)
            for image, values, row in zip(images, masks, rows, strict=True):
                self._mix(values, int(row), first, image, slope)
            return images
        window = self._window(offset)
        below, difference = to_numpy(self._levels[0])[window], to_numpy(self._differences)[window]
        for image, values, row in zip(images, masks, rows, strict=True):
            np.multiply(difference[row], values, out=image)
            image += below[row]
        return images

    def _window(self, offset: tuple[int, ...]) -> tuple[slice, ...]:
        return (
            slice(None),
            slice(None),
            *(slice(o, o + size) for o, size in zip(offset, self._spatial, strict=True)),
        )

    @functools.cached_property
    def _flat(self) -> np.ndarray[Any, Any]:
        return np.ascontiguousarray(to_numpy(self._levels)).reshape(-1)

    @functools.cached_property
    def _room(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return self._new_room(len(self))

    def _new_room(self, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        shape = (count, self._levels.shape[2], *self._spatial)
        return np.empty(shape, self._flat.dtype), np.empty(shape, self._flat.dtype)

    def _mixed_by_image(self, mask: Array, offset: tuple[int, ...], reuse: bool) -> tuple[Array, Array]:
        """Mix on the host, an image and a channel at a time, so that what is read and written stays in the cache."""
        masks = to_numpy(mask)
        images, slopes = self._room if reuse else self._new_room(len(masks))
        first = self._places(offset)
        for row, (image, slope, values) in enumerate(zip(images, slopes, masks, strict=True)):
            self._mix(values, row if len(self) > 1 else 0, first, image, slope)
        xp = namespace(mask)
        return xp.asarray(images), xp.asarray(slopes)

    def _places(self, offset: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return where on its canvas each pixel of a window is."""
        grid = np.meshgrid(*(np.arange(o, o + n) for o, n in zip(offset, self._spatial, strict=True)), indexing="ij")
        return np.ravel_multi_index(grid, self._canvas)

    def _mix(
        self,
        values: np.ndarray[Any, Any],
        row: int,
        first: np.ndarray[Any, np.dtype[np.int64]],
        image: np.ndarray[Any, Any],
        slope: np.ndarray[Any, Any],
    ) -> None:
        """Write one image and its slope, a channel at a time."""
        channels, plane = len(image), math.prod(self._canvas)
        level = len(self) * channels * plane
        position = values * self._steps
        step = np.minimum(position.astype(np.int32), self._steps - 1)
        fraction = (position - step.astype(position.dtype)).astype(image.dtype, copy=False)
        below = np.multiply(step, level, dtype=np.int64)
        below += first
        for channel in range(channels):
            # Neighbours mostly lie between the same two levels, each of which is read in its own order.  No place is
            # outside; "clip" is the mode that does not look twice.
            start = (row * channels + channel) * plane
            low = self._flat[start:].take(below, mode="clip")
            self._flat[start + level :].take(below, mode="clip", out=slope[channel])
            slope[channel] -= low
            np.multiply(slope[channel], fraction, out=image[channel])
            image[channel] += low
            slope[channel] *= self._steps

    @functools.cached_property
    def _differences(self) -> Array:
        return self._levels[1] - self._levels[0]

    @functools.cached_property
    def _table(self) -> Array:
        """One row per pixel and step, [level, slope], so that one gather fetches both."""
        xp = namespace(self._levels)
        below = self._levels[:-1, ...]
        parts = [xp.moveaxis(part, (0, 2), (-2, -1)) for part in (below, self._steps * (self._levels[1:, ...] - below))]
        return xp.reshape(xp.concat(parts, axis=-1), (-1, 2 * self._levels.shape[2]))

    def _mixed_by_table(self, mask: Array, offset: tuple[int, ...]) -> tuple[Array, Array]:
        """Mix in a few operations on everything, which is what devices and torch's threads like."""
        xp = namespace(mask)
        position = mask * self._steps
        step = xp.clip(xp.floor(position), 0, self._steps - 1)
        fraction = xp.reshape((position - step) / self._steps, (-1, 1))
        places = self._rows if len(self) > 1 else xp.tile(self._rows, (mask.shape[0],))
        rows = places + self._first_row(offset) + xp.astype(xp.reshape(step, (-1,)), xp.int64)
        found = xp.take(self._table, rows, axis=0)
        channels = self._levels.shape[2]
        base, slope = found[:, :channels], found[:, channels:]
        shape = (*mask.shape, channels)
        images = xp.reshape(base + fraction * slope, shape)
        return xp.moveaxis(images, -1, 1), xp.moveaxis(xp.reshape(slope, shape), -1, 1)

    def _first_row(self, offset: tuple[int, ...]) -> int:
        """Return the table's row of the first pixel of a window."""
        return int(np.ravel_multi_index(offset, self._canvas)) * self._steps

    @functools.cached_property
    def _rows(self) -> Array:
        """The table's row of each pixel's lowest step, in the window at the origin."""
        axes = [np.arange(len(self)), *(np.arange(size) for size in self._spatial)]
        grid = np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), (len(self), *self._canvas))
        return constant_like(np.ravel(grid) * self._steps, self._levels, integer=True)
