"""How far methods agree on the same images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.maps import rank_correlation
from blackbox_explain.metrics.mean_interval import interval_of_mean

__all__ = ["Agreement", "Pair", "agreement"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Pair:
    """How far two methods agree.

    Attributes
    ----------
    first, second
        By name.
    correlation
        (N,) Spearman's correlation of the two maps of each image: 1 where they rank all pixels alike; NaN where one of
        the methods failed, or a map is the same everywhere.
    iou
        (N,) intersection over union of the two regions; NaN where one of the methods failed, or both are empty.
    correlation_interval, iou_interval
        95 % intervals of their means over images, as `interval_of_mean` has them.
    """

    first: str
    second: str
    correlation: Floats
    iou: Floats
    correlation_interval: tuple[float, float]
    iou_interval: tuple[float, float]

    @property
    def means(self) -> tuple[float, float]:
        """Mean correlation and mean IoU; NaN of none."""
        known = [one[np.isfinite(one)] for one in (self.correlation, self.iou)]
        correlation, iou = (float(one.mean()) if len(one) else np.nan for one in known)
        return correlation, iou


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """How far each two of some methods agree."""

    pairs: tuple[Pair, ...]

    def __getitem__(self, key: tuple[str, str]) -> Pair:
        """Return the pair of two methods, in either order."""
        for one in self.pairs:
            if set(key) == {one.first, one.second}:
                return one
        raise KeyError(key)

    def __repr__(self) -> str:
        """Return the table."""
        return self.summary()

    def summary(self) -> str:
        """Return a table: a line for each pair."""
        heads = ("methods", "correlation", "95 % interval", "IoU", "95 % interval", "images")
        lines = [heads, *(_line(one) for one in self.pairs)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        found = [
            {
                "first": one.first,
                "second": one.second,
                "correlation": one.means[0],
                "correlation_interval": list(one.correlation_interval),
                "iou": one.means[1],
                "iou_interval": list(one.iou_interval),
                "correlations": one.correlation.tolist(),
                "ious": one.iou.tolist(),
            }
            for one in self.pairs
        ]
        return finite({"pairs": found})


def agreement(explanations: Mapping[str, Explanation], *, seed: int = 0) -> Agreement:
    """Measure how far methods agree: Spearman's correlation of their maps, and the IoU of their regions.

    High agreement does not say that methods are right, nor low agreement that one is wrong: two may be right about
    different evidence.

    Parameters
    ----------
    explanations
        Of the same images for the same targets, by a name for each; at least two.
    seed
        Of the bootstrap.

    Returns
    -------
    Agreement
        A pair for each two, in the order given.

    Raises
    ------
    InputError
        If there are fewer than two, or they are of other images or targets.
    """
    if len(explanations) < 2:
        raise InputError("Agreement is between two methods", got=f"{len(explanations)}", expected="two at least")
    pairs = itertools.combinations(explanations.items(), 2)
    return Agreement(tuple(_pair(first, second, seed) for first, second in pairs))


def _pair(first: tuple[str, Explanation], second: tuple[str, Explanation], seed: int) -> Pair:
    (name, one), (other_name, other) = first, second
    rows = [row for row in one.good if row in set(other.good)] if len(one) == len(other) else []
    alike = one.images.shape == other.images.shape and np.array_equal(one.images[rows], other.images[rows])
    if not alike or one.weights.shape != other.weights.shape or (one.weights[rows] != other.weights[rows]).any():
        got = f"{name!r} of {one.images.shape}, {other_name!r} of {other.images.shape}"
        expected = "the same images in the same order, for the same targets"
        raise InputError("Explanations of other images or targets do not agree or disagree", got=got, expected=expected)
    correlation, iou = np.full((2, len(one)), np.nan)
    for row in rows:
        correlation[row] = rank_correlation(one.saliency[row], other.saliency[row])
        iou[row] = _iou(one.region[row], other.region[row])
    of = [hash(image.tobytes()) for image in one.images]
    return Pair(name, other_name, correlation, iou, _interval(correlation, of, seed), _interval(iou, of, seed))


def _interval(values: Floats, images: Sequence[int], seed: int) -> tuple[float, float]:
    known = np.isfinite(values)
    return interval_of_mean(values[known], seed, [images[row] for row in np.flatnonzero(known).tolist()])


def _iou(first: Booleans, second: Booleans) -> float:
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else np.nan


def _line(one: Pair) -> tuple[str, ...]:
    (correlation, iou), count = one.means, int(np.isfinite(one.iou).sum())

    def words(mean: float, interval: tuple[float, float]) -> tuple[str, str]:
        told = f"{interval[0]:.3f} to {interval[1]:.3f}" if np.isfinite(interval[0]) else "too few images"
        return (f"{mean:.3f}" if np.isfinite(mean) else "-"), told

    names = f"{one.first}, {one.second}"
    return (names, *words(correlation, one.correlation_interval), *words(iou, one.iou_interval), f"{count}")
