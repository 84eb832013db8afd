"""The gradient of a score by the mask without any gradient of the model: a linear model of recent answers.

Every query of the black box is one more equation in the same unknown, the slope of the score around the present mask.
Ridge regression over all recent queries, older ones forgotten by and by, therefore needs a few queries a step where an
estimate from each step alone needs dozens.  Probabilities are fitted as log-odds, which stay straight where the
probability itself is flat.  What is known in closed form, area and total variation, is never estimated.

A mask is asked about with small changes of its values added.  A ranking is asked about by level sets, of the same
share, of maps around it: each is a deletion as it is meant, far from the others, where the score says something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from blackbox_explain.arrays import (
    Array,
    along_axes,
    channel_products,
    constant_like,
    gaussian_matrix,
    namespace,
    one_thread,
    to_numpy,
)
from blackbox_explain.box.targets import target_scores
from blackbox_explain.methods.mask.level_set import LevelSet
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.upsampling import KERNEL_CELLS
from blackbox_explain.perturbations.perturbation import Game, real_axes

__all__ = ["EstimatedScore", "QueryPlan", "SlopeModel"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

UNKNOWNS = 196
"""Most numbers that the slope is described by: 14 × 14 smooth bumps for a mask of 28 × 28."""

BUMP = 0.7
"""Width of a bump, in bumps."""

AMPLITUDE = (0.2, 0.1)
"""Size of the probes around the mask, at the first and at the last step."""

SPREAD = 1.0
"""Size of the probes around a map whose level sets are asked about, in standard deviations of that map."""

SMOOTHNESS = (3.0, 1.0)
"""Their smoothness in cells, likewise: from coarse to fine."""

HALF_LIFE = 0.2
"""Share of the run after which a query counts half."""

RIDGE = 0.1
"""Strength of the prior (no slope at all), in mean variances of what was asked."""

PRIOR, LEAST_PRIOR = 0.5, 0.05
"""To which power expected sizes of slopes follow the change of the pixels, and their least share of the mean."""

RECENT = 3
"""Calls that asked, whose queries tell the level of the score."""

LEAST_ODDS = 1e-6
"""Probabilities are kept this far from 0 and 1, those in steps by half a step, what is nearer together is the same."""

ROUNDING = 1e-9
"""Added before a number is rounded down that may be meant to be whole."""

SLACK = 1e-5
"""Rounding, by which sums of probabilities may leave 0 to 1."""

GROUP = 12
"""Queries that are asked together, at least: where fewer are due at a call, one call asks for several."""


@dataclass(frozen=True)
class QueryPlan:
    """How queries are spent.

    Attributes
    ----------
    budget
        Most images that the model is run on for one row.
    calls
        Number of gradients that will be asked for.
    seed
        Of the probes.
    """

    budget: int
    calls: int
    seed: int

    def due(self, call: int, used: int) -> int:
        """Return the queries of one call, counted from 0, given those used: what is left, in even groups."""
        left, calls = self.budget - used, self.calls - call
        if left <= 0 or calls <= 0:
            return 0
        period = max(1, math.ceil(GROUP * calls / left))
        if calls == 1:
            return left
        return min(left, round(left / calls * min(period, calls))) if call % period == 0 else 0

    def probes(self, call: int, count: int, cells: tuple[int, ...]) -> Floats:
        """Return smooth probes (count, *cells) in pairs of opposite sign, of size 1; the last of an odd number is 0.

        They depend on seed, call and count and on nothing else; the pairs of fewer probes are the first of more.
        """
        sigma = self._between(SMOOTHNESS, call)
        noise = np.random.default_rng([self.seed, call, 0x70726F6265]).standard_normal((count // 2, *cells))
        smoothed = along_axes(tuple(gaussian_matrix(n, n, sigma) for n in cells), noise)
        axes = tuple(range(1, smoothed.ndim))
        smoothed /= np.maximum(np.sqrt(np.mean(smoothed**2, axis=axes, keepdims=True)), 1e-12)
        pairs = np.stack([smoothed, -smoothed], axis=1).reshape(-1, *cells)
        return np.concatenate([pairs, np.zeros((count % 2, *cells))])

    def amplitude(self, call: int) -> float:
        """Return the size of the probes around a mask."""
        return self._between(AMPLITUDE, call)

    def _between(self, ends: tuple[float, float], call: int) -> float:
        return ends[0] + (ends[1] - ends[0]) * call / max(self.calls - 1, 1)


class SlopeModel:
    """A linear model of one row's score in the mask, fitted to its recent queries.

    Parameters
    ----------
    cells
        Shape of the mask.
    odds
        Fit log-odds, as long as no score leaves 0 to 1.
    half_life
        Calls after which a query counts half.
    changes
        (*cells) how much deleting changes the pixels of a cell, squared and summed, which slopes are expected to
        follow; None expects them of the same size everywhere.
    """

    def __init__(self, cells: tuple[int, ...], odds: bool, half_life: float, changes: Floats | None = None) -> None:
        shrink = min(1.0, (UNKNOWNS / math.prod(cells)) ** (1 / real_axes(cells)))
        self._matrices = tuple(gaussian_matrix(n, max(1, int(n * shrink + ROUNDING)), BUMP) for n in cells)
        unknowns = math.prod(matrix.shape[1] for matrix in self._matrices)
        self._odds = odds
        self._least_odds, self._steps = 0.5, np.asarray([0.0, 1.0])
        self._kept = 0.5 ** (1 / half_life)
        self._weight, self._value = 0.0, 0.0
        self._mean = np.zeros(unknowns)
        self._products, self._answers = np.zeros((unknowns, unknowns)), np.zeros(unknowns)
        self._recent: list[tuple[Floats, Floats]] = []
        self._waited = 0
        self._slope = np.zeros(unknowns)
        self._expected = np.ones(unknowns) if changes is None else self._expected_of(changes)

    def learn(self, masks: Floats, scores: Floats) -> None:
        """Add the queries of one call: masks (n, *cells) and the target's scores (n,); n may be 0."""
        self._waited += 1
        if not len(masks):
            return
        kept, self._waited = self._kept**self._waited, 0
        for total in (self._products, self._answers, self._mean):
            total *= kept
        self._weight, self._value = self._weight * kept, self._value * kept
        if self._odds and np.any(np.abs(scores - 0.5) > 0.5 + SLACK):
            # No probabilities after all: what was fitted as their log-odds says nothing of the scores themselves.
            self._odds, self._recent, self._weight, self._value = False, [], 0.0, 0.0
            for total in (self._products, self._answers, self._mean):
                total[...] = 0
        if self._odds and self._least_odds > LEAST_ODDS:
            # An answer of 0, in steps of 1/256, says that the score is below 1/512 and no more.
            self._steps = np.unique(np.concatenate([self._steps, np.clip(scores, 0.0, 1.0)]))
            gaps = np.diff(self._steps)
            self._least_odds = max(LEAST_ODDS, 0.5 * gaps[gaps > LEAST_ODDS].min())
        places, values = self._places(masks), self._forward(scores)
        with one_thread():
            self._products += places.T @ places
        self._answers += places.T @ values
        self._mean += places.sum(axis=0)
        self._weight, self._value = self._weight + len(values), self._value + values.sum()
        self._recent = [*self._recent, (places, values)][-RECENT:]
        mean = self._mean / self._weight
        spread = (self._products - self._weight * np.outer(mean, mean)) * np.outer(self._expected, self._expected)
        spread[np.diag_indices_from(spread)] += RIDGE * np.trace(spread) / len(mean) + 1e-12
        with one_thread():
            self._slope = self._expected * np.linalg.solve(
                spread, self._expected * (self._answers - self._value * mean)
            )

    def at(self, mask: Floats) -> tuple[float, Floats]:
        """Return the score and its gradient (*cells) at a mask (*cells)."""
        if not self._recent:
            return math.nan, np.zeros(mask.shape)
        here = self._places(mask[None])[0]
        values = np.concatenate([value - (place - here) @ self._slope for place, value in self._recent])
        score, by_value = self._backward(float(values.mean()))
        bumps = self._slope.reshape([matrix.shape[1] for matrix in self._matrices])
        return score, by_value * along_axes(self._matrices, bumps)

    def _expected_of(self, changes: Floats) -> Floats:
        """Return what sizes of slopes are expected, relative to each other: none where deleting changes nothing.

        The square root of the change is between no prior, and one by which flat parts of an object hardly count.
        """
        size = np.sqrt(np.maximum(self._places(changes[None])[0], 0.0))
        mean = float(size.mean())
        return np.maximum((size / mean) ** PRIOR, LEAST_PRIOR) if mean > 0 else np.ones(len(size))

    def _places(self, masks: Floats) -> Floats:
        return along_axes(self._matrices, masks, transpose=True).reshape(len(masks), -1)

    def _forward(self, scores: Floats) -> Floats:
        if not self._odds:
            return scores
        inside = np.clip(scores, self._least_odds, 1 - self._least_odds)
        return np.log(inside / (1 - inside))

    def _backward(self, value: float) -> tuple[float, float]:
        """Return the score that a fitted value stands for, and its derivative."""
        if not self._odds:
            return value, 1.0
        score = 0.5 * (1 + math.tanh(0.5 * value))
        return score, score * (1 - score)


@dataclass
class EstimatedScore(MaskedScore):
    """`MaskedScore` of a black box without gradients: its gradient is estimated in mask space.

    Attributes
    ----------
    plan
        How queries are spent.
    models
        One for each row, made at the first call.
    softness
        τ of level sets, where maps are ranked; None where masks are learned.  Of maps all probes are level sets, and
        slopes are expected to follow how much deleting changes the pixels.
    call
        Gradients asked for so far.
    """

    plan: QueryPlan = field(default_factory=lambda: QueryPlan(0, 1, 0))
    models: list[SlopeModel] = field(default_factory=list[SlopeModel])
    softness: float | None = None
    call: int = 0

    def take(self, rows: Array) -> Self:
        """Return the same for some of the rows."""
        models = [self.models[row] for row in to_numpy(rows)] if self.models else []
        return replace(super().take(rows), models=models)

    def value_and_gradient(self, mask: Array, offset: tuple[int, ...] | None = None) -> tuple[Array, Array]:
        """Return the estimated scores (N,) and their estimated gradient by the mask (N, *cells).

        Parameters
        ----------
        mask
            (N, *cells) in [0, 1].
        offset
            Place of the window on the jitter's canvas; None is no jitter.

        Notes
        -----
        Where an answer of the model is not finite, the score is NaN and the gradient zero.
        """
        masks = to_numpy(mask).astype(np.float64)
        queries = [self._around(one, probes) for one, probes in self._with_probes(masks)]
        values, gradient = self._learned(queries, masks, mask, offset)
        return constant_like(values, mask), constant_like(gradient, mask)

    def of_level_set(
        self, maps: Array, share: float, softness: float, game: Game, offset: tuple[int, ...] | None = None
    ) -> tuple[Array, Array]:
        """Return the estimated score of a level set, and how what is minimised changes with the map, as `MaskedScore`.

        It is drawn on the cells of the map, smoothed, since that is where slopes are known.  What is asked for are the
        level sets of the same share of maps around this one: they tell most of where its edge should run.
        """
        native = tuple(gaussian_matrix(n, n, KERNEL_CELLS) for n in maps.shape[1:])
        smoothed = along_axes(native, to_numpy(maps).astype(np.float64))
        level = LevelSet.of(smoothed, share, softness)
        queries = [
            LevelSet.of(one + SPREAD * one.std() * probes, share, softness).kept(game) if len(probes) else probes
            for one, probes in self._with_probes(smoothed)
        ]
        values, by_keep = self._learned(queries, level.kept(game), maps, offset)
        by_maps = along_axes(native, level.by_map(-by_keep), transpose=True)
        return constant_like(values, maps), constant_like(by_maps, maps)

    def _around(self, mask: Floats, probes: Floats) -> Floats:
        """Return masks (n, *cells) around one: with probes added, or level sets of probes of the share it deletes."""
        if self.softness is None or not len(probes):
            return np.clip(mask + self.plan.amplitude(self.call) * probes, 0.0, 1.0)
        return LevelSet.of(probes, 1 - float(mask.mean()), self.softness).kept("deletion")

    def _with_probes(self, values: Floats) -> list[tuple[Floats, Floats]]:
        """Return values (*cells) of each row with the probes (n, *cells) that are due."""
        due = [self.plan.due(self.call, int(count)) for count in self.oracle.queries[:, 0]]
        # By count, so that a row's probes do not depend on how many its company is due.
        probes = {count: self.plan.probes(self.call, count, values.shape[1:]) for count in set(due)}
        return [(one, probes[count]) for one, count in zip(values, due, strict=True)]

    def _learned(
        self, queries: list[Floats], masks: Floats, like: Array, offset: tuple[int, ...] | None
    ) -> tuple[Floats, Floats]:
        """Ask for the scores of queries (n, *cells); return the scores and gradients at masks that are fitted now."""
        answers = self._answers(queries, like, offset)
        if not self.models:
            half_life = max(1.0, HALF_LIFE * self.plan.calls)
            least = to_numpy(self.weights).min(axis=1)
            expected = self._changes(like) if self.softness is not None else [None] * len(least)
            self.models = [
                SlopeModel(masks.shape[1:], bool(lowest >= 0), half_life, changes)
                for lowest, changes in zip(least, expected, strict=True)
            ]
        values, gradient = np.full(len(masks), np.nan), np.zeros(masks.shape)
        for row, model in enumerate(self.models):
            if np.isfinite(answers[row]).all():
                model.learn(queries[row], answers[row])
                values[row], gradient[row] = model.at(masks[row])
        self.call += 1
        return values, gradient

    def _changes(self, like: Array) -> Floats:
        """Return the sums over each cell of how much deleting changes its pixels, squared: (N, *cells)."""
        xp = namespace(like)
        kept = self.upsampling.up(xp.ones_like(like))
        change = self.resting.mixed(kept)[0] - self.resting.mixed(xp.zeros_like(kept))[0]
        return to_numpy(self.upsampling.down(channel_products(change, change))).astype(np.float64)

    def _answers(self, queries: list[Floats], like: Array, offset: tuple[int, ...] | None) -> list[Floats]:
        """Ask for the targets' scores at masks (n, *cells) of each row, a few at a time."""
        of_row = np.repeat(np.arange(len(queries)), [len(one) for one in queries])
        if not len(of_row):
            return [np.zeros(0) for _ in queries]
        masks = np.concatenate(queries)
        stack = self.resting if offset is None else self.moving

        def images(part: slice) -> Array:
            return stack.images(self.upsampling.up(constant_like(masks[part], like)), of_row[part], offset)

        scores = self.oracle.scores_of(images, len(masks), of_row)
        weights = self.weights[constant_like(of_row, like, integer=True), ...]
        found = to_numpy(target_scores(scores, weights)).astype(np.float64)
        return np.split(found, np.cumsum([len(one) for one in queries])[:-1])
