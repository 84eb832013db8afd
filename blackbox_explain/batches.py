"""Batch after batch: from images and targets to learned rows, with what failed set apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.blackbox import BlackBox, DifferentiableBlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, OutOfMemoryError, TargetError
from blackbox_explain.estimation import EstimatedScore, QueryPlan
from blackbox_explain.gradients import MaskedScore, ask, is_out_of_memory
from blackbox_explain.interpolation import LevelStack
from blackbox_explain.jitter import canvas
from blackbox_explain.masks import Upsampling, make_upsampling, mask_shape_for
from blackbox_explain.perturbations import Perturbation
from blackbox_explain.presets import Settings
from blackbox_explain.progress import Advance
from blackbox_explain.regularizers import Game, Regularizer
from blackbox_explain.solve import solve
from blackbox_explain.starts import start_mask
from blackbox_explain.targets import Target, resolve

__all__ = ["Job", "Row", "learn_all"]

LEAST_FALL = 0.05
"""A score that falls by less than this is not blown up further."""

Row = dict[str, Any]
"""The fields of one row of an `Explanation`."""


@dataclass(frozen=True)
class Job:
    """What all batches of one call share."""

    box: BlackBox
    settings: Settings
    game: Game
    perturbation: Perturbation
    seed: int

    def batch(
        self, host: np.ndarray[Any, Any], rows: slice, targets: Sequence[Target | None], advance: Advance
    ) -> list[Row | BlackBoxExplainError]:
        """Learn the masks of one batch."""
        box, settings, spec = self.box, self.settings, self.box.spec
        regularizer = Regularizer(
            settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, self.game
        )
        cells = mask_shape_for(spec.spatial, settings.mask_shape)
        native = getattr(box, "native", np.asarray)
        images = native(host[rows])
        xp = namespace(images)
        levels = self.perturbation.take(rows).levels(images, spec, self.seed)
        scores = ask(box, images)
        on_host = to_numpy(scores)
        weights, names = resolve(list(targets[rows]), on_host, box.spec.class_names)
        score = self.masked_score(
            make_upsampling(settings.upsampling, cells, spec.spatial, images),
            LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spec.spatial),
            LevelStack(levels, spec.spatial),
            native(weights.astype(on_host.dtype)),
        )
        progress = self.progress(score, advance)
        original = score.targets(scores)
        perturbed = score.of_images(levels[0, ...])
        start = start_mask(score, cells, spec.spatial, settings, self.game, original, perturbed)
        scale = score_scale(original, perturbed) if settings.relative else xp.ones_like(original)
        solution = solve(score, start, regularizer, settings, self.seed, scale, progress)
        masked = score.images(solution.mask)
        after = score.of_images(masked)
        upsampled = score.upsampling.up(solution.mask)
        important = 1 - upsampled if self.game == "deletion" else upsampled
        region = xp.astype(upsampled >= 0.5, upsampled.dtype)
        in_region = score.of_images(score.resting.mixed(region)[0])
        sign = 1.0 if self.game == "deletion" else -1.0
        parts = {
            "mask": solution.mask,
            "saliency": important,
            "target_weights": weights,
            "score_original": original,
            "score_masked": after,
            "score_perturbed": perturbed,
            "score_region": in_region,
            "area": xp.mean(important, axis=tuple(range(1, important.ndim))),
            "objective": regularizer(solution.mask)[0] + sign * after,
            "history": solution.history,
            "masked_images": masked,
        }
        arrays = {name: to_numpy(part) for name, part in parts.items()}
        # The first look at the originals is one more.
        evaluations = score.evaluations + np.asarray([1, 0])
        learned: list[Row | BlackBoxExplainError] = []
        for index, (name, steps) in enumerate(zip(names, solution.steps, strict=True)):
            row = {part: array[index] for part, array in arrays.items()}
            ends = [row["score_original"], row["score_masked"], row["score_perturbed"]]
            if np.isfinite(ends).all() and np.isfinite(row["history"][:steps]).all():
                learned.append({**row, "target": name, "evaluations": evaluations[index]})
            else:
                found = ", ".join(f"{value:g}" for value in ends)
                learned.append(
                    ModelError(
                        "Scores or gradients are not finite", got=f"scores {found} before, after and fully perturbed"
                    )
                )
        return learned

    @property
    def exact(self) -> bool:
        """Whether the black box tells its gradient."""
        return isinstance(self.box, DifferentiableBlackBox)

    @property
    def units(self) -> int:
        """What `advance` counts for one image: steps, or queries where the gradient is estimated."""
        return self.settings.steps if self.exact else self.settings.queries

    def masked_score(
        self, upsampling: Upsampling, moving: LevelStack, resting: LevelStack, weights: Array
    ) -> MaskedScore:
        """Return the score as a function of the mask, with its gradient or an estimate of it."""
        parts = (self.box, upsampling, moving, resting, weights)
        if self.exact:
            return MaskedScore.of_batch(*parts)
        started = self.settings.start_points if self.settings.start == "gradient" else 0
        estimated = EstimatedScore.of_batch(*parts)
        return replace(estimated, plan=QueryPlan(self.settings.queries, self.settings.steps + started, self.seed))

    def progress(self, score: MaskedScore, advance: Advance) -> Callable[[], None]:
        """Return what the loop calls after each step."""
        seen = 0

        def steps() -> None:
            advance(score.weights.shape[0])

        def queries() -> None:
            nonlocal seen
            total = int(score.evaluations[:, 0].sum())
            advance(total - seen)
            seen = total

        return steps if self.exact else queries


def score_scale(original: Array, perturbed: Array) -> Array:
    """Return what makes the fall from the original to the fully perturbed score one: (N,), at most 1 / `LEAST_FALL`."""
    xp = namespace(original)
    before, fully = (xp.where(xp.isfinite(one), one, xp.zeros_like(one)) for one in (original, perturbed))
    return 1 / xp.clip(before - fully, LEAST_FALL, None)


def learn_all(
    job: Job, host: np.ndarray[Any, Any], targets: Sequence[Target | None], batch_size: int, advance: Advance
) -> tuple[list[Row | BlackBoxExplainError], list[str]]:
    """Learn batch by batch; a batch that fails is split until the failing images stand alone."""
    rows: list[Row | BlackBoxExplainError] = [InputError("not run")] * len(host)
    waiting = deque(slice(first, min(first + batch_size, len(host))) for first in range(0, len(host), batch_size))
    notes: list[str] = []
    while waiting:
        batch = waiting.popleft()
        size, done = batch.stop - batch.start, 0

        def count(units: int) -> None:
            nonlocal done
            done += units
            advance(units)

        try:
            rows[batch] = job.batch(host, batch, targets, count)
            advance(size * job.units - done)
        except Exception as error:
            # Without its traceback, which would keep the arrays of the batch alive.
            if is_out_of_memory(error):
                failure = OutOfMemoryError("Memory ran out", got=f"a batch of {size}")
            elif isinstance(error, (ModelError, TargetError)):
                failure = error.with_traceback(None)
            else:
                raise
        else:
            failure = None
        if failure is not None:
            if size == 1:
                rows[batch] = [failure]
                advance(job.units - done)
                continue
            advance(-done)
            if isinstance(failure, OutOfMemoryError):
                notes.append(f"memory ran out at a batch of {size}, halved")
            middle = batch.start + size // 2
            waiting.extendleft([slice(middle, batch.stop), slice(batch.start, middle)])
    failures = [row for row in rows if isinstance(row, BlackBoxExplainError)]
    if failures and len(failures) == len(rows):
        raise failures[0]
    return rows, notes
