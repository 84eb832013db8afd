"""How far two saliency maps agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.perturbations.deletion import count_at

if TYPE_CHECKING:
    from blackbox_explain.explanation.explanation import Explanation

__all__ = ["correlation", "equal_area_iou", "likeness"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

CONSTANT = 1e-3
"""Maps that vary by less are constant."""

LEAST_AREA = 0.01
"""Regions that are compared hold at least this share of the image."""


def correlation(first: Floats, second: Floats) -> float:
    """Return the Pearson correlation of two maps; 0 where one is constant, 1 where both are and agree."""
    constant = [np.ptp(one) < CONSTANT for one in (first, second)]
    if any(constant):
        return float(all(constant) and abs(first.mean() - second.mean()) < CONSTANT)
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def equal_area_iou(first: Floats, second: Floats, share: float) -> float:
    """Return the intersection over union of the most salient pixels of two maps.

    Pixels that are equally salient where the region ends are in it in part, all alike: Σ min(a, b) / Σ max(a, b).

    Parameters
    ----------
    first, second
        (*spatial), high = important.
    share
        Of the pixels that are taken of either; at least `LEAST_AREA` is.
    """
    count = count_at(max(float(share), LEAST_AREA), first.size)
    one, other = _most_salient(first, count), _most_salient(second, count)
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def _most_salient(saliency: Floats, count: int) -> Floats:
    """Return how much of each pixel is among the `count` most salient: 1 or 0, and of equal ones a share of each."""
    least = np.partition(saliency, -count, axis=None)[-count]
    above, equal = saliency > least, saliency == least
    return above + equal * ((count - above.sum()) / equal.sum())


def likeness(first: Explanation, row: int, second: Explanation, place: int) -> tuple[float, float]:
    """Return `correlation` of the maps of two rows as pictures show them, and `equal_area_iou` of them as ranked.

    Pictures are white wherever a ranking is among its first, so that nothing is told of the order there.  As many
    pixels are taken as the region of the first row has.
    """
    shown = correlation(first.importance(row), second.importance(place))
    return shown, equal_area_iou(first.saliency[row], second.saliency[place], float(first.share[row]))
