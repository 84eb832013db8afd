"""The smallest region of a saliency map that does what was asked, found by asking the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError
from blackbox_explain.explanation.curve import RankedImages
from blackbox_explain.explanation.suppression import effect, has_reach
from blackbox_explain.perturbations.deletion import count_at
from blackbox_explain.perturbations.perturbation import Game
from blackbox_explain.setting_ranges import is_number

__all__ = ["REGION_QUERIES", "SHARES", "SUPPRESS", "Regions", "check_suppress", "lowest_score", "smallest_region"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

SHARES = (0.01, 0.02, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Of the pixels, at which every curve is measured; a region of more than half explains nothing."""

HALVINGS = 5
"""Of the interval between two of them, in which the smallest region lies."""

REGION_QUERIES = len(SHARES) + HALVINGS
"""Images that the model is run on for the region of one row."""

SUPPRESS = 0.95
"""Share of the score that deleting the region is to take away, or the region alone is to keep, if nobody says."""


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of some images, and the curves that they stand on.

    Attributes
    ----------
    region
        (n, *spatial).
    share
        (n,) of the pixels.
    score
        (n,) target score without the region (deletion), or with nothing but it (preservation).
    scores
        (n, K) all scores there.
    images
        (n, *shape) the images without the region, or with nothing but it.
    curve
        (n, len(SHARES)) target scores at those shares of the most salient pixels.
    enough
        (n,) whether the region does what was asked; where none up to half of the image does, it is the best there is.
    failures
        Why the model did not answer, by row, whose scores are NaN.
    """

    region: Booleans
    share: Floats
    score: Floats
    scores: Floats
    images: Floats
    curve: Floats
    enough: Booleans
    failures: Mapping[int, BlackBoxExplainError]


def smallest_region(
    oracle: Oracle,
    images: Floats,
    saliency: Floats,
    weights: Floats,
    gone: Floats,
    original: Floats,
    perturbed: Floats,
    game: Game = "deletion",
    suppress: float = SUPPRESS,
    floor: Literal["lowest", "perturbed"] = "lowest",
) -> Regions:
    """Find the smallest region of each image that does what is asked, among those of its most salient pixels.

    Parameters
    ----------
    oracle
        Asks the model, on behalf of these n images, whose scores it knows (`Oracle.originals`); each at most
        `REGION_QUERIES` times, and twice as often where the model fails on some of them.
    images
        (n, *shape) in pixel space.
    saliency
        (n, *spatial), high = important; of equal pixels the first are the more important ones.
    weights
        (n, K) the targets as weights over the scores.
    gone
        (n, *shape) the fully perturbed images.
    original, perturbed
        (n,) target scores of the images, and of the fully perturbed ones.
    game
        ``"deletion"``: without the region the score falls by `suppress` of what perturbing takes away.
        ``"preservation"``: with nothing but the region it stays by as much above that of the fully perturbed image.
    suppress
        Between 0 and 1.
    floor
        What perturbing leaves, in the deletion game: ``"perturbed"`` is the score of the fully perturbed image, as in
        section 5.2, the same for all maps; ``"lowest"`` the lowest score on the curve where that is less, since a
        perturbed image may still show what it is of.

    Returns
    -------
    Regions
        By a bisection between the two shares of `SHARES` where the curve first reaches what is asked, so that there
        may be a smaller one where curves go up and down.

    Raises
    ------
    UnreachableError
        If the model cannot be asked at all.
    ModelError, OutOfMemoryError
        If it answers about no image, and the oracle does not know its scores of the images.
    """
    count = len(images)
    asked = RankedImages.of(oracle, images, gone, saliency, game == "preservation")
    size = asked.size
    every = np.arange(count)
    grid = np.asarray([count_at(share, size) for share in SHARES])
    rows, counts = np.repeat(every, len(grid)), np.tile(grid, count)
    answers = asked.answers(rows, counts)
    failures = dict(answers.failures)
    if not answers.scores.shape[1]:
        raise next(iter(failures.values()))
    scores = answers.scores.reshape(count, len(grid), -1)
    curve = target_scores(answers.scores, weights[rows]).reshape(count, len(grid))
    nothing = lowest_score(perturbed, curve, game) if floor == "lowest" else perturbed
    there = has_reach(original, nothing)  # a row whose scores are infinite fails for that

    def done(values: Floats, rows: slice | np.ndarray[Any, Any] = slice(None)) -> Floats:
        """Return how much of what perturbing takes away is gone, or kept, at some scores (n,) or (n, S)."""
        shape = (-1, *(1,) * (values.ndim - 1))
        first, last = (one[rows].reshape(shape) for one in (original, nothing))
        # A score that perturbing hardly lowers has no share to take away: the lowest is the best.
        return np.where(there[rows].reshape(shape), effect(first, values, last, game), -np.inf)

    reached = done(curve) >= suppress
    enough = np.asarray(reached.any(axis=1))
    with np.errstate(invalid="ignore"):
        least = curve if game == "deletion" else -curve
        best = np.where(there, done(curve).argmax(axis=1), least.argmin(axis=1))
    first = np.where(enough, reached.argmax(axis=1), best)
    high = grid[first]
    low = np.where(enough, np.where(first > 0, grid[np.maximum(first - 1, 0)], 0), high)
    found = scores[every, first].copy()
    for _ in range(HALVINGS):
        left = np.asarray([row for row in every if high[row] - low[row] > 1 and row not in failures], np.int64)
        if not len(left):
            break
        middle = (low[left] + high[left]) // 2
        answers = asked.answers(left, middle)
        failures |= answers.failures
        with np.errstate(invalid="ignore"):
            now = target_scores(answers.scores, weights[left])
            does = done(now, left) >= suppress
        torn = ModelError("Scores or gradients are not finite", got="NaN or infinity where the region was looked for")
        for row in left[~np.isfinite(now)].tolist():
            failures.setdefault(row, torn)
        found[left[does]] = answers.scores[does]
        low[left], high[left] = np.where(does, low[left], middle), np.where(does, middle, high[left])
    return Regions(
        region=asked.region(every, high),
        share=high / size,
        score=target_scores(found, weights),
        scores=found,
        images=asked.made(every, high),
        curve=curve,
        enough=enough,
        failures=failures,
    )


def lowest_score(perturbed: Floats, curve: Floats, game: Game) -> Floats:
    """Return the least that perturbing was seen to leave of scores (n,); of curves (n, S) only in the deletion game."""
    if game == "preservation" or not curve.shape[1]:
        return perturbed
    return np.fmin(perturbed, curve.min(axis=1))


def check_suppress(suppress: float) -> None:
    """Raise `InputError` unless this is a share of the score."""
    if not is_number(suppress) or not 0 < suppress < 1:
        raise InputError(
            "This is no share of the score", got=f"suppress={suppress!r}", expected="above 0 and below 1, such as 0.95"
        )
