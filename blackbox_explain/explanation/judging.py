"""Whether a region did what was asked of it, told from four scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from blackbox_explain.explanation.outcome import DOUBTED, Outcome
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["LEAST_REACH", "RowScores", "judge"]

LEAST_REACH = 0.01
"""A score that falls by less than this share of itself does not depend on what is perturbed."""

HALF = 0.5
"""Less than this share of a score is little; more of what perturbing the whole image takes away is much."""

SMALL = 0.25
"""A score, or a lead, that is small in absolute terms."""

KEPT = 0.75
"""Of a score, at least this share is kept by the region alone."""

CHANCE = 1.1
"""A score of at most so many times chance may be that of a model that does not know."""

UNDECIDED = 0.6
"""Such a score is, if it is also at most this share of the score of the image."""

NATS = math.log(4)
"""What a log-probability falls by when the probability falls to a quarter."""

ANOTHER = (
    'try another stand-in for deleted pixels, perturbation="blur", "noise" or "constant" (--perturbation), or another '
    "target= (--target); if every score is so, check how the model is shown its images (--mean, --std, --range)"
)


@dataclass(frozen=True)
class RowScores:
    """The four scores of a row, and whether what is left or kept of the first is little or much.

    Attributes
    ----------
    original, masked, region, perturbed
        The target's scores of the image; with the mask; with its region deleted, or kept alone; fully perturbed.
    chance
        The score of a model that finds all classes alike; 0 where the target is more than one class.
    lead
        Whether the target is how far one class leads another.
    """

    original: float
    masked: float
    region: float
    perturbed: float
    chance: float
    lead: bool = False

    @classmethod
    def of(cls, scores: Mapping[str, float], weights: np.ndarray[Any, Any]) -> RowScores:
        """Read the scores of a row by their names, and of its target's weights (K,) what chance would be.

        Of several classes together, or of one without another, chance says nothing.
        """
        chance = 1 / max(2, weights.size) if np.count_nonzero(weights) == 1 and weights.max() == 1 else 0.0
        lead = bool(weights.min() < 0)
        return cls(scores["original"], scores["masked"], scores["region"], scores["perturbed"], chance, lead)

    @property
    def raw(self) -> bool:
        """Whether these are no probabilities, nor the lead of one: a share of such a score may mean nothing."""
        largest = max(abs(one) for one in (self.original, self.masked, self.region, self.perturbed))
        return self.original <= 0 or largest > 1 + 1e-3

    @property
    def reach(self) -> float:
        """What perturbing the whole image takes away."""
        return self.original - self.perturbed

    def is_little(self, score: float) -> bool:
        """Tell whether next to nothing of the original score is left."""
        fall = self.original - score
        if self.raw:
            needed = self.original / 2 if self.original > 0 else NATS
            return fall >= needed and fall >= KEPT * self.reach
        undecided = score <= CHANCE * self.chance and score <= UNDECIDED * self.original
        return (score <= min(SMALL, HALF * self.original) or undecided) and fall >= HALF * self.reach

    def is_most(self, score: float) -> bool:
        """Tell whether most of the original score is kept."""
        share = KEPT if self.raw else HALF
        return score - self.perturbed >= share * self.reach and (self.raw or score >= KEPT * self.original)


def judge(scores: RowScores, game: Game, remedy: str, doubts: Sequence[str] = ()) -> Outcome:
    """Say whether a mask, and its region made hard, do what was asked, and what to try where they do not.

    Parameters
    ----------
    scores
        Of one row.
    game
        ``"deletion"`` or ``"preservation"``.
    remedy
        What to try where the mask or its region does too little.
    doubts
        Sentences of `preprocessing_doubts.doubts_from`: what speaks against the way that images are given to the model.

    Returns
    -------
    Outcome
        ``"ok"``, ``"soft"`` or ``"weak"``.

    Notes
    -----
    *Deletion* is **ok** where the score left without the outlined region is little, on its own and against the image:

    - at most 0.25 and at most half of the image's score is left, or no more than chance (1 of K classes, and a tenth
      of it) if that is at most 0.6 of the image's score: the model does not know;
    - at least half of the fall that perturbing the whole image causes is there without the region.

    The lead of one class over another is judged like a probability, without chance.  *Raw scores* (above 1, or not
    above 0) have no such scale: they must fall by three quarters of what perturbing the whole image takes, and by half
    of themselves, or by ln 4 if they are negative, which is what a logarithm falls by when its number falls to a
    quarter.

    *Preservation* is **ok** where the region alone keeps at least three quarters of the image's score, and where
    perturbing the whole image leaves half of it at most: else nothing had to be kept.  Raw scores: three quarters of
    what perturbing the whole image takes away.

    **weak** is a mask that does not do half of what perturbing the whole image does, a score that perturbing the whole
    image hardly lowers, and any row of a run about which there are doubts.  **soft** is the rest: the mask works, by
    values between 0 and 1, and its region made hard at 0.5 does not.
    """
    return DOUBTED if doubts else _earned(scores, game, remedy)


def _earned(scores: RowScores, game: Game, remedy: str) -> Outcome:
    weak, soft = partial(Outcome, "weak"), partial(Outcome, "soft")
    before, fully, region = scores.original, scores.perturbed, scores.region
    if scores.lead and before <= 0:
        return weak(
            f"there is no lead to explain: the class scores {-before:.4f} less than the one it is compared with; try "
            "the two the other way round (--target, --versus)"
        )
    if scores.reach <= LEAST_REACH * abs(before):
        return weak(
            f"perturbing the whole image does not lower this score ({before:.4f} to {fully:.4f}), so that a fall "
            f"without a region says little; {ANOTHER}"
        )
    deletion = game == "deletion"
    done = (before - scores.masked) / scores.reach if deletion else (scores.masked - fully) / scores.reach
    good = scores.is_little(region) if deletion else scores.is_most(region)
    depends = _depends(scores)
    if good and done >= HALF and (deletion or depends):
        return Outcome("ok")
    if not depends:
        return weak(
            f"perturbing the whole image lowers this score only from {before:.4f} to {fully:.4f}, so that a fall "
            f"without a region says little; {ANOTHER}"
        )
    verb = "takes away" if deletion else "keeps"
    if done < HALF:
        return weak(f"the mask {verb} {done:.0%} of what perturbing the whole image takes away; {remedy}")
    if region == before if deletion else region == fully:
        return soft(f"no region stands out, only the mask's values between 0 and 1 do the work; {remedy}")
    if deletion and region > before:
        return soft(f"without the outlined region the score even rises, from {before:.4f} to {region:.4f}; {remedy}")
    left = "without the outlined region" if deletion else "of the outlined region alone"
    return soft(f"the score {left} is {region:.4f}, of {before:.4f}; {remedy}")


def _depends(scores: RowScores) -> bool:
    """Tell whether perturbing the whole image takes enough of the score for a region to be told by it."""
    if scores.raw:
        return scores.reach >= (scores.original / 2 if scores.original > 0 else NATS)
    undecided = scores.perturbed <= CHANCE * scores.chance and scores.perturbed <= UNDECIDED * scores.original
    return scores.perturbed <= HALF * scores.original or undecided
