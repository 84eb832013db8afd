"""The one loop: learn a batch of masks, each with its own state and its own end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.methods.mask.jitter import offset_at
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.optimizers import adam
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings

__all__ = ["Solution", "solve"]

WINDOW = 10
"""Steps between two looks at the objective on the host: each costs a wait for the device."""


@dataclass(frozen=True)
class Solution:
    """What the loop leaves.

    Attributes
    ----------
    mask
        (N, *cells), in the library of the start.
    history
        (N, steps) objective (eq. 4, with that step's jitter and the scale) before each step; NaN after a row's end, and
        where score or gradient were not finite.
    steps
        (N,) steps done for each row.
    """

    mask: Array
    history: np.ndarray[Any, Any]
    steps: np.ndarray[Any, Any]


def solve(
    score: MaskedScore,
    start: Array,
    regularizer: Regularizer,
    settings: Settings,
    seed: int,
    scale: Array,
) -> Solution:
    """Minimise eq. 4 over a batch of masks by projected Adam.

    Parameters
    ----------
    score
        The score as a function of the mask, N rows.
    start
        (N, *cells) first masks in [0, 1].
    regularizer
        λ1 area + λ2 total variation; knows the game.
    settings
        Steps, optimizer, jitter, averaging and tolerance.
    seed
        Of the jitter.
    scale
        (N,) factors of the scores; ones for eq. 4 as it stands.

    Notes
    -----
    A row leaves the batch when its objective is not finite or, with `settings.tolerance`, no longer falls.
    """
    xp = namespace(start)
    scale = scale if regularizer.game == "deletion" else -scale
    optimizer = adam(settings.learning_rate, settings.beta1, settings.beta2)
    mask, state, total = start, optimizer.init(start), start * 0
    active = np.arange(start.shape[0])
    history = np.full((start.shape[0], settings.steps), np.nan)
    results: dict[int, Array] = {}
    done = np.full(start.shape[0], settings.steps)
    recent: list[Array] = []
    for step in range(1, settings.steps + 1):
        offset = offset_at(seed, step, settings.jitter, mask.ndim - 1)
        value, by_score = score.value_and_gradient(mask, offset)
        penalty, by_penalty = regularizer(mask)
        recent.append(penalty + scale * value)
        change, state = optimizer.update(by_penalty + _per_row(scale, mask) * by_score, state, step)
        mask = xp.clip(mask + change, 0.0, 1.0)
        total = total + mask if settings.average else total
        if step % WINDOW and step < settings.steps:
            continue
        history[active, step - len(recent) : step] = to_numpy(xp.stack(recent, axis=1))
        recent = []
        stays = _stays(history[active, :step], settings.tolerance) & (step < settings.steps)
        for place in np.flatnonzero(~stays):
            results[int(active[place])] = total[place, ...] / step if settings.average else mask[place, ...]
        done[active[~stays]] = step
        if not stays.any():
            break
        if not stays.all():
            rows = constant_like(np.flatnonzero(stays), mask, integer=True)
            mask, total, score, active = mask[rows, ...], total[rows, ...], score.take(rows), active[stays]
            scale = scale[rows]
            state = tuple(one[rows, ...] for one in state)
    return Solution(xp.stack([results[row] for row in range(start.shape[0])]), history, done)


def _per_row(values: Array, mask: Array) -> Array:
    return namespace(values).reshape(values, (-1,) + (1,) * (mask.ndim - 1))


def _stays(history: np.ndarray[Any, Any], tolerance: float | None) -> np.ndarray[Any, Any]:
    """Which rows go on, by their objectives so far (N, steps)."""
    finite = np.asarray(np.isfinite(history[:, -WINDOW:]).all(axis=1))
    if tolerance is None or history.shape[1] < 2 * WINDOW:
        return finite
    last, before = history[:, -WINDOW:].mean(axis=1), history[:, -2 * WINDOW : -WINDOW].mean(axis=1)
    return np.asarray(finite & (before - last >= tolerance))
