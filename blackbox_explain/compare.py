"""Same model, same explanation?  Two exports of what should be one model, compared by scores and by masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.blackbox import BlackBox, check_images
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.explain import BATCH, explain
from blackbox_explain.explanation import Explanation, Floats
from blackbox_explain.gradients import ask
from blackbox_explain.progress import Advance

__all__ = ["Comparison", "Tolerances", "compare", "equal_area_iou"]

CONSTANT = 1e-3
"""Maps that vary by less are constant."""

LEAST_AREA = 0.01
"""Regions that are compared hold at least this share of the image."""


@dataclass(frozen=True)
class Tolerances:
    """What two exports of one model may differ by.

    Attributes
    ----------
    score
        Largest difference of any class score of any image.
    top
        Least share of the images whose top class is the same.
    correlation
        Least mean correlation of the masks.
    iou
        Least mean intersection over union of the regions, at equal area.
    """

    score: float = 0.01
    top: float = 1.0
    correlation: float = 0.98
    iou: float = 0.8


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models on the same images, both explained for the top class of the first.

    Attributes
    ----------
    first, second
        Explanations by either model.
    score_difference
        (N,) largest difference of any class score.
    top
        (N, 2) top class by either model.
    correlation
        (N,) Pearson correlation of the saliency maps; where one is constant 0, where both are and agree 1.
    iou
        (N,) intersection over union of the most salient pixels, as many of either as the first's region has.
    effect
        (N, 2, 2): entry (i, j) is the suppression by mask i on model j, where 1 is that of the fully perturbed image.
    """

    first: Explanation
    second: Explanation
    score_difference: Floats
    top: np.ndarray[Any, np.dtype[np.int64]]
    correlation: Floats
    iou: Floats
    effect: Floats

    def verdicts(self, tolerances: Tolerances) -> dict[str, tuple[float, float, bool]]:
        """Return for each tolerance what was found, what was allowed, and whether it was kept."""
        same = float(np.mean(self.top[:, 0] == self.top[:, 1]))
        worst = float(self.score_difference.max())
        correlation, iou = (float(np.mean(one)) for one in (self.correlation, self.iou))
        return {
            "largest difference of a score": (worst, tolerances.score, worst <= tolerances.score),
            "same top class": (same, tolerances.top, same >= tolerances.top),
            "mean correlation of masks": (correlation, tolerances.correlation, correlation >= tolerances.correlation),
            "mean IoU at equal area": (iou, tolerances.iou, iou >= tolerances.iou),
        }

    def to_dict(self, tolerances: Tolerances) -> dict[str, Any]:
        """Return everything but the maps, for JSON."""
        rows = [
            {
                "target": self.first.target[row],
                "score_difference": float(self.score_difference[row]),
                "top": self.top[row].tolist(),
                "scores": [float(one.score_original[row]) for one in (self.first, self.second)],
                "correlation": None if np.isnan(self.correlation[row]) else float(self.correlation[row]),
                "iou": float(self.iou[row]),
                "effect": [[None if np.isnan(one) else float(one) for one in line] for line in self.effect[row]],
            }
            for row in range(len(self.first))
        ]
        verdicts = {
            name: {"found": None if np.isnan(found) else found, "allowed": allowed, "kept": bool(kept)}
            for name, (found, allowed, kept) in self.verdicts(tolerances).items()
        }
        gradients = [one.settings["gradients"] for one in (self.first, self.second)]
        return {"rows": rows, "verdicts": verdicts, "gradients": gradients, "settings": self.first.settings}


def compare(
    first: BlackBox,
    second: BlackBox,
    images: Array,
    *,
    batch_size: int = BATCH,
    progress: Callable[[str], Advance] | None = None,
    **options: Any,
) -> Comparison:
    """Compare two black boxes on the same images.

    Parameters
    ----------
    first, second
        Black boxes with inputs of the same shape and bounds and equally many classes.
    images
        (N, *shape) in pixel space.
    batch_size
        Images learned together.
    progress
        Called with "first" and "second"; returns what counts the steps of either.
    **options
        As in `explain`.

    Raises
    ------
    InputError, ModelError
        If the models read other shapes or bounds, or have other numbers of classes.
    """
    if (first.spec.shape, first.spec.bounds) != (second.spec.shape, second.spec.bounds):
        got, expected = (f"{box.spec.shape} in {box.spec.bounds}" for box in (second, first))
        raise InputError("The two models read different images", got=got, expected=expected)
    host = check_images(images, first.spec)
    scores = [_scores(box, host, batch_size) for box in (first, second)]
    if scores[0].shape != scores[1].shape:
        raise ModelError(
            "The two models have different classes",
            got=f"{scores[1].shape[1]} scores",
            expected=f"{scores[0].shape[1]}",
            hint="wrap a function that picks the classes that both have",
        )
    top = np.stack([one.argmax(axis=1) for one in scores], axis=1)
    targets = top[:, 0].tolist()
    results = [
        explain(box, host, targets, batch_size=batch_size, progress=progress(name) if progress else False, **options)
        for box, name in ((first, "first"), (second, "second"))
    ]
    a, b = results
    for one in results:
        failed = next((status for status in one.status if status.startswith("failed")), None)
        if failed:
            raise ModelError("An image could not be explained by both models", got=failed.removeprefix("failed: "))
    effect = np.stack([_effects(one, results, (first, second), batch_size) for one in results], axis=1)
    return Comparison(
        a,
        b,
        _largest_difference(*scores),
        top,
        np.asarray([_correlation(x, y) for x, y in zip(a.saliency, b.saliency, strict=True)]),
        np.asarray([equal_area_iou(x, y) for x, y in zip(a.saliency, b.saliency, strict=True)]),
        effect,
    )


def equal_area_iou(first: Floats, second: Floats) -> float:
    """Return the intersection over union of the most salient pixels of two maps.

    As many pixels are taken of either as the first has above 0.5, at least `LEAST_AREA` of all.
    """
    count = max(int((first > 0.5).sum()), math.ceil(LEAST_AREA * first.size))
    regions = [np.zeros(first.size, dtype=bool) for _ in range(2)]
    for region, values in zip(regions, (first, second), strict=True):
        region[np.argsort(-values.ravel(), kind="stable")[:count]] = True
    return float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum())


def _largest_difference(first: Floats, second: Floats) -> Floats:
    # Equal infinities differ by nothing.
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, np.abs(first - second)).max(axis=1)


def _correlation(first: Floats, second: Floats) -> float:
    constant = [np.ptp(one) < CONSTANT for one in (first, second)]
    if any(constant):
        return float(all(constant) and abs(first.mean() - second.mean()) < CONSTANT)
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _scores(box: BlackBox, images: Floats, batch_size: int) -> Floats:
    native = getattr(box, "native", np.asarray)
    rows = range(0, len(images), batch_size)
    return np.concatenate([to_numpy(ask(box, native(images[row : row + batch_size]))) for row in rows])


def _effects(
    masked: Explanation, results: list[Explanation], boxes: tuple[BlackBox, BlackBox], batch_size: int
) -> Floats:
    """Return the suppression by the masks of one explanation on both models: (N, 2)."""
    found: list[Floats] = []
    for result, box in zip(results, boxes, strict=True):
        weights = result.target_weights
        # What the target does not name may be infinite.
        scores = np.where(weights != 0, _scores(box, masked.masked_images, batch_size), 0)
        after = (scores * weights).sum(axis=1)
        reach = result.score_original - result.score_perturbed
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(reach == 0, np.nan, (result.score_original - after) / reach))
    return np.stack(found, axis=1)
