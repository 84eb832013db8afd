"""The mask learner as a method: the smallest mask whose deletion destroys the score, or whose preservation keeps it."""

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
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.suppression import suppression
from blackbox_explain.methods.mask.estimated_gradient import GROUP, RESERVE, EstimatedScore, QueryPlan
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings, make_perturbation
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.mask.starts import most_queries, start_mask
from blackbox_explain.methods.mask.upsampling import make_upsampling, mask_shape_for
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Reference

__all__ = ["Mask"]

ENDS = 2
"""Queries for the scores of an untouched and of a fully perturbed image."""

LEAST_FALL = 0.05
"""A score that falls by less than this is not blown up further."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Mask(Settings):
    """Learn the smallest mask whose deletion destroys, or whose preservation keeps, the score of a target (eq. 4).

    Its fields are those of `Settings`; the result is a `MaskExplanation`.
    """

    name: ClassVar[str] = "mask"
    needs: ClassVar[type[Any]] = BlackBox

    def budget(self, info: BoxInfo) -> Budget:
        """Return steps and what comes before and after them; `queries` where the gradient is estimated."""
        if info.exact:
            return Budget(ENDS + most_queries(self.start) + self._started + self.steps + RESERVE)
        return Budget(self.queries, ENDS + most_queries(self.start) + GROUP + RESERVE)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Learn the masks of one batch.

        Raises
        ------
        InputError
            If there are not as many references as images.
        """
        spec = oracle.box.spec
        settings = self.at(spec.spatial)
        made = make_perturbation(settings)
        if isinstance(made, Reference) and len(made.images) not in (1, len(oracle.counts)):
            expected = f"1 or {len(oracle.counts)}"
            raise InputError("The references do not match the images", got=str(len(made.images)), expected=expected)
        xp = namespace(images)
        regularizer = Regularizer(
            settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, self.game
        )
        cells = mask_shape_for(spec.spatial, settings.mask_shape)
        levels = made.take(oracle.rows).levels(images, spec, seed)
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
        start, sound, wider = start_mask(score, cells, spec.spatial, settings, self.game, original, perturbed)
        scale = xp.ones_like(original)
        if settings.relative:
            # A region that must be large may cost no more than one that need not.
            scale = score_scale(original, perturbed) * constant_like(wider, original)
        solution = solve(score, start, regularizer, settings, seed, scale)
        masked = score.images(solution.mask)
        after = score.of_images(masked)
        upsampled = score.upsampling.up(solution.mask)
        important = 1 - upsampled if self.game == "deletion" else upsampled
        region = xp.astype(upsampled >= 0.5, upsampled.dtype)
        without = score.resting.mixed(region)[0]
        in_region = oracle.scores(without)
        sign = 1.0 if self.game == "deletion" else -1.0
        parts = {
            "mask": solution.mask,
            "score_masked": after,
            "score_perturbed": perturbed,
            "score_region": target_scores(in_region, weights),
            "area": xp.mean(important, axis=tuple(range(1, important.ndim))),
            "objective": regularizer(solution.mask)[0] + sign * after,
            "history": solution.history,
            "masked_images": masked,
            "region_images": without,
        }
        arrays = {name: to_numpy(part) for name, part in parts.items()}
        ends = np.stack([to_numpy(original), arrays["score_masked"], arrays["score_perturbed"]], axis=1)
        record = settings.to_dict()
        return Attribution(
            saliency=to_numpy(important),
            failures=_not_finite(ends, arrays["history"], solution.steps, sound),
            after=to_numpy(in_region),
            perturbed=to_numpy(all_perturbed),
            settings=record,
            gradients="exact" if oracle.info.exact else "estimated",
            result=MaskExplanation,
            more={
                **arrays,
                "game": self.game,
                "perturbation": record["perturbation"],
                "remedy": self.remedy,
                "suppression": suppression(*ends.T),
                "reference": to_numpy(levels[0, ...]) if isinstance(made, Reference) else None,
            },
        )

    @property
    def remedy(self) -> str:
        """What to try where a mask or its region does too little.

        Measured with the default model on six photos that were soft with ``"fast"`` and the blur: area_weight=5e-4
        makes four of them ok, noise one and the constant one, and the authors' preset each of the three that it was
        tried on; in the preservation game none of the six is.
        """
        # The paper's preset is no way out: its blur has another width at each pixel, and masks stop where a little of
        # it is enough, so that their regions made hard do nothing.
        if self.game == "preservation":
            return 'try game="deletion" (--game deletion), whose regions do what was asked far more often'
        if self.preset == "authors" and self.perturbation in ("noise", "constant"):
            return 'try game="preservation" (--game preservation), or another target= (--target)'
        if self.preset == "authors":
            return 'try perturbation="noise" or "constant" (--perturbation)'
        return (
            'try preset="authors" (--preset authors), which takes longer and finds larger regions, or area_weight=5e-4'
        )

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
        plan = QueryPlan(self.queries, self.steps + self._started, seed)
        return EstimatedScore(oracle, upsampling, moving, resting, weights, plan)

    @property
    def _started(self) -> int:
        return self.start_points if self.start == "gradient" else 0


def score_scale(original: Array, perturbed: Array) -> Array:
    """Return what makes the fall from the original to the fully perturbed score one: (N,), at most 1 / `LEAST_FALL`."""
    xp = namespace(original)
    before, fully = (xp.where(xp.isfinite(one), one, xp.zeros_like(one)) for one in (original, perturbed))
    return 1 / xp.clip(before - fully, LEAST_FALL, None)


def _not_finite(
    ends: Floats, history: Floats, steps: np.ndarray[Any, Any], sound: np.ndarray[Any, np.dtype[np.bool_]]
) -> dict[int, BlackBoxExplainError]:
    """Return why there is no mask, by row, where a score or a gradient was not finite."""
    failures: dict[int, BlackBoxExplainError] = {}
    for row, (scores, done) in enumerate(zip(ends, steps, strict=True)):
        if not np.isfinite(scores).all():
            failures[row] = _failure(f"scores {_listed(scores)} before, after and fully perturbed")
        elif not sound[row] or not np.isfinite(history[row, :done]).all():
            failures[row] = _failure("NaN or infinity while the mask was learned")
    return failures


def _failure(got: str) -> ModelError:
    return ModelError("Scores or gradients are not finite", got=got)


def _listed(scores: Sequence[float] | Floats) -> str:
    return ", ".join(f"{value:g}" for value in scores)
