"""What the numbers of a learned mask amount to: ok, soft or weak, in words, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blackbox_explain.regularizers import Game

__all__ = ["MOST_LEFT", "status_of"]

MOST_LEFT = 0.25
"""Share of a score that may be left once the region is deleted; preservation keeps at least the rest."""

TOO_MUCH_LEFT = 0.5
"""Share of a score that is left of the fully perturbed image where no region of it can be expected to do better."""

LARGEST = 1.0 + 1e-6
"""Of scores that are probabilities, or differences of them."""


def status_of(row: Mapping[str, Any], game: Game, doubts: Sequence[str] = ()) -> str:
    """Say whether deleting the outlined region does what was asked.

    ``"ok"``: of the score, at most a quarter is left once the region is deleted (at least three quarters are kept by
    the region alone in the preservation game).  Shares are those of the score itself, so that both the score that is
    left and its ratio to the score before are small.  Scores that are no probabilities (logits, say) have no zero that
    means "gone"; their share is that of the fall from the image to the fully perturbed image.

    Parameters
    ----------
    row
        ``score_original``, ``score_masked``, ``score_region`` and ``score_perturbed`` of one image.
    game
        What was asked.
    doubts
        Reasons to think that the model does not see the image as it should; with any, no row is ok.

    Returns
    -------
    str
        ``"ok"``; ``"soft: ..."`` where the mask does it through values between 0 and 1, and the region alone does
        not; ``"weak: ..."``.  The sentences say what to try.
    """
    before, masked, region, fully = (
        float(row[name]) for name in ("score_original", "score_masked", "score_region", "score_perturbed")
    )
    if doubts:
        return f"weak: {doubts[0]}"
    probabilities = max(map(abs, (before, masked, region, fully))) <= LARGEST
    gone = min(fully, 0.0) if probabilities else fully
    if before <= gone:
        return _nothing_to_lose(before, fully)

    def left(score: float) -> float:
        return (score - gone) / (before - gone)

    if game == "deletion":
        done = {name: left(score) <= MOST_LEFT for name, score in (("mask", masked), ("region", region))}
    else:
        done = {name: left(score) >= 1 - MOST_LEFT for name, score in (("mask", masked), ("region", region))}
        if left(fully) > TOO_MUCH_LEFT:
            return _nothing_to_lose(before, fully)
    if done["region"]:
        return "ok"
    if left(fully) > TOO_MUCH_LEFT:
        return _nothing_to_lose(before, fully)
    what = "is left without the outlined region" if game == "deletion" else "is kept by the outlined region alone"
    numbers = f"{left(region):.0%} of the score {what} ({before:.4f} to {region:.4f})"
    if done["mask"]:
        return f"soft: only shades of the mask do it; {numbers}; {_REMEDY[game]}"
    return f"weak: {numbers}; {_REMEDY[game]}"


_REMEDY: dict[Game, str] = {
    "deletion": "try preset 'authors' (--preset authors), which deletes more",
    "preservation": "try preset 'authors' (--preset authors), which keeps more",
}


def _nothing_to_lose(before: float, fully: float) -> str:
    return (
        f"weak: deleting the whole image does not take this score away ({before:.4f} to {fully:.4f}); try "
        "perturbation 'constant' or 'noise' (--perturbation), or another target"
    )
