"""Occlusion: how far the score falls when a square is covered, at every place (Zeiler & Fergus 2014)."""

from __future__ import annotations

import itertools
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
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.setting_ranges import check_whole

__all__ = ["Occlusion"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

SHARE_OF_SIDE = 7
"""A square is a seventh of the shortest side: 32 pixels of 224."""

STEPS_OF_SQUARE = 4
"""It moves by a quarter of itself."""


@dataclass(frozen=True)
class Occlusion(Deleting):
    """Cover squares of the image, and average how far the score falls over those that cover a pixel.

    Zeiler & Fergus, *Visualizing and Understanding Convolutional Networks* (2014), slide a grey square over the image.

    Attributes
    ----------
    side
        Of the square, in pixels; None is a seventh of the shortest side of the image.
    stride
        How far it moves, in pixels, at most its side; None is a quarter of that.  The last square along an axis ends
        at the border.
    perturbation
        What covers; None is grey, the middle of the bounds.
    """

    side: int | None = None
    stride: int | None = None

    name: ClassVar[str] = "occlusion"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("side", "stride"):
            if getattr(self, name) is not None:
                check_whole(self, name)
        if self.side is not None and self.stride is not None:
            _check_stride(self.stride, self.side)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each place."""
        return Budget(1 + math.prod(map(len, self.places(info.spec.spatial))))

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the mean fall of the score over the squares that cover each pixel."""
        spatial = oracle.box.spec.spatial
        side, places = self._side(spatial), self.places(spatial)
        corners = list(itertools.product(*places))

        def kept(part: slice) -> Floats:
            masks = np.ones((part.stop - part.start, *spatial), np.float32)
            for mask, corner in zip(masks, corners[part], strict=True):
                mask[tuple(slice(first, first + side) for first in corner)] = 0
            return masks

        scores = self.masked_scores(oracle, images, weights, seed)
        fall = scores.original[:, None] - scores.of_shared(kept, len(corners))
        # (pixels, places) 1 where the square at a place covers a pixel, for each axis.
        covers = tuple(
            ((pixels := np.arange(size)[:, None]) >= np.asarray(starts)) & (pixels < np.asarray(starts) + side)
            for size, starts in zip(spatial, places, strict=True)
        )
        covering = tuple(one.astype(np.float64) for one in covers)
        grid = fall.reshape(len(fall), *map(len, places)).astype(np.float64)
        return self.found(along_axes(covering, grid) / along_axes(covering, np.ones_like(grid[:1])), images)

    def places(self, spatial: tuple[int, ...]) -> list[list[int]]:
        """Return where squares begin along each axis of images of a size.

        Raises
        ------
        InputError
            If one square covers such an image, so that all pixels would get one value, or squares leave gaps.
        """
        side = self._side(spatial)
        stride = self.stride if self.stride is not None else max(1, side // STEPS_OF_SQUARE)
        _check_stride(stride, side)
        found: list[list[int]] = []
        for size in spatial:
            last = max(size - side, 0)
            starts = list(range(0, last + 1, stride))
            found.append(starts if starts[-1] == last else [*starts, last])
        return found

    def _side(self, spatial: tuple[int, ...]) -> int:
        if self.side is None:
            return max(1, round(shortest_side(spatial) / SHARE_OF_SIDE))
        if self.side >= max(spatial):
            got = f"side={self.side} of {spatial} pixels"
            raise InputError("This square covers the whole image", got=got, expected="a smaller side")
        return self.side


def _check_stride(stride: int, side: int) -> None:
    if stride > side:
        got = f"stride={stride} of squares of {side} pixels"
        raise InputError("These squares leave gaps", got=got, expected="a stride of at most the side")
