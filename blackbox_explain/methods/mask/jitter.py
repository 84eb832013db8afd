"""Small random shifts of image and levels together, against masks that exploit artefacts (eq. 4).

How far they go is a setting, `jitter`: the presets' amounts are in ``settings.py``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from blackbox_explain.arrays import Array, along_axes, bilinear_matrix, constant_like, namespace

__all__ = ["JitterKind", "canvas", "offset_at", "width_for"]

JitterKind = Literal["shift", "crop"]


SIDES = 14
"""Jitter moves an image by less than this part of its shortest side."""


def width_for(width: int, spatial: tuple[int, ...]) -> int:
    """Return the width of the jitter for images of a size, given that for images of 224 pixels.

    It is at most a fourteenth of the shortest side, which is a cell of the mask of a small image: from 56 pixels on 4
    are 4, at 28 they are 2, and below that there is no jitter, which would move half of a small image out of sight.
    Sides of one pixel do not count.

    Parameters
    ----------
    width
        In pixels, as stated for 224.
    spatial
        Sizes of the image in pixels.
    """
    side = min((size for size in spatial if size > 1), default=1)
    return min(width, max(1, side // SIDES))


def offset_at(seed: int, step: int, width: int, axes: int) -> tuple[int, ...]:
    """Draw the place of the window on the canvas: uniform integers in [0, width), one for each axis.

    The draw depends on the seed and the step and on nothing else, and is shared by all rows: results do not depend
    on batch size, order or resumption.
    """
    return tuple(int(one) for one in np.random.default_rng([seed, step]).integers(0, max(width, 1), size=axes))


def canvas(levels: Array, kind: JitterKind, width: int) -> Array:
    """Extend levels (L, N, C, *spatial) to the canvas that windows of their size are cut from.

    Parameters
    ----------
    levels
        (L, N, C, *spatial).
    kind
        ``"shift"``: x0(· − τ), the border repeated (the paper).  ``"crop"``: the levels resized to `width` pixels more
        on each axis, of which a crop is taken (the authors' code: 228 for 224).
    width
        τ is an integer in [0, width) on each axis; below 2 there is no jitter.
    """
    if width < 2:
        return levels
    if kind == "crop":
        matrices = [constant_like(bilinear_matrix(n + width, n), levels) for n in levels.shape[3:]]
        return along_axes(tuple(matrices), levels)
    xp = namespace(levels)
    for axis in range(3, levels.ndim):
        first = levels[(slice(None),) * axis + (slice(0, 1),)]
        levels = xp.concat([*[first] * (width - 1), levels], axis=axis)
    return levels
