"""Greedy graying of segments: what can go without harm goes first (Zhou et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.methods.deleting import Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.occlusions.segments import check_packages, check_segments, kept_where, segments_of

__all__ = ["SegmentGraying"]


@dataclass(frozen=True)
class SegmentGraying(Deleting):
    """Gray the segments of the image one after the other, each time that which the score can best do without.

    Zhou et al., *Object Detectors Emerge in Deep Scene CNNs* (2015), stop when the class is no longer the first; here
    all segments go, so that each has its place.  Important segments go last.

    Attributes
    ----------
    segments
        At most; a row takes about half their square in runs of the model.
    perturbation
        What stands in for a segment; None is grey, the middle of the bounds.
    """

    segments: int = 50

    name: ClassVar[str] = "segment-graying"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_segments(self)

    @classmethod
    def check_box(cls, box: BlackBox) -> None:
        """Raise that a package is missing that images of this box need."""
        check_packages(cls.name, box.spec.spatial)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image, and one for each segment that is left at each step."""
        del info
        return Budget(1 + self.segments * (self.segments + 1) // 2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the share of the segments that had gone before each pixel's."""
        scores = self.masked_scores(oracle, images, weights, seed)
        labels = segments_of(scores.images, self.segments, oracle.box.spec.bounds)
        saliency = np.zeros(scores.images[:, 0].shape, np.float64)
        for row, own in enumerate(labels):
            parts = int(own.max()) + 1
            view = scores.of_row(row)
            left = list(range(parts))
            place = np.zeros(parts)
            while len(left) > 1:
                there = np.zeros((len(left), parts), bool)
                there[:, left] = True
                there[np.arange(len(left)), left] = False
                found = view.of_each(kept_where([own], [there]), len(left))[0]
                gone = left.pop(int(found.argmax()))
                place[gone] = (parts - 1 - len(left)) / (parts - 1)
            place[left] = 1.0
            saliency[row] = place[own]
        return self.found(saliency, images)
