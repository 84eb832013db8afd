"""Learn a ranking of the pixels, so that deleting the first of them deletes the score, whatever their share.

    min over s:  E over shares a and jitter of  f(Φ(x0; 1 − M_a)),   M_a = σ((S − t_a(S)) / (τ std S))

S is the map s on the mask's grid, brought to the size of the image; t_a(S) is the value that a share a of S lies above,
so that M_a, 1 where deleted, is a soft level set of that share.  Its area is held: what is left of the gradient by S is
the part that moves the level set without changing its area, which is the derivative through t_a.  So neither area nor
total variation needs a weight.  Preservation is the mirror image: f(Φ(x0; M_a)) is to stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.methods.center import centre_distance
from blackbox_explain.methods.mask.jitter import offset_at
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.optimizers import adam
from blackbox_explain.methods.mask.settings import Settings
from blackbox_explain.methods.mask.starts import integrated_mask_gradient
from blackbox_explain.methods.upsampling import smooth
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["Ranking", "learn_ranking", "ranking_start", "share_at"]

GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole part, fill the interval from 0 to 1 evenly, however many there are."""

FIRST = 4
"""The first of so many parts of the steps is left out of the mean of the maps, which is what is returned."""


@dataclass(frozen=True)
class Ranking:
    """What the loop leaves.

    Attributes
    ----------
    values
        (N, *cells), high where deletion hurts, or preservation helps, most; in the library of the start.
    history
        (N, steps) what is left, of what perturbing the whole image takes away, at the share of each step, with a minus
        where it was to be kept; NaN where score or gradient were not finite.
    """

    values: Array
    history: np.ndarray[Any, Any]


def share_at(step: int, least: float, most: float) -> float:
    """Return the share of a step: evenly over the logarithms of all shares, whatever the number of steps."""
    return least * (most / least) ** (step * GOLDEN % 1)


def learn_ranking(
    score: MaskedScore, start: Array, settings: Settings, seed: int, perturbed: Array, scale: Array
) -> Ranking:
    """Learn the rankings of one batch by Adam; the result is the mean of the last three quarters of the maps.

    Parameters
    ----------
    score
        The score as a function of the mask, N rows.
    start
        (N, *cells), from `ranking_start`.
    settings
        Game, steps, optimizer, jitter, shares and softness.
    seed
        Of the jitter.
    perturbed, scale
        (N,) scores of the fully perturbed images, and what makes the scores of the images 1 above these.

    Notes
    -----
    Where a gradient is not finite it counts as zero, and the row fails by its history.  No row depends on its company.
    """
    xp = namespace(start)
    optimizer = adam(settings.learning_rate, settings.beta1, settings.beta2, settings.epsilon)
    values, state, total = start, optimizer.init(start), start * 0
    perturbed = xp.where(xp.isfinite(perturbed), perturbed, xp.nan * perturbed)
    history: list[Array] = []
    for step in range(1, settings.steps + 1):
        game = _game_of(step, settings.game)
        offset = offset_at(seed, step, settings.jitter, start.ndim - 1)
        share = share_at(step, settings.least_share, settings.most_share)
        value, by_values = score.of_level_set(values, share, settings.softness, game, offset)
        left = (value - perturbed) * scale
        history.append(left if game == "deletion" else -left)
        axes = tuple(range(1, by_values.ndim))
        size = xp.sqrt(xp.mean(by_values * by_values, axis=axes, keepdims=True)) + 1e-20
        change, state = optimizer.update(by_values / size, state, step)
        values = values + change * (1 - (1 - settings.end_factor) * step / settings.steps)
        if step > settings.steps // FIRST:
            total = total + values
    return Ranking(total / (settings.steps - settings.steps // FIRST), to_numpy(xp.stack(history, axis=1)))


def ranking_start(score: MaskedScore, like: Array, settings: Settings) -> tuple[Array, np.ndarray[Any, Any]]:
    """Return first maps in [−1, 1], and whether every answer that they rest on was finite.

    Parameters
    ----------
    score
        The score as a function of the mask.
    like
        (N, *cells) of any values.
    settings
        Of which `start` decides: ``"gradient"`` takes the ranks of the smoothed integrated gradient in mask space,
        ``"centre"`` the distance to the centre.
    """
    xp = namespace(like)
    if settings.start == "centre":
        centre = constant_like(1 - 2 * centre_distance(tuple(like.shape[1:])), like)
        return like * 0 + centre, np.ones(like.shape[0], bool)
    gradient = integrated_mask_gradient(score, like * 0 + 1, settings.start_points)
    finite = xp.isfinite(gradient)
    flat = xp.reshape(smooth(xp.where(finite, gradient, like * 0), 1.0), (like.shape[0], -1))
    # Equal values are ranked from the centre on, as good a guess as any: of these the last are the first.  On the host,
    # where sorting is stable in every version.
    outer_first = np.argsort(-centre_distance(tuple(like.shape[1:])), axis=None, kind="stable")
    order = np.argsort(to_numpy(flat)[:, outer_first], axis=1, kind="stable")
    places = np.argsort(order, axis=1)[:, np.argsort(outer_first)]
    ranks = constant_like(places.astype(np.float64), like)
    sound = to_numpy(xp.all(xp.reshape(finite, flat.shape), axis=1))
    return xp.reshape(2 * ranks / max(1, flat.shape[1] - 1) - 1, like.shape), sound


def _game_of(step: int, game: Game | Literal["both"]) -> Game:
    """Return what a step plays: of both, one after the other."""
    if game == "both":
        return "preservation" if step % 2 == 0 else "deletion"
    return game
