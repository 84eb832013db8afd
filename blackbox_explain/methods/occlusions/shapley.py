"""Shapley values of the segments of an image: what each adds to the score, on average over all orders."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.occlusions.segments import check_packages, check_segments, kept_where, segments_of
from blackbox_explain.setting_ranges import check_whole

__all__ = ["Shapley"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Shapley(Deleting):
    """Average what each segment adds to the score when it comes over the orders in which segments can come.

    Shapley, *A Value for n-Person Games* (1953); of few segments exactly, of more by random orders, each taken forwards
    and backwards (Castro, Gómez & Tejada 2009; Mitchell et al. 2022).  Their sum is the score of the image above that
    of the fully perturbed one.

    Attributes
    ----------
    segments
        At most.
    samples
        Runs of the model at most, beside the image; if there are no more sets of segments than that, all are asked.
    perturbation
        What stands in for a segment that is not there; None is blur.
    """

    segments: int = 50
    samples: int = 2000

    name: ClassVar[str] = "shapley"
    usual: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_segments(self)
        check_whole(self, "samples")
        least = 2 * (self.segments + 1)
        if self.samples < least:
            raise InputError(
                "These samples are not enough for one order of the segments, forwards and backwards",
                got=f"samples={self.samples!r} for segments={self.segments}",
                expected=f"at least {least}",
            )

    @classmethod
    def check_box(cls, box: BlackBox) -> None:
        """Raise that a package is missing that images of this box need."""
        check_packages(cls.name, box.spec.spatial)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and the samples."""
        del info
        return Budget(1 + self.samples)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return for each pixel the value of its segment."""
        scores = self.masked_scores(oracle, images, weights, seed)
        labels = segments_of(scores.images, self.segments, oracle.box.spec.bounds)
        saliency: list[Floats] = []
        for row, own in enumerate(labels):
            parts = int(own.max()) + 1
            view = scores.of_row(row)
            if 2**parts <= self.samples:
                there = np.array(list(itertools.product((False, True), repeat=parts)))
                values = _exactly(there, view.of_each(kept_where([own], [there]), len(there))[0])
            else:
                orders = self._orders(parts, seed)
                there = _prefixes(orders)
                found = view.of_each(kept_where([own], [there]), len(there))[0]
                values = _by_orders(orders, found)
            saliency.append(values[own])
        return self.found(np.stack(saliency), images)

    def _orders(self, parts: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Draw orders, each followed by its reverse: as many as the samples are enough for."""
        rng = np.random.default_rng([seed, parts])
        pairs = max(1, self.samples // (2 * (parts + 1)))
        drawn = [rng.permutation(parts) for _ in range(pairs)]
        return np.stack([one for order in drawn for one in (order, order[::-1])])


def _prefixes(orders: np.ndarray[Any, np.dtype[np.int64]]) -> Booleans:
    """Return which parts are there before the first, after the first, and so on: (orders · (parts + 1), parts)."""
    count, parts = orders.shape
    arrived = np.argsort(orders, axis=1)
    there = arrived[:, None, :] < np.arange(parts + 1)[None, :, None]
    return there.reshape(count * (parts + 1), parts)


def _by_orders(orders: np.ndarray[Any, np.dtype[np.int64]], found: Floats) -> Floats:
    count, parts = orders.shape
    added = np.diff(found.reshape(count, parts + 1), axis=1)
    values = np.zeros((count, parts))
    np.put_along_axis(values, orders, added, axis=1)
    return values.mean(axis=0)


def _exactly(there: Booleans, found: Floats) -> Floats:
    """Return Σ_S |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)) for each part i, given v of all sets."""
    parts = there.shape[1]
    sizes = there.sum(axis=1)
    values = np.empty(parts)
    for part in range(parts):
        without = ~there[:, part]
        chance = np.array([1 / (parts * math.comb(parts - 1, int(one))) for one in sizes[without]])
        # Sets are in the order of binary numbers, so that those with the part come in the same order.
        values[part] = (chance * (found[~without] - found[without])).sum()
    return values
