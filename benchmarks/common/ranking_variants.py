"""Other ways to learn a ranking than the library's, for comparison: the same score, start and number of gradients."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal
from unittest.mock import patch

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.methods.mask import mask
from blackbox_explain.methods.mask.jitter import canvas, offset_at
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.optimizers import adam
from blackbox_explain.methods.mask.ranking import Ranking, share_at
from blackbox_explain.methods.mask.regularizers import total_variation
from blackbox_explain.methods.mask.settings import Settings, make_perturbation
from blackbox_explain.methods.upsampling import smooth
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Game

__all__ = ["Variant", "learned_by"]

MIXED_EVERY = 3
"""Steps, of which one sees the other perturbation."""

Result = Literal["mean of all", "mean of the last three quarters", "mean of the second half", "last"]


@dataclass(frozen=True)
class Variant:
    """What is otherwise than in the library; without any, the library's own loop.

    Attributes
    ----------
    result
        Which maps the result is.
    tv_weight
        Of the total variation of the map, beside a gradient of mean size 1.
    two_shares
        Each step deletes a share and its mirror image among the shares; half as many steps.
    together
        Each step deletes a share and keeps it alone; half as many steps.
    coarse
        Cells that changes are smoothed by at first, falling to none in the middle: from coarse to fine.
    mixed_with
        A perturbation that every third step deletes by.
    """

    result: Result = "mean of the last three quarters"
    tv_weight: float = 0.0
    two_shares: bool = False
    together: bool = False
    coarse: float = 0.0
    mixed_with: str = ""


@contextmanager
def learned_by(variant: Variant) -> Generator[None]:
    """Let `blackbox_explain.explain` learn its rankings by a variant."""

    def learn(
        score: MaskedScore, start: Array, settings: Settings, seed: int, perturbed: Array, scale: Array
    ) -> Ranking:
        return _learn(variant, score, start, settings, seed, perturbed, scale)

    with patch.object(mask, "learn_ranking", learn):
        yield


def _learn(
    variant: Variant,
    score: MaskedScore,
    start: Array,
    settings: Settings,
    seed: int,
    perturbed: Array,
    scale: Array,
) -> Ranking:
    xp = namespace(start)
    steps = settings.steps // 2 if variant.two_shares or variant.together else settings.steps
    other = _with_perturbation(score, start, settings, variant.mixed_with) if variant.mixed_with else score
    optimizer = adam(1.0, settings.beta1, settings.beta2, settings.epsilon)
    values, state = start, optimizer.init(start)
    maps, history = list[Array](), list[Array]()
    for step in range(1, steps + 1):
        asked = other if step % MIXED_EVERY == 0 else score
        gradient = start * 0
        for share, game in _asked_at(variant, settings, step):
            offset = offset_at(seed, step, settings.jitter, start.ndim - 1)
            value, by_values = asked.of_level_set(values, share, settings.softness, game, offset)
            gradient = gradient + _of_unit_size(by_values)
            history.append((value - perturbed) * scale)
        if variant.coarse:
            width = variant.coarse * max(0.0, 1 - 2 * step / steps)
            gradient = _of_unit_size(smooth(gradient, width)) if width > 0 else gradient
        if variant.tv_weight:
            gradient = gradient + variant.tv_weight * total_variation(values, 2.0, "isotropic")[1]
        change, state = optimizer.update(_of_unit_size(gradient), state, step)
        values = values + change * settings.learning_rate * (1 - (1 - settings.end_factor) * step / steps)
        maps.append(values)
    if variant.result == "last":
        maps = maps[-1:]
    elif variant.result == "mean of the last three quarters":
        maps = maps[len(maps) // 4 :]
    elif variant.result == "mean of the second half":
        maps = maps[len(maps) // 2 :]
    return Ranking(xp.mean(xp.stack(maps), axis=0), to_numpy(xp.stack(history, axis=1)))


def _asked_at(variant: Variant, settings: Settings, step: int) -> list[tuple[float, Game]]:
    """Return the shares of a step, and whether they are deleted or kept."""
    share = share_at(step, settings.least_share, settings.most_share)
    if variant.together:
        return [(share, "deletion"), (share, "preservation")]
    game: Game = "preservation" if settings.game == "preservation" else "deletion"
    if settings.game == "both":
        game = "preservation" if step % 2 == 0 else "deletion"
    if variant.two_shares:
        return [(share, game), (settings.least_share * settings.most_share / share, game)]
    return [(share, game)]


def _with_perturbation(score: MaskedScore, start: Array, settings: Settings, name: str) -> MaskedScore:
    """Return the same score under another perturbation."""
    images = score.images(start * 0 + 1)
    levels = make_perturbation(settings, name).levels(images, score.oracle.box.spec, 0)
    spatial = score.oracle.box.spec.spatial
    moving = LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spatial)
    return replace(score, moving=moving, resting=LevelStack(levels, spatial))


def _of_unit_size(gradient: Array) -> Array:
    xp = namespace(gradient)
    axes = tuple(range(1, gradient.ndim))
    return gradient / (xp.sqrt(xp.mean(gradient * gradient, axis=axes, keepdims=True)) + 1e-20)
