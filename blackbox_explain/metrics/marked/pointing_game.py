"""Whether the most salient place lies on the object."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.annotations import Box
from blackbox_explain.data.objects import Object
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.maps import strongest_pixel
from blackbox_explain.metrics.marked.scenes import Objects, Scene, by_scene, check_given
from blackbox_explain.metrics.metric import Better
from blackbox_explain.setting_ranges import check_number

__all__ = ["PointingGame"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class PointingGame:
    """Measure how often the most salient pixel lies on an object of the class that was explained.

    The pointing game of section 5.6 of the paper: 1 where the centre of that pixel is at most `tolerance` pixels from a
    box of the class, 0 elsewhere; of equally salient pixels the one nearest to their middle counts.  The mean is hits /
    (hits + misses), the accuracy of Zhang et al., *Top-down neural attention by excitation backprop*, ECCV 2016, which
    the paper follows.
    The model is not asked.

    Attributes
    ----------
    objects
        Of each photo, by the name of its file (see `data.objects.read_objects`), in its pixels; or a sequence for each
        row of what `evaluate` is given, in pixels of the images.
    tolerance
        In pixels of the photo.
    difficult
        Whether only photos count where the boxes of the class cover less than a quarter of the photo, and at least one
        other class is present.
    label
        Objects of this label are what was explained; None are those of a class of the target, and those of which no
        class is told.
    """

    objects: Objects = field(default_factory=dict[str, tuple[Object, ...]], repr=False)
    tolerance: float = 15.0
    difficult: bool = False
    label: str | int | None = None

    name: ClassVar[str] = "pointing-game"
    needs: ClassVar[type[Any]] = BlackBox
    also_needs: ClassVar[str] = "boxes"
    better: ClassVar[Better] = "higher"
    range: ClassVar[tuple[float, float]] = (0, 1)
    hits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_given(self, "objects", self.objects)
        check_number(self, "tolerance", least=0, most=1e6)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return 1 or 0 for each row (n,); NaN where the photo has no object of the class, or is not difficult.

        Raises
        ------
        NotMeasurableError, InputError
            If objects and images do not fit each other.
        """

        def hit(row: int, scene: Scene) -> float:
            if self.difficult and not scene.difficult:
                return np.nan
            y, x = strongest_pixel(explanation.saliency[row])
            place = scene.frame.in_photo(float(x) + 0.5, float(y) + 0.5)
            return float(any(_distance(place, box) <= self.tolerance for box in scene.own))

        return by_scene(self.objects, self.label, oracle, explanation, hit)


def _distance(place: tuple[float, float], box: Box) -> float:
    """Return how far a place is from a box, 0 inside."""
    x, y = place
    return math.hypot(max(box[0] - x, 0.0, x - box[2]), max(box[1] - y, 0.0, y - box[3]))
