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

__all__ = ["LevelSet", "Ranking", "learn_ranking", "share_at"]

GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole part, fill the interval from 0 to 1 evenly, however many there are."""

SEEN = 56
"""Pixels on each axis, to twice as many, that the values of a map are counted over: more hardly change a quantile."""

LEAST_SPREAD = 1e-6
"""Of a map, so that one of equal values does no harm."""


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


@dataclass(frozen=True)
class LevelSet:
    """A soft level set of maps S (N, *grid), of one share.

    Attributes
    ----------
    inside
        M_a, (N, *grid) in [0, 1]: 1 where S is far above t_a.
    width
        (N, 1, ...) τ std S: how far S rises over the edge.
    """

    inside: Array
    width: Array

    @classmethod
    def of(cls, maps: Array, share: float, softness: float) -> LevelSet:
        """Draw the level set of a share of each map.

        Parameters
        ----------
        maps
            S, (N, *grid).
        share
            a, of the grid.
        softness
            τ.
        """
        xp = namespace(maps)
        seen = maps[(slice(None), *(slice(None, None, max(1, size // SEEN)) for size in maps.shape[1:]))]
        flat = xp.sort(xp.reshape(seen, (maps.shape[0], -1)), axis=1)
        count = flat.shape[1]
        threshold = _beside(flat[:, min(count - 1, int(count * (1 - share)))], maps)
        width = _beside(softness * xp.std(flat, axis=1) + LEAST_SPREAD, maps)
        return cls(1 / (1 + xp.exp(xp.clip((threshold - maps) / width, -30.0, 30.0))), width)

    def by_map(self, by_inside: Array) -> Array:
        """Take a gradient by M_a back to one by S, the area held."""
        xp = namespace(by_inside)
        axes = tuple(range(1, by_inside.ndim))
        edge = self.inside * (1 - self.inside)
        held = xp.sum(by_inside * edge, axis=axes, keepdims=True) / (
            xp.sum(edge, axis=axes, keepdims=True) + LEAST_SPREAD
        )
        return (by_inside - held) * edge / self.width


def share_at(step: int, least: float, most: float) -> float:
    """Return the share of a step: evenly over the logarithms of all shares, whatever the number of steps."""
    return least * (most / least) ** (step * GOLDEN % 1)


def learn_ranking(
    score: MaskedScore, start: Array, settings: Settings, seed: int, perturbed: Array, scale: Array
) -> Ranking:
    """Learn the rankings of one batch by Adam; the result is the mean of all steps.

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
        level = LevelSet.of(
            score.grid.up(values), share_at(step, settings.least_share, settings.most_share), settings.softness
        )
        keep = 1 - level.inside if game == "deletion" else level.inside
        value, by_keep = score.value_and_gradient_on_grid(keep, offset)
        left = (value - perturbed) * scale
        # Of what is minimised, f of what is deleted or − f of what is kept, the gradient by M_a is the same.
        by_values = score.grid.down(level.by_map(-by_keep))
        history.append(left if game == "deletion" else -left)
        axes = tuple(range(1, by_values.ndim))
        size = xp.sqrt(xp.mean(by_values * by_values, axis=axes, keepdims=True)) + 1e-20
        change, state = optimizer.update(by_values / size, state, step)
        values = values + change * (1 - (1 - settings.end_factor) * step / settings.steps)
        total = total + values
    return Ranking(total / settings.steps, to_numpy(xp.stack(history, axis=1)))


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
    # Equal values are ranked from the centre on, as good a guess as any: sorting is stable, and the last are the first.
    outer_first = np.argsort(-centre_distance(tuple(like.shape[1:])), axis=None, kind="stable")
    back = constant_like(np.argsort(outer_first), like, integer=True)
    flat = flat[:, constant_like(outer_first, like, integer=True)]
    ranks = xp.astype(xp.argsort(xp.argsort(flat, axis=1), axis=1)[:, back], like.dtype)
    sound = to_numpy(xp.all(xp.reshape(finite, flat.shape), axis=1))
    return xp.reshape(2 * ranks / max(1, flat.shape[1] - 1) - 1, like.shape), sound


def _game_of(step: int, game: Game | Literal["both"]) -> Game:
    """Return what a step plays: of both, one after the other."""
    if game == "both":
        return "preservation" if step % 2 == 0 else "deletion"
    return game


def _beside(values: Array, maps: Array) -> Array:
    return namespace(values).reshape(values, (-1,) + (1,) * (maps.ndim - 1))
