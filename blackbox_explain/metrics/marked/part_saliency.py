"""How salient parts of objects are, such as eyes and feet, where people marked them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.points import Point
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.maps import normalised
from blackbox_explain.metrics.marked.scenes import check_given, whose
from blackbox_explain.metrics.metric import Better
from blackbox_explain.setting_ranges import check_whole

__all__ = ["PartSaliency", "Parts"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

BEYOND = 1.5
"""How far from the middle of its photo a point may be, in sizes of the photo: an ear may be beyond the edge."""

Parts = Mapping[str, Sequence[Point]]
"""Points of one photo by the part that they are of: ``{"eyes": [(310, 120), (352, 118)], "feet": [(200, 400)]}``."""


@dataclass(frozen=True)
class PartSaliency:
    """Measure how salient a part is: the mean of the map in windows around the points where it is.

    As in section 5.4 of the paper.  The map is scaled to reach from 0 to 1; a window is of `window` × `window` pixels
    of the map, around the pixel that the point is in, and cut at the edges of the image.  To test whether one part
    matters more than another, measure both,
    ``{"eyes": PartSaliency(points, "eyes"), "feet": PartSaliency(points, "feet")}``, and compare the means; the paper
    gives the ratio of the two for its masks, which are low where an image is deleted.  A value alone does not say that
    an explanation is good: "higher" says only which part matters more.  The model is not asked.

    Attributes
    ----------
    points
        Of each photo, by the name of its file (see `data.points.read_points`), in its pixels; or for each row of what
        `evaluate` is given, in pixels of the images.
    part
        Which of them.
    window
        An odd number of pixels; the paper's is 5.
    """

    points: Mapping[str, Parts] | Sequence[Parts] = field(default_factory=dict[str, Parts], repr=False)
    part: str = "eyes"
    window: int = 5

    name: ClassVar[str] = "part-saliency"
    needs: ClassVar[type[Any]] = BlackBox
    also_needs: ClassVar[str] = "points"
    better: ClassVar[Better] = "higher"
    range: ClassVar[tuple[float, float]] = (0, 1)

    def __post_init__(self) -> None:
        check_given(self, "points", self.points)
        check_whole(self, "window")
        if self.window % 2 == 0:
            raise InputError(
                "A window has a middle", got=f"window={self.window!r}", expected="an odd number, such as 5"
            )
        every = list(self.points.values() if isinstance(self.points, Mapping) else self.points)
        if not any(self.part in parts for parts in every):
            known = sorted({name for parts in every for name in parts})
            raise InputError("No photo has this part", got=f"part={self.part!r}", expected=", ".join(known))

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the means (n,); NaN where the photo has no such part, or the model does not see it.

        Raises
        ------
        NotMeasurableError, InputError
            If points and images do not fit each other.
        """
        maps = normalised(explanation.saliency)
        values = np.full(len(explanation), np.nan)
        for row, (frame, name, parts) in enumerate(whose(self.points, "points", oracle, explanation)):
            marked = [point for point in (parts or {}).get(self.part, ()) if np.isfinite(point).all()]
            for x, y in marked:
                if not (-BEYOND <= x / frame.size[0] - 0.5 <= BEYOND and -BEYOND <= y / frame.size[1] - 0.5 <= BEYOND):
                    size = "{} × {}".format(*frame.size)
                    got, expected = f"{x:g}, {y:g}", f"pixels of the photo, which has {size}"
                    raise InputError(f"A point of {name} is far outside of its photo", got=got, expected=expected)
            windows = [self._mean(maps[row], *frame.in_image(*point)) for point in marked]
            seen = [one for one in windows if one is not None]
            if seen:
                values[row] = np.mean(seen)
        return values

    def _mean(self, saliency: Floats, x: float, y: float) -> float | None:
        """Return the mean in the window around a place; None outside of the image."""
        height, width = saliency.shape
        if not (0 <= x < width and 0 <= y < height):
            return None
        half = self.window // 2
        down, across = (slice(max(0, math.floor(one) - half), math.floor(one) + half + 1) for one in (y, x))
        return float(saliency[down, across].mean())
