"""How fast a score falls as the most salient pixels go, and how fast it comes back as they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import ModelError
from blackbox_explain.explanation.curve import score_curve
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.suppression import has_reach, suppression
from blackbox_explain.metrics.metric import Better
from blackbox_explain.perturbations.levels import taken
from blackbox_explain.perturbations.named import perturbation_of
from blackbox_explain.perturbations.perturbation import Perturbation
from blackbox_explain.setting_ranges import check_whole

__all__ = ["Deletion", "Insertion"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class _CurveArea:
    """The area under a curve of the normalised score against the share of pixels.

    Attributes
    ----------
    perturbation
        What stands in for deleted pixels: a name of `named`, or a `Perturbation`.
    steps
        Points of the curve are this many equal steps apart, from nothing to everything.
    """

    perturbation: str | Perturbation = "blur"
    steps: int = 20

    needs: ClassVar[type[Any]] = BlackBox
    range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    keep: ClassVar[bool]

    def __post_init__(self) -> None:
        check_whole(self, "steps")
        perturbation_of(self.perturbation)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the areas (n,); NaN where perturbing the whole image hardly lowers the score.

        A score that rises, or hardly falls, has no share to take away.

        Raises
        ------
        ModelError
            If a score is not finite.
        """
        shares = np.linspace(0, 1, self.steps + 1)
        left = score_curve(
            oracle,
            explanation.images,
            explanation.saliency,
            explanation.weights,
            taken(perturbation_of(self.perturbation), oracle.rows, len(oracle.counts), oracle.box.spec),
            shares.tolist(),
            keep=self.keep,
            seed=explanation.provenance.seed,
        )
        if not np.isfinite(left).all():
            raise ModelError("Scores are not finite", got="NaN or infinity for an image with some pixels perturbed")
        whole, nothing = (left[:, -1:], left[:, :1]) if self.keep else (left[:, :1], left[:, -1:])
        share_left = 1 - suppression(whole, left, nothing)
        area = (share_left[:, 1:] + share_left[:, :-1]).mean(axis=1) / 2
        return np.where(has_reach(whole[:, 0], nothing[:, 0]), area, np.nan)


@dataclass(frozen=True)
class Deletion(_CurveArea):
    """The mean share of the score that is left while the most salient pixels are deleted, a step at a time.

    The score is normalised as in section 5.2 of the paper: 1 is that of the image, 0 that of the fully perturbed image;
    so it means the same for every target and model.  Petsiuk, Das & Saenko (*RISE*, 2018) take the score as it is.
    """

    name: ClassVar[str] = "deletion"
    better: ClassVar[Better] = "lower"
    keep: ClassVar[bool] = False


@dataclass(frozen=True)
class Insertion(_CurveArea):
    """The mean share of the score that is back while the most salient pixels return to the fully perturbed image.

    Normalised as `Deletion` is.
    """

    name: ClassVar[str] = "insertion"
    better: ClassVar[Better] = "higher"
    keep: ClassVar[bool] = True
