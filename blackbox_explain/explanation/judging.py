"""Whether a region did what was asked of it, told from three scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from blackbox_explain.explanation.outcome import DOUBTED, Outcome
from blackbox_explain.explanation.suppression import effect, has_reach
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["RowScores", "judge", "remedy_of_masks"]

HALF = 0.5
"""At most this share of a score is little."""

SMALL = 0.25
"""A score, or a lead, that is small in absolute terms."""

CHANCE = 1.1
"""A score of at most so many times chance may be that of a model that does not know."""

UNDECIDED = 0.6
"""Such a score is, if it is also at most this share of the score of the image."""

UNSEEN = 0.1
"""A score of at most this share of chance is that of a class which the model does not see."""

NATS = math.log(4)
"""What a log-probability falls by when the probability falls to a quarter."""

ROUNDING = 1e-6
"""Of shares of a score."""

STAND_INS = ("blur", "noise", "constant")
"""What may stand in for deleted pixels."""


def _another(perturbation: str) -> str:
    """Return what to try where perturbing an image in a way changes little."""
    return (
        f"try another stand-in for deleted pixels, perturbation={_others(perturbation)} (--perturbation), or another "
        "target= (--target); if every score is so, check how the model is shown its images (--mean, --std, --range)"
    )


def _others(perturbation: str) -> str:
    return " or ".join(f'"{one}"' for one in STAND_INS if one != perturbation)


def remedy_of_masks(game: Game, both: bool, preset: str | None, perturbation: str) -> str:
    """Return what to try where no region of a mask does what was asked, other than what was done.

    Parameters
    ----------
    game, both
        The game, and whether the other one was played too.
    preset, perturbation
        By which the mask was learned.
    """
    other = "preservation" if game == "deletion" else "deletion"
    ways = [] if both else [f'game="{other}" (--game {other})']
    ways += [] if preset == "thorough" else ['preset="thorough" (--preset thorough)']
    ways.append("a lower suppress= (--suppress)")
    if game == "deletion":
        ways.append(f"perturbation={_others(perturbation)} (--perturbation)")
    told = f"{', '.join(ways[:-1])}, or {ways[-1]}"
    return f"the evidence may be in many places: try {told}" if game == "deletion" else f"try {told}"


@dataclass(frozen=True)
class RowScores:
    """Three scores of a row, and whether the last of them is little or much.

    Attributes
    ----------
    original, region, perturbed
        The target's scores of the image; without its region, or with nothing but it; and the least that perturbing was
        seen to leave: fully perturbed, or in the deletion game on the curve.
    chance
        The score of a model that finds all classes alike; 0 where the target is more than one class.
    lead
        Whether the target is how far one class leads another.
    """

    original: float
    region: float
    perturbed: float
    chance: float
    lead: bool = False

    @classmethod
    def of(cls, original: float, region: float, perturbed: float, weights: np.ndarray[Any, Any]) -> RowScores:
        """Read the scores of a row, and of its target's weights (K,) what chance would be.

        Of several classes together, or of one without another, chance says nothing.
        """
        chance = 1 / max(2, weights.size) if np.count_nonzero(weights) == 1 and weights.max() == 1 else 0.0
        return cls(original, region, perturbed, chance, bool(weights.min() < 0))

    @property
    def raw(self) -> bool:
        """Whether these are no probabilities, nor the lead of one: a share of such a score may mean nothing."""
        largest = max(abs(one) for one in (self.original, self.region, self.perturbed))
        return self.original <= 0 or largest > 1 + 1e-3

    def depends(self, game: Game) -> bool:
        """Return whether so little of the score can be left that a region can be told by it.

        In the preservation game the fully perturbed image alone decides.
        """
        least, most = self.perturbed, HALF * self.original
        if game == "deletion":
            least, most = min(self.region, self.perturbed), min(SMALL, most)
        if self.raw:
            return self.original - least >= (self.original / 2 if self.original > 0 else NATS)
        undecided = least <= CHANCE * self.chance and least <= UNDECIDED * self.original
        return least <= most or undecided

    def done(self, game: Game) -> float:
        """Return how much of what perturbing takes away is gone without the region, or kept by it."""
        return float(effect(np.asarray(self.original), np.asarray(self.region), np.asarray(self.perturbed), game))


def judge(
    scores: RowScores,
    game: Game,
    suppress: float,
    share: float,
    remedy: str,
    doubts: Sequence[str] = (),
    perturbation: str = "",
) -> Outcome:
    """Say whether the region of a row does what was asked, and what to try where it does not.

    Parameters
    ----------
    scores
        Of one row.
    game
        ``"deletion"`` or ``"preservation"``.
    suppress
        What was asked, as a share of what perturbing takes away.
    share
        Of the image that the region is.
    remedy
        What to try where it does too little.
    doubts
        Sentences of `preprocessing_doubts.doubts_from`: what speaks against the way that images are given to the model.
    perturbation
        What stood in for deleted pixels.

    Returns
    -------
    Outcome
        ``"ok"`` or ``"weak"``.

    Notes
    -----
    **ok** takes two things:

    - The score depends on what is perturbed: without some part, or with the whole image perturbed, at most 0.25 and
      at most half of the image's score is left (preservation: half, with the whole image perturbed); or no more than
      chance (1 of K classes, and a tenth of it) if that is at most 0.6 of the image's score: the model does not know.
      The lead of one class over another is judged like a probability, without chance.  *Raw scores* (above 1, or not
      above 0) have no such scale: they must fall by half of themselves, or by ln 4 if they are negative, which is what
      a logarithm falls by when its number falls to a quarter.
    - The region does what was asked: without it, `suppress` of that fall is there; or, in the preservation game, with
      nothing but it as much of the fall is undone.

    **weak** is everything else, and any row of a run about which there are doubts.
    """
    if doubts:
        return DOUBTED
    weak = partial(Outcome, "weak")
    before, fully = scores.original, scores.perturbed
    if scores.lead and before <= 0:
        return weak(
            f"there is no lead to explain: the class scores {-before:.4f} less than the one it is compared with; try "
            "the two the other way round (--target, --versus)"
        )
    if not scores.raw and before <= UNSEEN * scores.chance:
        return weak(
            f"the model does not see this class here: its score is {before:.2g}, and chance {scores.chance:.2g}; try "
            "another target= (--target)"
        )
    if not has_reach(np.asarray(before), np.asarray(fully)):
        return weak(
            f"perturbing hardly lowers this score, if at all ({before:.4f} to {fully:.4f}), so that a fall "
            f"without a region says little; {_another(perturbation)}"
        )
    if not scores.depends(game):
        return weak(
            f"perturbing lowers this score only from {before:.4f} to {fully:.4f}, so that a fall "
            f"without a region says little; {_another(perturbation)}"
        )
    done = scores.done(game)
    if done >= suppress - ROUNDING:
        return Outcome("ok")
    verb, without = ("takes away", "without it") if game == "deletion" else ("keeps", "with nothing but it")
    # Rounded down, so that what falls short is not said to be reached.
    best = f"{np.floor(1000 * done) / 10:g}%" if done > 0 else "nothing"
    return weak(
        f"no region of at most half of the image was found that {verb} {100 * suppress:.4g}% of what perturbing takes "
        f"away; the best, {share:.1%} of it, {verb} {best}: the score {without} is {scores.region:.4f}, of "
        f"{before:.4f}; {remedy}"
    )
