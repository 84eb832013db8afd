"""The result of `compare`: how two models differ on the same images, and whether that is tolerated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.explanation import Explanation, Floats
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.explanation.provenance import Provenance
from blackbox_explain.explanation.summary import cut_front, name_of, start
from blackbox_explain.explanation.suppression import has_reach

__all__ = ["NAMES", "Comparison", "Tolerances", "reached"]

NAMES = ("first", "second")

OF_A_MODEL = ("model_fingerprint", "gradients", "assumptions", "notes", "doubts")
"""Parts of a provenance that are the model's own, whether or not those of two models are equal."""


@dataclass(frozen=True)
class Tolerances:
    """What two exports of one model may differ by.

    Attributes
    ----------
    score
        Largest difference of any class score of any image, at least 0.
    top
        Least share of the images whose top class is the same, in [0, 1].
    correlation
        Least mean correlation of the importance, in [-1, 1]; rounding alone takes some of it.
    iou
        Least mean intersection over union of the regions, at equal area, in [0, 1].

    Raises
    ------
    InputError
        If one is out of its range.
    """

    score: float = 0.01
    top: float = 1.0
    correlation: float = 0.95
    iou: float = 0.7

    def __post_init__(self) -> None:
        ranges = {"score": (0, math.inf), "top": (0, 1), "correlation": (-1, 1), "iou": (0, 1)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                got, expected = f"{name}={getattr(self, name)}", f"a number from {low} to {high}"
                raise InputError("The tolerance is out of range", got=got, expected=expected)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two models on the same images, both explained for the top class of the first.

    Attributes
    ----------
    first, second
        Explanations by either model.
    outcome
        (N, 2) outcomes of either model's mask.  Also ``"failed"`` where a model answered the image and was explained,
        but failed on the image without the other's region.
    score_difference
        (N,) largest difference of any class score.  NaN here and below where a row failed in either model.
    top
        (N, 2) top class by either model; -1 where a row failed.
    correlation
        (N,) Pearson correlation of how important pixels are; where one is constant 0, where both are and agree 1.
    iou
        (N,) intersection over union of the most salient pixels, as many of either as the first's region has.
    effect
        (N, 2, 2): entry (i, j) is how much of what perturbing takes away from model j is gone without the region of
        mask i (deletion), or kept by nothing but it (preservation).  NaN where perturbing hardly lowers the score.
    notes
        What was found amiss between the models, such as classes of different names.
    """

    first: MaskExplanation
    second: MaskExplanation
    outcome: tuple[tuple[Outcome, Outcome], ...]
    score_difference: Floats
    top: np.ndarray[Any, np.dtype[np.int64]]
    correlation: Floats
    iou: Floats
    effect: Floats
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.outcome)

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()

    def summary(self, tolerances: Tolerances | None = None) -> str:
        """Return a table: a line for each image, and for each tolerance whether it was kept.

        Parameters
        ----------
        tolerances
            None are those of `Tolerances`.
        """
        lines = [f"{'image':<20}{'first says':<18}{'second says':<18}{'score off':>10}{'corr.':>7}{'IoU':>6}"]
        for row in range(len(self)):
            name = cut_front(name_of(self.first, row), 19)
            if error := self.error(row):
                lines.append(f"{name:<20}{error}")
                continue
            said = [one.predictions[row].before[0][0] if one.predictions else "" for one in (self.first, self.second)]
            leading = "".join(f"{start(one, 17):<18}" for one in said)
            figures = f"{self.score_difference[row]:10.4f}{self.correlation[row]:7.2f}{self.iou[row]:6.2f}"
            lines.append(f"{name:<20}{leading}{figures}")
        if self.compared.any():
            found = self.verdicts(tolerances or Tolerances())
            for name, (value, allowed, kept) in found.items():
                limit = "at most" if "difference" in name else "at least"
                lines.append(f"{'kept' if kept else 'BROKEN':<7}{name}: {value:.4g} ({limit} {allowed:g})")
        return "\n".join([*lines, *(f"note: {one}" for one in self.notes)])

    @property
    def compared(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(N,) whether a row failed in neither model."""
        return np.asarray([not self.error(row) for row in range(len(self.outcome))])

    @property
    def explained(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(N,) whether the score of either model depends on what is perturbed; masks of the others say nothing."""
        return reached(self.first) | reached(self.second)

    def error(self, row: int) -> str:
        """Say why a row could not be compared: which model failed, and how; "" if none did."""
        named = zip(NAMES, self.outcome[row], strict=True)
        failed = [f"{name} model: {outcome.message}" for name, outcome in named if outcome.failed]
        return " ".join(failed)

    def verdicts(self, tolerances: Tolerances) -> dict[str, tuple[float, float, bool]]:
        """Return for each tolerance what was found in the rows compared, what was allowed, and whether it was kept.

        Means of masks are over rows where there is something to explain; NaN of none, which keeps no tolerance.
        """
        rows = self.compared
        same = float(np.mean(self.top[rows, 0] == self.top[rows, 1]))
        worst = float(self.score_difference[rows].max())
        told = rows & self.explained
        correlation, iou = (
            float(np.mean(one[told])) if told.any() else math.nan for one in (self.correlation, self.iou)
        )
        return {
            "largest difference of a score": (worst, tolerances.score, worst <= tolerances.score),
            "same top class": (same, tolerances.top, same >= tolerances.top),
            "mean correlation of masks": (correlation, tolerances.correlation, correlation >= tolerances.correlation),
            "mean IoU at equal area": (iou, tolerances.iou, iou >= tolerances.iou),
        }

    def to_dict(self, tolerances: Tolerances) -> dict[str, Any]:
        """Return everything but the maps, for JSON; numbers that are not finite become None.

        Rows that failed have an "error" and None for figures.  "provenance" is what both results share,
        each of "models" has what is its own.
        """
        both = (self.first, self.second)
        rows: list[dict[str, Any]] = []
        for row, compared in enumerate(self.compared):
            figures = {
                "target": self.first.target[row],
                "score_difference": float(self.score_difference[row]),
                "top": self.top[row].tolist(),
                "scores": [float(one.score[row]) for one in both],
                "predictions": [one.predictions[row].to_dict()["before"] if one.predictions else [] for one in both],
                "correlation": float(self.correlation[row]),
                "iou": float(self.iou[row]),
                "effect": self.effect[row].tolist(),
            }
            if not compared:
                figures = dict.fromkeys(figures)
            rows.append(
                {"error": self.error(row) or None, "outcome": [str(one) for one in self.outcome[row]], **figures}
            )
        verdicts = {
            name: {"found": found, "allowed": allowed, "kept": bool(kept)}
            for name, (found, allowed, kept) in self.verdicts(tolerances).items()
        }
        models, shared = apart(*(one.provenance for one in both))
        whole = {"models": models, "provenance": shared, "notes": self.notes, "verdicts": verdicts, "rows": rows}
        return finite(whole)


def reached(explanation: Explanation) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (N,) whether the score depends on what is perturbed."""
    return has_reach(explanation.score, explanation.lowest)


def apart(first: Provenance, second: Provenance) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what is each one's own of two provenances, and what they share."""
    both = [first.to_dict(), second.to_dict()]
    shared = {name: value for name, value in both[0].items() if name not in OF_A_MODEL and both[1].get(name) == value}
    return [{name: value for name, value in one.items() if name not in shared} for one in both], shared
