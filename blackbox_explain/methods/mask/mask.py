"""The mask learner as a method: it ranks pixels, or learns the mask of eq. 4, by what deleting does to a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import target_scores
from blackbox_explain.errors import BlackBoxExplainError, ModelError
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.region import REGION_QUERIES, SHARES, Regions
from blackbox_explain.explanation.suppression import suppression
from blackbox_explain.methods.mask.estimated_gradient import GROUP, EstimatedScore, QueryPlan
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.ranking import learn_ranking, ranking_start
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings, make_perturbation
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.mask.starts import most_queries, start_mask
from blackbox_explain.methods.method import PERTURBED, Attribution, Budget, Completed
from blackbox_explain.methods.upsampling import important_of, make_upsampling, mask_shape_for
from blackbox_explain.perturbations.deletion import ranks
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.perturbation import Game, Reference

__all__ = ["Mask"]

ENDS, MASKED = 2, 1
"""Queries for the scores of an untouched and of a fully perturbed image, and of the image that a mask makes."""

AFTERWARDS = REGION_QUERIES + 2 * MASKED
"""Most queries after learning besides `REGION_QUERIES`: a row on whose company the model fails is asked about twice."""

LEAST_FALL = 0.05
"""A score that falls by less than this is not blown up further."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned of one batch.

    Attributes
    ----------
    mask
        (N, *cells), in the library of the box; None of a ranking, whose mask is its region.
    saliency
        (N, *spatial) in [0, 1].
    history
        (N, steps) what was minimised, before each step.
    steps
        (N,) steps done for each row.
    sound
        (N,) whether every answer that the start rests on was finite.
    """

    mask: Array | None
    saliency: Floats
    history: Floats
    steps: np.ndarray[Any, Any]
    sound: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Mask(Settings):
    """Learn which pixels destroy the score of a target when they are deleted, or keep it when nothing else is left.

    Its fields are those of `Settings`; the result is a `MaskExplanation`.
    """

    name: ClassVar[str] = "mask"
    needs: ClassVar[type[Any]] = BlackBox

    def budget(self, info: BoxInfo) -> Budget:
        """Return steps and what comes before and after them; `queries` where the gradient is estimated."""
        if info.exact:
            return Budget(ENDS - PERTURBED + self._start_queries + self._started + self.steps + MASKED)
        # What `with_region` adds is part of what was allowed.
        return Budget(self.queries - PERTURBED - REGION_QUERIES, ENDS + self._start_queries + GROUP + AFTERWARDS)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Learn the masks of one batch.

        Raises
        ------
        InputError
            If there are not as many references as images.
        """
        spec = oracle.box.spec
        settings = self.at(spec.spatial, exact=oracle.info.exact)
        made = make_perturbation(settings)
        xp = namespace(images)
        cells = mask_shape_for(spec.spatial, settings.mask_shape, settings.stride)
        levels = levels_of(taken(made, oracle.rows, len(oracle.counts), oracle.box.spec), images, spec, seed)
        score = settings.masked_score(
            oracle,
            LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spec.spatial),
            LevelStack(levels, spec.spatial),
            cells,
            weights,
            seed,
        )
        original = target_scores(oracle.originals, weights)
        all_perturbed = oracle.scores(levels[0, ...])
        perturbed = target_scores(all_perturbed, weights)
        learned = (
            settings.ranked(score, cells, seed, original, perturbed)
            if self.learns == "ranking"
            else settings.masked(score, cells, seed, original, perturbed)
        )
        ends = np.stack([to_numpy(original), to_numpy(perturbed)], axis=1)
        record = settings.to_dict()

        def complete(regions: Regions) -> Completed:
            """Tell of the mask; that of a ranking is its region, whose edge is softened where it is applied."""
            mask, upsampling = learned.mask, score.upsampling
            if mask is None:
                kept = regions.region ^ (settings.region_game == "deletion")
                mask = constant_like(kept.astype(np.float32), original)
                upsampling = make_upsampling(settings.upsampling, spec.spatial, spec.spatial, original)
            upsampled = upsampling.up(mask)
            masked = to_numpy(score.resting.mixed(upsampled)[0])
            answers = oracle.answers(masked.__getitem__, len(masked))
            after = target_scores(answers.scores, to_numpy(weights))
            important = important_of(upsampled, settings.region_game)
            sign = 1.0 if settings.region_game == "deletion" else -1.0
            objective = (
                ranking_objective(regions.curve, ends[:, 0], ends[:, 1], settings)
                if learned.mask is None
                else to_numpy(settings.regularizer(mask)[0]) + sign * after
            )
            fields = {
                "mask": to_numpy(mask),
                "score_masked": after,
                "suppression": suppression(ends[:, 0], after, ends[:, 1]),
                "area": to_numpy(xp.mean(important, axis=tuple(range(1, important.ndim)))),
                "objective": objective,
                "masked_images": masked,
            }
            return Completed(fields, answers.failures)

        return Attribution(
            saliency=learned.saliency,
            failures=_not_finite(ends, learned),
            gone=to_numpy(levels[0, ...]),
            perturbation_name=record["perturbation"],
            game=settings.region_game,
            perturbed=to_numpy(all_perturbed),
            settings=record,
            gradients="exact" if oracle.info.exact else "estimated",
            result=MaskExplanation,
            more={
                "learns": self.learns,
                "history": learned.history,
                "reference": to_numpy(levels[0, ...]) if isinstance(made, Reference) else None,
            },
            complete=complete,
        )

    @property
    def regularizer(self) -> Regularizer:
        """λ1 area + λ2 total variation of eq. 4."""
        return Regularizer(self.area_weight, self.tv_weight, self.tv_beta, self.tv_kind, self.region_game)

    @property
    def region_game(self) -> Game:
        """What the region is asked to do; that of a ranking learned for both games is deleted."""
        return "preservation" if self.game == "preservation" else "deletion"

    def ranked(
        self, score: MaskedScore, cells: tuple[int, ...], seed: int, original: Array, perturbed: Array
    ) -> Learned:
        """Learn rankings; the saliency is the share of the pixels that come later."""
        like = constant_like(np.zeros((original.shape[0], *cells)), original)
        start, sound = ranking_start(score, like, self)
        ranking = learn_ranking(score, start, self, seed, perturbed, score_scale(original, perturbed))
        values = to_numpy(score.upsampling.up(ranking.values))
        # Nothing is ranked where there is no map.
        saliency = np.stack([1 - ranks(one) / one.size if np.isfinite(one).all() else one * np.nan for one in values])
        steps = np.full(len(values), self.steps)
        return Learned(None, saliency.astype(values.dtype), ranking.history, steps, sound)

    def masked(
        self, score: MaskedScore, cells: tuple[int, ...], seed: int, original: Array, perturbed: Array
    ) -> Learned:
        """Learn masks by eq. 4."""
        xp = namespace(original)
        spatial = score.oracle.box.spec.spatial
        start, sound, wider = start_mask(score, cells, spatial, self, self.region_game, original, perturbed)
        scale = xp.ones_like(original)
        if self.relative:
            # A region that must be large may cost no more than one that need not.
            scale = score_scale(original, perturbed) * constant_like(wider, original)
        solution = solve(score, start, self.regularizer, self, seed, scale)
        upsampled = to_numpy(score.upsampling.up(solution.mask))
        saliency = important_of(upsampled, self.region_game)
        return Learned(solution.mask, saliency, solution.history, solution.steps, sound)

    def masked_score(
        self,
        oracle: Oracle,
        moving: LevelStack,
        resting: LevelStack,
        cells: tuple[int, ...],
        weights: Array,
        seed: int,
    ) -> MaskedScore:
        """Return the score as a function of the mask, with its gradient or an estimate of it."""
        upsampling = make_upsampling(self.upsampling, cells, oracle.box.spec.spatial, weights)
        if oracle.info.exact:
            return MaskedScore(oracle, upsampling, moving, resting, weights)
        plan = QueryPlan(self.queries - REGION_QUERIES - AFTERWARDS, self.steps + self._started, seed)
        softness = self.softness if self.learns == "ranking" else None
        return EstimatedScore(oracle, upsampling, moving, resting, weights, plan, softness=softness)

    @property
    def _start_queries(self) -> int:
        return most_queries(self.start) if self.learns == "mask" else 0

    @property
    def _started(self) -> int:
        return self.start_points if self.start == "gradient" else 0


def score_scale(original: Array, perturbed: Array) -> Array:
    """Return what makes the fall from the original to the fully perturbed score one: (N,), at most 1 / `LEAST_FALL`."""
    xp = namespace(original)
    before, fully = (xp.where(xp.isfinite(one), one, xp.zeros_like(one)) for one in (original, perturbed))
    return 1 / xp.clip(before - fully, LEAST_FALL, None)


def ranking_objective(curve: Floats, original: Floats, perturbed: Floats, settings: Settings) -> Floats:
    """Return the mean over the shares of a curve (n, S) that a ranking was learned for, as `Ranking.history` counts.

    Parameters
    ----------
    curve
        (n, S) target scores at `SHARES`.
    original, perturbed
        (n,) target scores of the images, and of the fully perturbed ones.
    settings
        Their least and most share; of preservation the mean is negative, since it is to be large.
    """
    shares = np.asarray(SHARES)
    learned = (shares >= settings.least_share) & (shares <= settings.most_share)
    columns = curve[:, learned] if learned.any() else curve
    with np.errstate(invalid="ignore"):  # a row whose scores are infinite fails for that
        left = (columns.mean(axis=1) - perturbed) * score_scale(original, perturbed)
    return left * (-1.0 if settings.game == "preservation" else 1.0)


def _not_finite(ends: Floats, learned: Learned) -> dict[int, BlackBoxExplainError]:
    """Return why there is no mask, by row, where a score or a gradient was not finite."""
    failures: dict[int, BlackBoxExplainError] = {}
    for row, (scores, done) in enumerate(zip(ends, learned.steps, strict=True)):
        if not np.isfinite(scores).all():
            failures[row] = _failure(f"scores {_listed(scores)} of the image and fully perturbed")
        elif not learned.sound[row] or not np.isfinite(learned.history[row, :done]).all():
            failures[row] = _failure("NaN or infinity while the mask was learned")
    return failures


def _failure(got: str) -> ModelError:
    return ModelError("Scores or gradients are not finite", got=got)


def _listed(scores: Sequence[float] | Floats) -> str:
    return ", ".join(f"{value:g}" for value in scores)
