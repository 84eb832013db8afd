"""How small a part of the image takes the score away, or is enough for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.region import SHARES, SUPPRESS, check_suppress, smallest_region
from blackbox_explain.metrics.metric import Better
from blackbox_explain.metrics.suppressing import Suppressing
from blackbox_explain.perturbations.named import perturbation_of
from blackbox_explain.perturbations.perturbation import Game, Perturbation

__all__ = ["SmallestRegion"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class SmallestRegion:
    """Measure the least share of the most salient pixels whose deletion takes the score away, or that keep it alone.

    The least share a with 1 − p'(a) ≥ `suppress`, where p'(a) = (f(a) − f_b) / (f_0 − f_b) is the normalised score of
    section 5.2: f_0 that of the image, f_b that of the fully perturbed image, f(a) that of the image with its most
    salient share a perturbed; preservation: p'(a) ≥ `suppress` where all but that share is.  The question is that of
    section 5.3, asked of the pixels themselves rather than of boxes.

    Where no region of up to half of the image does it, the value is 0.5.  That is a lower bound of what it would take,
    so that a mean is one too; leaving such images out would reward a map for failing on the hard ones.

    Attributes
    ----------
    suppress
        Share of what perturbing the whole image takes away, above 0 and below 1; the paper has 0.80, 0.90, 0.95, 0.99.
    game
        ``"deletion"`` or ``"preservation"``.
    perturbation
        What stands in for deleted pixels: a name of `named`, or a `Perturbation`.
    """

    suppress: float = SUPPRESS
    game: Game = "deletion"
    perturbation: str | Perturbation = "blur"

    name: ClassVar[str] = "smallest-region"
    needs: ClassVar[type[Any]] = BlackBox
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (0, SHARES[-1])

    def __post_init__(self) -> None:
        check_suppress(self.suppress)
        if self.game not in get_args(Game):
            expected = " or ".join(map(repr, get_args(Game)))
            raise InputError("There is no such game", got=f"game={self.game!r}", expected=expected)
        perturbation_of(self.perturbation)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the shares (n,); NaN where perturbing the whole image hardly lowers the score.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        ends = Suppressing.of(oracle, explanation, perturbation_of(self.perturbation))
        found = smallest_region(
            oracle,
            explanation.images,
            explanation.saliency,
            explanation.weights,
            ends.gone,
            ends.original,
            ends.perturbed,
            self.game,
            self.suppress,
            floor="perturbed",
        )
        if found.failures:
            raise next(iter(found.failures.values()))
        share = np.where(found.enough, found.share, SHARES[-1])
        return np.where(ends.there, share, np.nan)
