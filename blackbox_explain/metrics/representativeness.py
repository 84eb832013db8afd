"""Whether what is salient carries over: to simpler regions, and to other perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.maps import normalised, smoothed
from blackbox_explain.metrics.metric import Better
from blackbox_explain.metrics.suppressing import Suppressing
from blackbox_explain.perturbations.named import OF_PAPER, perturbation_of
from blackbox_explain.perturbations.perturbation import PAPER_SIZE, Perturbation
from blackbox_explain.setting_ranges import check_number

__all__ = ["ALPHAS", "Representativeness", "Transfer", "simplified"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

ALPHAS = np.arange(20) / 20
"""Thresholds of section 5.2."""

MOST_SIGMA = 1e4
"""Of the smoothing, in pixels: more than any image has."""

PAPER_SIGMA_MASK = 5.0
"""σm of eq. 4, in pixels of an image of `PAPER_SIZE`."""


def simplified(saliency: Floats, sigma: float) -> Floats:
    """Return maps as masks that keep, in [0, 1], of which section 5.2 deletes all pixels that are at most α.

    Parameters
    ----------
    saliency
        (n, H, W).
    sigma
        Of the smoothing, in pixels.
    """
    return 1 - normalised(smoothed(saliency, sigma))


@dataclass(frozen=True)
class Representativeness:
    """Measure the share of the score that is left when simplified regions of the map are deleted.

    As section 5.2 of the paper does it.  The map is smoothed by a Gaussian and scaled to reach from 0 to 1, so that 1 −
    map is a mask which keeps; for each α in [0 : 0.05 : 0.95] all pixels where that mask is at most α are deleted.  The
    value is the mean of p' = (f − f_b) / (f_0 − f_b) over all α and all perturbations, the mean height of the curves of
    figure 7: the lower, the faster simple regions at the right place suppress the score, whatever stands in for them.

    The paper does not say how far it smooths its masks; here it is σm of eq. 4, unless you say otherwise.  It does not
    scale its masks, which are in [0, 1] already; maps of other methods are not.

    Attributes
    ----------
    perturbations
        Names of `named`, or objects of `Perturbation`; the paper's are constant, noise and blur.
    sigma
        Of the smoothing, in pixels, 0 for none; None is 5 at 224 pixels, in proportion to the shortest side.
    """

    perturbations: Sequence[str | Perturbation] = OF_PAPER
    sigma: float | None = None

    name: ClassVar[str] = "representativeness"
    needs: ClassVar[type[Any]] = BlackBox
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        if isinstance(self.perturbations, str) or not len(self.perturbations):
            got, expected = f"perturbations={self.perturbations!r}", "one or several, such as ('constant', 'blur')"
            raise InputError("These are no perturbations", got=got, expected=expected)
        for one in self.perturbations:
            perturbation_of(one)
        if self.sigma is not None:
            check_number(self, "sigma", least=0, most=MOST_SIGMA)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the mean share that is left (n,); NaN where one of the perturbations hardly lowers the score.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        return self.curves(oracle, explanation).mean(axis=(1, 2))

    def curves(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return p' at each α (n, perturbations, 20), the curves of figure 7; NaN as in `measure`.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        sides = [size for size in explanation.saliency.shape[1:] if size > 1]
        sigma = PAPER_SIGMA_MASK * min(sides, default=1) / PAPER_SIZE if self.sigma is None else self.sigma
        mask = simplified(explanation.saliency, sigma)
        count = len(explanation)
        regions = np.concatenate([mask <= alpha for alpha in ALPHAS])
        rows = np.tile(np.arange(count), len(ALPHAS))
        left: list[Floats] = []
        for one in self.perturbations:
            ends = Suppressing.of(oracle, explanation, perturbation_of(one))
            shares = 1 - ends.done(regions, rows).reshape(len(ALPHAS), count).T
            left.append(np.where(ends.there[:, None], shares, np.nan))
        return np.stack(left, axis=1)


@dataclass(frozen=True)
class Transfer:
    """Measure how much of the suppression stays when the region of an explanation is deleted in another way.

    The value is 1 − p' = 1 − (f − f_b) / (f_0 − f_b), where f is the score of the image with the region perturbed by
    `perturbation`, and f_b that of the image fully perturbed by it (section 5.2); of explanations whose game is
    preservation it is p', with all but the region perturbed.  The region was found to do `suppress` of that under the
    perturbation of the explanation, so that 1 is as good; values that fall far below are those of regions that found an
    artefact of one perturbation.  How far explanations carry over to another model is the same question put to another
    box: ``evaluate(other_box, results, [Transfer("blur")])``.

    Attributes
    ----------
    perturbation
        What the region is replaced by: a name of `named`, or a `Perturbation`.
    """

    perturbation: str | Perturbation = "constant"

    name: ClassVar[str] = "transfer"
    needs: ClassVar[type[Any]] = BlackBox
    better: ClassVar[Better] = "higher"
    range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        perturbation_of(self.perturbation)

    def measure(self, oracle: Oracle, explanation: Explanation, original: Floats | None = None) -> Floats:
        """Return 1 − p', or p', (n,); NaN where perturbing the whole image hardly lowers the score.

        Parameters
        ----------
        oracle, explanation
            As of all metrics.
        original
            (n,) the target scores of the images, where this model has just told them; None asks for them.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        ends = Suppressing.of(oracle, explanation, perturbation_of(self.perturbation), original)
        done = ends.done(explanation.region, np.arange(len(explanation)), explanation.game)
        return np.where(ends.there, done, np.nan)
