"""The result of the mask learner: masks, and the scores that say what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from blackbox_explain.explanation.explanation import Explanation, Floats
from blackbox_explain.explanation.judging import remedy_of_masks

__all__ = ["MaskExplanation"]

BRIGHT, DARK = 0.02, 0.5
"""Shares of the pixels of a ranking that are shown as most and as least important: those that it is learned for."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MaskExplanation(Explanation):
    """Masks learned for a batch of images and targets.

    The saliency is in [0, 1].  Of a ranking it is the share of the pixels that are less important, and the mask is the
    region, whose edge is softened where it is applied; of a mask that was learned by eq. 4 it is 1 − M for deletion, M
    for preservation.

    Attributes
    ----------
    mask
        (N, *cells) masks in [0, 1]; 1 keeps, 0 deletes.  Of a ranking it has a cell for each pixel.
    learns
        ``"ranking"`` (presets ``"fast"``, ``"quick"``, ``"thorough"``) or ``"mask"`` (``"paper"``, ``"authors"``).
    score_masked
        (N,) target scores of the image perturbed by the mask.
    suppression
        (N,) 1 − p', where p' = (masked − perturbed) / (original − perturbed) is the normalised score that is left
        (section 5.2).  1: as if all were deleted.  A preservation mask is good where it is near 0.
    area
        (N,) share of the image that is deleted (deletion) or kept (preservation), by the values of the mask.
    objective
        (N,) what was minimised, at the end: eq. 4 at the final mask, without jitter; of a ranking the mean of what is
        left of the score (preservation: its negative) over the shares of the curve that it was learned for.
    history
        (N, steps) what was minimised, before each step; NaN after a row's end.
    masked_images
        (N, *shape) what the mask makes of the images, in pixel space.
    reference
        (N, *shape) what stood in for deleted pixels, where it was given as images; None where the settings tell it.
    """

    mask: Floats
    learns: Literal["ranking", "mask"]
    score_masked: Floats
    suppression: Floats
    area: Floats
    objective: Floats
    history: Floats
    masked_images: Floats
    reference: Floats | None = None

    whole: ClassVar[tuple[str, ...]] = (*Explanation.whole, "learns")

    @property
    def remedy(self) -> str:
        """What to try where no region does what was asked."""
        settings = self.provenance.settings
        return remedy_of_masks(self.game, settings.get("game") == "both", settings.get("preset"), self.perturbation)

    def importance(self, row: int) -> Floats:
        """Return the saliency of a row for pictures: 1 for the first `BRIGHT` of a ranking, 0 for its second half."""
        if self.learns == "mask":
            return self.saliency[row]
        later = np.clip(1 - self.saliency[row], BRIGHT, DARK)
        return np.log(DARK / later) / np.log(DARK / BRIGHT)

    @property
    def scores(self) -> Floats:
        """(N, 3): the target's score in the image, after the mask, and in the fully perturbed image."""
        return np.stack([self.score, self.score_masked, self.score_perturbed], axis=1)

    def row_to_dict(self, row: int) -> dict[str, Any]:
        """Return the numbers of one row, for JSON."""
        names = ("score_masked", "suppression", "area", "objective")
        return super().row_to_dict(row) | {name: float(getattr(self, name)[row]) for name in names}
