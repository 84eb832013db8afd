"""Whether the box of what is salient is that of the object: weakly supervised localisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.annotations import Box
from blackbox_explain.data.objects import Object
from blackbox_explain.errors import InputError, NotMeasurableError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.maps import normalised, tightest_box
from blackbox_explain.metrics.marked.scenes import Objects, Scene, by_scene, check_given
from blackbox_explain.metrics.metric import Better
from blackbox_explain.perturbations.deletion import ranks
from blackbox_explain.setting_ranges import check_number

__all__ = ["Localization", "Threshold"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

Threshold = Literal["value", "energy", "mean"]

OF_MASKS: dict[Threshold, float] = {"value": 0.1, "energy": 0.95, "mean": 0.5}
"""α that the paper found for its masks (table 1)."""

ALPHAS: dict[Threshold, tuple[float, ...]] = {
    "value": tuple(step / 20 for step in range(20)),
    "energy": tuple(step / 20 for step in range(20)),
    "mean": tuple(step / 2 for step in range(21)),
}
"""α that the paper tried (section 5.6)."""

ROUNDING = 1e-9
"""Of a sum, as a share of it."""


@dataclass(frozen=True)
class Localization:
    """Measure whether the tightest box around what is salient is that of an object of the class.

    As in section 5.6 of the paper: 1 where the intersection over union with such a box is at least `least_iou`, 0
    elsewhere; one minus the mean is the localisation error of table 1.  Salient are, of a map s:

    - ``"value"``: pixels where s, scaled to reach from 0 to 1, is at least α;
    - ``"energy"``: the fewest of the most salient pixels that hold a share α of the sum of s;
    - ``"mean"``: pixels where s is at least α times its mean.

    Negative saliency counts as 0 in the last two.  The model is not asked.  Which α is best depends on the method: find
    it by `tuned`, on images that are not measured afterwards.

    Attributes
    ----------
    objects, label
        As in `PointingGame`.
    threshold
        How pixels are told to be salient.
    alpha
        α; None is what the paper found for its masks: 0.1, 0.95 and 0.5.
    least_iou
        Above 0, at most 1.
    """

    objects: Objects = field(default_factory=dict[str, tuple[Object, ...]], repr=False)
    threshold: Threshold = "value"
    alpha: float | None = None
    least_iou: float = 0.5
    label: str | int | None = None

    name: ClassVar[str] = "localization"
    needs: ClassVar[type[Any]] = BlackBox
    also_needs: ClassVar[str] = "boxes"
    better: ClassVar[Better] = "higher"
    range: ClassVar[tuple[float, float]] = (0, 1)
    hits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_given(self, "objects", self.objects)
        if self.threshold not in get_args(Threshold):
            expected = " or ".join(map(repr, get_args(Threshold)))
            raise InputError("There is no such threshold", got=f"threshold={self.threshold!r}", expected=expected)
        if self.alpha is None:
            object.__setattr__(self, "alpha", OF_MASKS[self.threshold])
        check_number(self, "alpha", least=0, most=1e6 if self.threshold == "mean" else 1)
        check_number(self, "least_iou", above=0, most=1)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return 1 or 0 for each row (n,); NaN where the model sees no object of the class.

        Raises
        ------
        NotMeasurableError, InputError
            If objects and images do not fit each other.
        """

        def hit(row: int, scene: Scene) -> float:
            found = self.box(explanation.saliency[row])
            best = max(_iou(found, box) for box in scene.in_image()) if found else 0.0
            return float(best >= self.least_iou)

        return by_scene(self.objects, self.label, oracle, explanation, hit)

    def box(self, saliency: Floats) -> Box | None:
        """Return the tightest box around the salient pixels of a map (H, W); None where there are none."""
        region = self._salient(saliency)
        if not region.any():
            return None
        down, across = tightest_box(region)
        return float(across.start), float(down.start), float(across.stop), float(down.stop)

    def accuracies(
        self, box: BlackBox, explanation: Explanation, alphas: Sequence[float] | None = None
    ) -> dict[float, float]:
        """Return the mean over images for each α: those of section 5.6, if none are given.

        Raises
        ------
        InputError
            If an α is out of range.
        NotMeasurableError
            If no image has an object of the class.
        """
        good = np.asarray(explanation.good, dtype=np.int64)
        oracle, explained = Oracle.of(box, max(1, len(explanation))).take(good), explanation[good]
        found: dict[float, float] = {}
        for alpha in ALPHAS[self.threshold] if alphas is None else alphas:
            values = replace(self, alpha=alpha).measure(oracle, explained)
            if not np.isfinite(values).any():
                raise NotMeasurableError("No image has an object of the class that was explained", got=f"{len(good)}")
            found[float(alpha)] = float(np.nanmean(values))
        return found

    def tuned(self, box: BlackBox, explanation: Explanation, alphas: Sequence[float] | None = None) -> Localization:
        """Return this metric with the α that is best on explanations held out for that, the smallest of equal ones.

        Parameters
        ----------
        box
            The model; it is not asked.
        explanation
            Of images that are not measured afterwards; `objects` holds theirs too.
        alphas
            To choose from; None are those of section 5.6.

        Raises
        ------
        InputError, NotMeasurableError
            As `accuracies`.
        """
        found = self.accuracies(box, explanation, alphas)
        return replace(self, alpha=max(found, key=lambda alpha: (found[alpha], -alpha)))

    @property
    def _alpha(self) -> float:
        return OF_MASKS[self.threshold] if self.alpha is None else self.alpha

    def _salient(self, saliency: Floats) -> Booleans:
        if self.threshold == "value":
            return normalised(saliency[None])[0] >= self._alpha
        positive = np.maximum(saliency, 0).astype(np.float64)
        if self.threshold == "mean":
            return positive >= self._alpha * positive.mean()
        rank = ranks(positive)
        held = np.cumsum(np.sort(positive.ravel())[::-1])
        return rank <= int(np.searchsorted(held, self._alpha * held[-1] * (1 - ROUNDING)))


def _iou(first: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    across = min(first[2], other[2]) - max(first[0], other[0])
    down = min(first[3], other[3]) - max(first[1], other[1])
    common = max(across, 0.0) * max(down, 0.0)
    areas = ((one[2] - one[0]) * (one[3] - one[1]) for one in (first, other))
    return common / (sum(areas) - common)
