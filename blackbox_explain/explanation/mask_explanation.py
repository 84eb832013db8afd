"""The result of the mask learner: masks, and the scores that say what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.explanation.explanation import Explanation, Floats
from blackbox_explain.explanation.judging import RowScores, judge
from blackbox_explain.explanation.mask_summary import mask_summary_of
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["MaskExplanation"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MaskExplanation(Explanation):
    """Masks learned for a batch of images and targets.

    The saliency is in [0, 1]: 1 − M for deletion, M for preservation.

    Attributes
    ----------
    mask
        (N, *cells) low-resolution masks in [0, 1]; 1 keeps, 0 deletes.
    game
        ``"deletion"``: the smallest region without which the score falls.  ``"preservation"``: the smallest region
        that is enough for it.
    perturbation
        Name of what stood in for deleted pixels.
    remedy
        What to try where a mask or its region does too little.
    score_masked, score_perturbed
        (N,) target scores of the image perturbed by the mask, and of the fully perturbed image.
    score_region
        (N,) target scores once the mask is made hard at 0.5: the region where M < 0.5 fully perturbed, the rest
        untouched.  Masks learned with many levels of blur may stop where a little blur is enough; this tells.
    suppression
        (N,) 1 − p', where p' = (masked − perturbed) / (original − perturbed) is the normalised score that is left
        (section 5.2).  1: as if all were deleted.  A preservation mask is good where it is near 0.
    area
        (N,) share of the image that is deleted (deletion) or kept (preservation), by the values of the mask.
    objective
        (N,) eq. 4 at the final mask, without jitter.
    history
        (N, steps) what was minimised, before each step; NaN after a row's end.
    masked_images
        (N, *shape) what the mask makes of the images, in pixel space.
    region_images
        (N, *shape) the images with the region fully perturbed (preservation: all but the region).
    reference
        (N, *shape) what stood in for deleted pixels, where it was given as images; None where the settings tell it.
    """

    mask: Floats
    game: Game
    perturbation: str
    remedy: str
    score_masked: Floats
    score_perturbed: Floats
    score_region: Floats
    suppression: Floats
    area: Floats
    objective: Floats
    history: Floats
    masked_images: Floats
    region_images: Floats
    reference: Floats | None = None

    whole: ClassVar[tuple[str, ...]] = (*Explanation.whole, "game", "perturbation", "remedy")

    @property
    def scores(self) -> Floats:
        """(N, 3): the target's score in the image, after the mask, and in the fully perturbed image."""
        return np.stack([self.score, self.score_masked, self.score_perturbed], axis=1)

    @property
    def share(self) -> Floats:
        """(N,): share of the image inside the outline, where the saliency is above 0.5; NaN where a row failed."""
        flat = self.saliency.reshape(len(self), -1)
        return np.where(np.isfinite(flat).all(axis=1), (flat > 0.5).mean(axis=1), np.nan)

    def importance(self, row: int) -> Floats:
        """Return the saliency of a row, which is in [0, 1] already."""
        return self.saliency[row]

    def summary(self) -> str:
        """Return the numbers with their meaning, the leading classes and the outcome, within 80 columns."""
        return mask_summary_of(self)

    def outcome_of(self, row: int, doubts: Sequence[str]) -> Outcome:
        """Return the outcome that the scores of a row earn, given some doubts."""
        return judge(self.row_scores(row), self.game, self.remedy, doubts)

    def row_scores(self, row: int) -> RowScores:
        """Return the four scores of a row that its outcome is told from."""
        scores = {
            "original": float(self.score[row]),
            "masked": float(self.score_masked[row]),
            "region": float(self.score_region[row]),
            "perturbed": float(self.score_perturbed[row]),
        }
        return RowScores.of(scores, self.weights[row])

    def row_to_dict(self, row: int) -> dict[str, Any]:
        """Return the numbers of one row, for JSON."""
        names = ("score_masked", "score_perturbed", "score_region", "suppression", "area", "share", "objective")
        return super().row_to_dict(row) | {name: float(getattr(self, name)[row]) for name in names}
