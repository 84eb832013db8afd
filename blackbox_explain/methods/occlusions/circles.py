"""Occlusion by blurred circles of one size or several, the paper's own baselines (section 5.6, Table 2)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, along_axes, gaussian_matrix
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.errors import InputError
from blackbox_explain.methods.deleting import OF, Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.upsampling import at_pixels
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.setting_ranges import check_number, is_number

__all__ = ["CircleOcclusion", "VariableOcclusion"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


EDGES = 5.0
"""Standard deviations of the edge beyond a circle, where nothing of it is left: a millionth."""

LONGEST = 10_000.0
"""Of the lengths of a circle, in pixels of 224: more than any image has beside its shortest side."""

ALIKE = 1e-5
"""Falls that differ by no more than this share of the largest one are equal: in other batches rounding is another."""


def _scaled(value: float, spatial: tuple[int, ...]) -> float:
    """Return a length stated for 224 pixels in pixels of images of a size."""
    return value * shortest_side(spatial) / OF


def _centres(spatial: tuple[int, ...], spacing: float) -> list[Floats]:
    """Return where circles have their centres along each axis: in the middle of equal cells."""
    counts = [max(1, round(size / max(1.0, _scaled(spacing, spatial)))) for size in spatial]
    return [(np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(counts, spatial, strict=True)]


@dataclass(frozen=True)
class _Circles(Deleting):
    """Circles with a soft edge, on a grid of centres.

    Attributes
    ----------
    edge
        Standard deviation of the Gaussian that softens the circle, in pixels of 224.
    spacing
        Of the centres, in pixels of 224.
    """

    edge: float = 10.0
    spacing: float = 8.0

    usual: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "edge", least=0, most=LONGEST)
        check_number(self, "spacing", above=0, most=LONGEST)

    def falls(
        self, oracle: Oracle, images: Array, weights: Array, seed: int, radii: tuple[float, ...]
    ) -> tuple[Floats, list[Floats]]:
        """Return how far the score falls under each circle (n, len(radii), *centres), and the centres by axis."""
        spatial = oracle.box.spec.spatial
        centres = _centres(spatial, self.spacing)
        places = [tuple(round(at) for at in one) for one in _all(centres)]
        drawn = [self._drawn(spatial, _scaled(radius, spatial)) for radius in radii]

        def kept(part: slice) -> Floats:
            masks = np.ones((part.stop - part.start, *spatial), np.float32)
            for mask, number in zip(masks, range(part.start, part.stop), strict=True):
                which, at = divmod(number, len(places))
                _stamp(mask, drawn[which], places[at])
            return masks

        scores = self.masked_scores(oracle, images, weights, seed)
        fall = scores.original[:, None] - scores.of_shared(kept, len(drawn) * len(places))
        return fall.reshape(len(fall), len(drawn), *map(len, centres)).astype(np.float64), centres

    def _drawn(self, spatial: tuple[int, ...], radius: float) -> Floats:
        """Draw one circle in the middle of a canvas no larger than it, nor than an image with any centre needs."""
        sigma = _scaled(self.edge, spatial)
        halves = [min(size - 1, math.ceil(radius + EDGES * sigma)) for size in spatial]
        axes = [np.arange(-half, half + 1) for half in halves]
        distance = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
        blurs = tuple(gaussian_matrix(len(axis), len(axis), sigma) for axis in axes)
        return along_axes(blurs, (distance <= radius).astype(np.float64)).astype(np.float32)

    def _count(self, info: BoxInfo) -> int:
        return int(np.prod([len(one) for one in _centres(info.spec.spatial, self.spacing)]))


def _stamp(mask: Floats, drawn: Floats, place: tuple[int, ...]) -> None:
    """Take what is drawn, with its middle at a place, away from a mask of ones."""
    inside: list[slice] = []
    shown: list[slice] = []
    for at, size, whole in zip(place, mask.shape, drawn.shape, strict=True):
        first = at - whole // 2
        inside.append(slice(max(first, 0), min(first + whole, size)))
        shown.append(slice(max(-first, 0), min(size - first, whole)))
    mask[tuple(inside)] -= drawn[tuple(shown)]


def _all(centres: list[Floats]) -> list[tuple[float, ...]]:
    return list(itertools.product(*(one.tolist() for one in centres)))


@dataclass(frozen=True)
class CircleOcclusion(_Circles):
    """Blur circles of the image, and see how far the score falls.

    The occlusion of Table 2, note §, of the paper.

    Attributes
    ----------
    radius
        In pixels of 224: 17.5 in the paper.
    edge
        Standard deviation of the Gaussian that softens the circle, in pixels of 224: 10 in the paper.
    spacing
        Of the centres, in pixels of 224; between them the map is linear.
    perturbation
        What stands in for the circle; None is blur, of σ 10 at 224 pixels.
    """

    radius: float = 17.5

    name: ClassVar[str] = "circle-occlusion"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "radius", above=0, most=LONGEST)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each circle."""
        return Budget(1 + self._count(info))

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the fall of the score by centre."""
        fall, _ = self.falls(oracle, images, weights, seed, (self.radius,))
        return self.found(at_pixels(fall[:, 0], oracle.box.spec.spatial), images)


@dataclass(frozen=True)
class VariableOcclusion(_Circles):
    """Find the smallest of the blurred circles that lower the score most.

    The paper (Table 2, note †) takes circles of several sizes, and of the tenth that lowers the score most the
    smallest; its centre is the point that the object is said to be at.  Here every pixel gets a value, and that point
    the highest: a centre is ranked by the smallest of its circles in that tenth, and among equal ones by how far that
    lowers the score; all others come after them, by the most that a circle of theirs does.

    Attributes
    ----------
    radii
        In pixels of 224.  The paper does not tell its own.
    best
        Share of all circles that counts as lowering the score most: a tenth in the paper.
    edge, spacing, perturbation
        As in `CircleOcclusion`.
    """

    radii: tuple[float, ...] = (10.0, 17.5, 25.0, 35.0, 50.0)
    best: float = 0.1
    spacing: float = 16.0

    name: ClassVar[str] = "variable-occlusion"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.radii, list | tuple) or not self.radii or not all(map(_is_radius, self.radii)):
            expected = f"some numbers above 0 and at most {LONGEST:g}, such as (10.0, 35.0)"
            raise InputError("These are no radii of circles", got=f"radii={self.radii!r}"[:80], expected=expected)
        object.__setattr__(self, "radii", tuple(map(float, self.radii)))
        check_number(self, "best", above=0, most=1)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each circle."""
        return Budget(1 + len(self.radii) * self._count(info))

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the rank of each centre, 1 for the point of the paper."""
        radii = tuple(sorted(self.radii))
        fall, _ = self.falls(oracle, images, weights, seed, radii)
        flat = fall.reshape(len(fall), -1)
        order = np.stack([_order(one) for one in flat]).reshape(fall.shape)
        among = order < max(1, round(self.best * flat.shape[1]))
        # Ranks, so that circles compare whatever the unit of the score: a fall counts for less than one, a size for 1.
        placed = 1 - order / flat.shape[1]
        sizes = np.arange(len(radii), 0, -1).reshape(-1, *(1,) * (fall.ndim - 2))
        value = np.where(among, sizes + placed, placed).max(axis=1)
        return self.found(at_pixels(value / (len(radii) + 1), oracle.box.spec.spatial), images)


def _order(falls: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the place of each fall (m,) from the largest on; of equal ones the first comes first."""
    largest_first = np.argsort(-falls, kind="stable")
    steps = -np.diff(falls[largest_first], prepend=falls[largest_first[:1]])
    equal = np.empty(len(falls), np.int64)
    equal[largest_first] = np.cumsum(steps > ALIKE * np.abs(falls).max())
    places = np.empty(len(falls), np.int64)
    places[np.lexsort((np.arange(len(falls)), equal))] = np.arange(len(falls))
    return places


def _is_radius(value: Any) -> bool:
    return is_number(value) and 0 < float(value) <= LONGEST
