"""Where the optimizer begins: the 99 % circle of the paper, or a level set of a gradient in mask space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.errors import InputError
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.settings import Settings, Start
from blackbox_explain.methods.upsampling import disc, smooth
from blackbox_explain.perturbations.perturbation import Game

__all__ = [
    "circle_start",
    "gradient_start",
    "integrated_mask_gradient",
    "most_queries",
    "start_mask",
    "widened_start",
]

Sound = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

RADII = np.arange(0, 171, 5) / (224 * math.sqrt(2) / 2)
"""The authors' radii, 0 to 170 pixels at 224 × 224, as shares of half the diagonal."""

SUPPRESSED = 0.99

WIDER = (0.3, 0.5, 0.7, 0.85, 1.0)
"""Shares of the cells that a start from a gradient goes on to where its own share does not change the score."""

STARTED = 0.5
"""Of what perturbing the whole image does to the score, this much is enough to start from."""

AUTHORS_EDGE = 10 / 8
"""The authors soften their circles by a blur of 10 pixels, in cells."""


def start_mask(
    score: MaskedScore,
    cells: tuple[int, ...],
    spatial: tuple[int, ...],
    settings: Settings,
    game: Game,
    original: Array,
    perturbed: Array,
) -> tuple[Array, Sound, Floats]:
    """Return the first masks of one batch.

    Parameters
    ----------
    score
        The score as a function of the mask.
    cells, spatial
        Sizes of the mask and of the image.
    settings
        Of which `start` decides.
    game
        ``"deletion"`` or ``"preservation"``.
    original, perturbed
        (N,) scores of the untouched and of the fully perturbed images.

    Returns
    -------
    masks
        (N, *cells).
    sound
        (N,) whether every answer that they rest on was finite.
    wider
        (N,) how much larger than usual the region that they start from is: 1, or more where evidence is spread.
    """
    xp = namespace(original)
    ones = constant_like(np.ones((original.shape[0], *cells)), original)
    if settings.start == "ones":
        return ones, np.ones(ones.shape[0], bool), np.ones(ones.shape[0])
    if settings.start == "gradient":
        gradient = integrated_mask_gradient(score, ones, settings.start_points)
        finite = xp.isfinite(gradient)
        known = xp.where(finite, gradient, ones * 0)
        masks, answered, wider = widened_start(score, known, settings.start_area, game, original, perturbed)
        return masks, answered & to_numpy(xp.all(xp.reshape(finite, (ones.shape[0], -1)), axis=1)), wider
    if settings.start == "circle":
        return *circle_start(score, ones, spatial, game, original, perturbed), np.ones(ones.shape[0])
    if settings.start == "authors_circle":
        return *circle_start(score, ones, spatial, game, original, None), np.ones(ones.shape[0])
    raise InputError(
        "There is no such start", got=repr(settings.start), expected="'circle', 'authors_circle', 'gradient' or 'ones'"
    )


def most_queries(start: Start) -> int:
    """Return how often a start asks for the score of each image, at most; gradients are not counted."""
    return len(RADII) + 1 if "circle" in start else 1 + len(WIDER) if start == "gradient" else 0


def circle_start(
    score: MaskedScore,
    ones: Array,
    spatial: tuple[int, ...],
    game: Game,
    original: Array,
    perturbed: Array | None,
) -> tuple[Array, Sound]:
    """Find for each image the smallest centred disc that suppresses (or keeps) the score by 99 %.

    Parameters
    ----------
    score, spatial, game
        As in `start_mask`.
    ones
        (N, *cells) of ones.
    original
        (N,) scores of the untouched images.
    perturbed
        (N,) scores of the fully perturbed images, which 99 % refers to (the paper); None refers to the largest disc
        instead and softens the edge of the discs (the authors' code).

    Returns
    -------
    masks
        (N, *cells): 0 inside the disc for deletion, 1 inside for preservation; the largest disc where none suffices.
    sound
        (N,) whether every answer was finite.
    """
    xp = namespace(ones)
    half_diagonal = math.hypot(*spatial) / 2
    discs = [constant_like(disc(tuple(ones.shape[1:]), spatial, r * half_diagonal), ones)[None, ...] for r in RADII]
    if perturbed is None:
        discs = [smooth(one, AUTHORS_EDGE) for one in discs]
    masks = [ones * (1 - d if game == "deletion" else d) for d in discs]
    if perturbed is None:
        largest = score.value(masks[-1])
        perturbed = largest if game == "deletion" else score.value(masks[0])
        original = original if game == "deletion" else largest
    reach = original - perturbed
    bound = original - SUPPRESSED * reach if game == "deletion" else perturbed + SUPPRESSED * reach
    waiting = np.arange(ones.shape[0])
    sound = to_numpy(xp.isfinite(bound)).copy()
    chosen = np.full(ones.shape[0], len(masks) - 1)
    remaining, rows = score, constant_like(waiting, ones, integer=True)
    for index, mask in enumerate(masks[:-1]):
        values = remaining.value(mask[rows, ...])
        sound[waiting] &= to_numpy(xp.isfinite(values))
        reached = to_numpy(values <= bound[rows] if game == "deletion" else values >= bound[rows])
        if not reached.any():
            continue
        chosen[waiting[reached]] = index
        waiting = waiting[~reached]
        if waiting.size == 0:
            break
        rows = constant_like(waiting, ones, integer=True)
        remaining = score.take(rows)
    return xp.stack([masks[index][row, ...] for row, index in enumerate(chosen)]), sound


def integrated_mask_gradient(score: MaskedScore, ones: Array, points: int) -> Array:
    """Integrate the gradient by the mask along the way from fully perturbed to untouched.

    Parameters
    ----------
    score
        The score as a function of the mask.
    ones
        (N, *cells) of ones.
    points
        Midpoints of the integral, one gradient each.

    Returns
    -------
    Array
        (N, *cells); high where restoring a cell raises the score, NaN all over rows of which a score or a gradient on
        the way was not finite.
    """
    xp = namespace(ones)
    total, finite = ones * 0, ones[(slice(None), *[0] * (ones.ndim - 1))] > 0
    for point in range(points):
        value, gradient = score.value_and_gradient(ones * ((point + 0.5) / points))
        total = total + gradient
        finite = finite & xp.isfinite(value)
    return xp.where(xp.reshape(finite, (-1,) + (1,) * (ones.ndim - 1)), total / points, xp.nan * ones)


def widened_start(
    score: MaskedScore, gradient: Array, share: float, game: Game, original: Array, perturbed: Array
) -> tuple[Array, Sound, Floats]:
    """Turn a gradient in mask space into a start that changes the score, by a larger level set where it must be.

    Where a score is flat around the start, as that of a sure classifier whose evidence is spread is, no step finds a
    way down, and the region shrinks to nothing.

    Parameters
    ----------
    score, game, original, perturbed
        As in `start_mask`.
    gradient
        (N, *cells).
    share
        Share of the cells in the first level set.

    Returns
    -------
    masks
        (N, *cells) of the first share among `share` and `WIDER` that does half of what perturbing the whole image does;
        of `share` where none does.
    sound
        (N,) whether every answer was finite.
    wider
        (N,) the share taken, in units of `share`.
    """
    xp = namespace(gradient)
    shares = [share, *(one for one in WIDER if one > share)]
    masks = [gradient_start(gradient, one, game) for one in shares]
    with np.errstate(invalid="ignore"):  # infinite scores fail their row below
        enough = original - STARTED * (original - perturbed)
    waiting, chosen = np.arange(gradient.shape[0]), np.zeros(gradient.shape[0], np.int64)
    sound = to_numpy(xp.isfinite(enough)).copy()
    remaining, rows = score, constant_like(waiting, gradient, integer=True)
    for index, mask in enumerate(masks):
        values = remaining.value(mask[rows, ...])
        sound[waiting] &= to_numpy(xp.isfinite(values))
        reached = to_numpy(values <= enough[rows] if game == "deletion" else values >= enough[rows])
        chosen[waiting[reached]] = index
        waiting = waiting[~reached]
        if waiting.size == 0:
            break
        rows = constant_like(waiting, gradient, integer=True)
        remaining = score.take(rows)
    starts = xp.stack([masks[index][row, ...] for row, index in enumerate(chosen)])
    return starts, sound, np.asarray(shares)[chosen] / max(share, 1e-9)


def gradient_start(gradient: Array, share: float, game: Game) -> Array:
    """Turn a gradient in mask space (N, *cells) into a start: its highest cells deleted or kept, the edge softened.

    Parameters
    ----------
    gradient
        (N, *cells).
    share
        Share of the cells in the level set.
    game
        ``"deletion"`` or ``"preservation"``.
    """
    xp = namespace(gradient)
    ranked = smooth(gradient, 1.0)
    flat = xp.reshape(ranked, (ranked.shape[0], -1))
    count = max(1, round(share * flat.shape[1]))
    threshold = xp.sort(flat, axis=1)[:, flat.shape[1] - count]
    threshold = xp.reshape(threshold, (-1,) + (1,) * (gradient.ndim - 1))
    inside = smooth(xp.astype(ranked >= threshold, gradient.dtype), 1.0)
    return 1 - inside if game == "deletion" else inside
