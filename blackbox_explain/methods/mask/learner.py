"""Batch after batch: from images and targets to learned rows, with what failed set apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.box.protocols import BlackBox, DifferentiableBlackBox
from blackbox_explain.box.targets import Target, resolve
from blackbox_explain.errors import (
    BlackBoxExplainError,
    InputError,
    ModelError,
    OutOfMemoryError,
    TargetError,
    UnreachableError,
)
from blackbox_explain.explanation.preprocessing_doubts import Answer
from blackbox_explain.methods.mask.estimated_gradient import GROUP, RESERVE, EstimatedScore, Pace, QueryPlan
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import Counts, MaskedScore, ask, counted, is_out_of_memory
from blackbox_explain.methods.mask.regularizers import Game, Regularizer
from blackbox_explain.methods.mask.settings import Settings
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.mask.starts import most_queries, start_mask
from blackbox_explain.methods.mask.upsampling import Upsampling, make_upsampling, mask_shape_for
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.perturbation import Perturbation
from blackbox_explain.progress import Advance

__all__ = ["ALL_SCORES", "Job", "Learned", "Row", "learn_all"]

ENDS = 2
"""Queries for the scores of an untouched and of a fully perturbed image."""

LEAST_FALL = 0.05
"""A score that falls by less than this is not blown up further."""

Row = dict[str, Any]
"""The fields of one row of an `Explanation`; all scores (K,) of the image and without the region, `ALL_SCORES`; and its
`answer` for `doubts`."""

ALL_SCORES = ("scores_original", "scores_region")

Waiting = tuple[slice, BlackBoxExplainError | None]


@dataclass(frozen=True)
class Job:
    """What all batches of one call share.

    Attributes
    ----------
    box, settings, game, perturbation, seed
        As `explain` got or made them.
    pace
        How many images are asked for at once where the gradient is estimated.
    """

    box: BlackBox
    settings: Settings
    game: Game
    perturbation: Perturbation
    seed: int
    pace: Pace = field(default_factory=Pace)

    def batch(
        self,
        host: np.ndarray[Any, Any],
        rows: slice,
        targets: Sequence[Target | None],
        evaluations: Counts,
        on_step: Callable[[], None],
    ) -> list[Row | BlackBoxExplainError]:
        """Learn the masks of one batch.

        Parameters
        ----------
        host
            (N, *shape) images of the whole call.
        rows
            Which of them.
        targets
            N of the whole call.
        evaluations
            (n, 2) what these rows were asked so far; counted on in place.
        on_step
            Called after each step.
        """
        box, settings, spec = self.box, self.settings, self.box.spec
        regularizer = Regularizer(
            settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, self.game
        )
        cells = mask_shape_for(spec.spatial, settings.mask_shape)
        native = getattr(box, "native", np.asarray)
        images = native(host[rows])
        xp = namespace(images)
        levels = self.perturbation.take(rows).levels(images, spec, self.seed)
        with counted(evaluations, np.arange(len(images)), 0):
            scores = ask(box, images)
        on_host = to_numpy(scores)
        weights, names = resolve(list(targets[rows]), on_host, box.spec.class_names)
        score = self.masked_score(
            make_upsampling(settings.upsampling, cells, spec.spatial, images),
            LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spec.spatial),
            LevelStack(levels, spec.spatial),
            native(weights.astype(on_host.dtype)),
            evaluations,
        )
        original = score.targets(scores)
        scores_perturbed = score.all_scores(levels[0, ...])
        perturbed = score.targets(scores_perturbed)
        start, sound, wider = start_mask(score, cells, spec.spatial, settings, self.game, original, perturbed)
        scale = xp.ones_like(original)
        if settings.relative:
            # A region that must be large may cost no more than one that need not.
            scale = score_scale(original, perturbed) * constant_like(wider, original)
        solution = solve(score, start, regularizer, settings, self.seed, scale, on_step)
        masked = score.images(solution.mask)
        after = score.of_images(masked)
        upsampled = score.upsampling.up(solution.mask)
        important = 1 - upsampled if self.game == "deletion" else upsampled
        region = xp.astype(upsampled >= 0.5, upsampled.dtype)
        without = score.resting.mixed(region)[0]
        in_region = score.all_scores(without)
        sign = 1.0 if self.game == "deletion" else -1.0
        parts = {
            "mask": solution.mask,
            "saliency": important,
            "target_weights": weights,
            "score_original": original,
            "score_masked": after,
            "score_perturbed": perturbed,
            "score_region": score.targets(in_region),
            "area": xp.mean(important, axis=tuple(range(1, important.ndim))),
            "objective": regularizer(solution.mask)[0] + sign * after,
            "history": solution.history,
            "masked_images": masked,
            "region_images": without,
            "scores_original": on_host,
            "scores_region": in_region,
        }
        arrays = {name: to_numpy(part) for name, part in parts.items()}
        answers = [Answer.of(*pair) for pair in zip(on_host, to_numpy(scores_perturbed), strict=True)]
        learned: list[Row | BlackBoxExplainError] = []
        for index, (name, steps) in enumerate(zip(names, solution.steps, strict=True)):
            row = {part: array[index] for part, array in arrays.items()}
            ends = [row["score_original"], row["score_masked"], row["score_perturbed"]]
            if sound[index] and np.isfinite(ends).all() and np.isfinite(row["history"][:steps]).all():
                learned.append({**row, "target": name, "answer": answers[index]})
            else:
                learned.append(_not_finite(ends))
        return learned

    @property
    def exact(self) -> bool:
        """Whether the black box tells its gradient."""
        return isinstance(self.box, DifferentiableBlackBox)

    @property
    def units(self) -> int:
        """What progress counts for one image: steps, or queries where the gradient is estimated."""
        return self.settings.steps if self.exact else self.settings.queries

    def may_begin(self, used: int) -> bool:
        """Whether the budget of a row is enough after `used` queries: for ends, start, and one group to learn from."""
        least = ENDS + most_queries(self.settings.start) + GROUP + RESERVE
        return self.exact or self.settings.queries - used >= least

    def masked_score(
        self, upsampling: Upsampling, moving: LevelStack, resting: LevelStack, weights: Array, evaluations: Counts
    ) -> MaskedScore:
        """Return the score as a function of the mask, with its gradient or an estimate of it."""
        parts = (self.box, upsampling, moving, resting, weights, evaluations)
        if self.exact:
            return MaskedScore.of_batch(*parts)
        started = self.settings.start_points if self.settings.start == "gradient" else 0
        plan = QueryPlan(self.settings.queries, self.settings.steps + started, self.seed)
        return replace(EstimatedScore.of_batch(*parts), plan=plan, pace=self.pace)


def score_scale(original: Array, perturbed: Array) -> Array:
    """Return what makes the fall from the original to the fully perturbed score one: (N,), at most 1 / `LEAST_FALL`."""
    xp = namespace(original)
    before, fully = (xp.where(xp.isfinite(one), one, xp.zeros_like(one)) for one in (original, perturbed))
    return 1 / xp.clip(before - fully, LEAST_FALL, None)


@dataclass(frozen=True)
class Learned:
    """What `learn_all` leaves.

    Attributes
    ----------
    rows
        N rows, or why there is none.
    evaluations
        (N, 2) how often the model was run on each image, also for rows that failed and for attempts that did.
    notes
        What happened on the way.
    """

    rows: list[Row | BlackBoxExplainError]
    evaluations: Counts
    notes: list[str]


class Progress:
    """Tells how far each row is, once.

    Steps that must be done again are taken back; queries are spent once and for all.

    Parameters
    ----------
    job
        Which decides whether steps or queries are counted.
    evaluations
        (N, 2) of all rows, as they are counted.
    advance
        Told the difference.
    """

    def __init__(self, job: Job, evaluations: Counts, advance: Advance) -> None:
        self._job = job
        self._evaluations = evaluations
        self._advance = advance
        self._told = np.zeros(len(evaluations), np.int64)

    def step(self, rows: slice) -> None:
        """Tell of one step of some rows."""
        self._tell(rows, self._told[rows] + 1 if self._job.exact else self._evaluations[rows, 0])

    def again(self, rows: slice) -> None:
        """Tell that some rows begin again."""
        self._tell(rows, 0 if self._job.exact else self._evaluations[rows, 0])

    def end(self, rows: slice) -> None:
        """Tell that some rows are done, however early."""
        self._tell(rows, self._job.units)

    def _tell(self, rows: slice, units: np.ndarray[Any, np.dtype[np.int64]] | int) -> None:
        before = int(self._told[rows].sum())
        self._told[rows] = units
        self._advance(int(self._told[rows].sum()) - before)


def learn_all(
    job: Job, host: np.ndarray[Any, Any], targets: Sequence[Target | None], batch_size: int, advance: Advance
) -> Learned:
    """Learn batch by batch; a batch that fails is split until the failing images stand alone.

    What a failed attempt asked stays counted, so that no row is asked more than its budget in all.  A model that
    cannot be reached at all fails its batch at once.
    """
    rows: list[Row | BlackBoxExplainError] = [InputError("not run")] * len(host)
    evaluations = np.zeros((len(host), 2), np.int64)
    progress = Progress(job, evaluations, advance)
    notes: list[str] = []

    def attempt(batch: slice) -> BlackBoxExplainError | None:
        try:
            rows[batch] = job.batch(host, batch, targets, evaluations[batch], lambda: progress.step(batch))
        except Exception as error:
            # Without its traceback, which would keep the arrays of the batch alive.
            if is_out_of_memory(error):
                return OutOfMemoryError("Memory ran out", got=f"a batch of {batch.stop - batch.start}")
            if isinstance(error, (ModelError, TargetError)):
                return error.with_traceback(None)
            raise
        return None

    starts = range(0, len(host), batch_size)
    # Each with the failure of the batch that it was split from.
    waiting: deque[Waiting] = deque((slice(first, min(first + batch_size, len(host))), None) for first in starts)
    while waiting:
        batch, cause = waiting.popleft()
        size = batch.stop - batch.start
        used_up = cause is not None and not job.may_begin(int(evaluations[batch, 0].max()))
        failure = cause if used_up else attempt(batch)
        if failure is None:
            progress.end(batch)
        elif size == 1 or isinstance(failure, UnreachableError):
            rows[batch] = [_out_of_queries(job, evaluations[batch.start], failure) if used_up else failure] * size
            progress.end(batch)
        else:
            progress.again(batch)
            if isinstance(failure, OutOfMemoryError) and not used_up:
                notes.append(f"memory ran out at a batch of {size}, halved")
            elif isinstance(failure, ModelError) and not isinstance(cause, ModelError):
                notes.append(f"the model failed at a batch of {size}, which was split: {failure}")
            middle = batch.start + size // 2
            parts = (slice(batch.start, middle), slice(middle, batch.stop))
            waiting.extendleft((part, failure) for part in reversed(parts))
    failures = [row for row in rows if isinstance(row, BlackBoxExplainError)]
    if failures and len(failures) == len(rows):
        raise failures[0]
    return Learned(rows, evaluations, [*job.pace.notes, *notes])


def _not_finite(ends: Sequence[float]) -> ModelError:
    if np.isfinite(ends).all():
        got = "NaN or infinity while the mask was learned"
    else:
        got = f"scores {', '.join(f'{value:g}' for value in ends)} before, after and fully perturbed"
    return ModelError("Scores or gradients are not finite", got=got)


def _out_of_queries(job: Job, evaluations: Counts, cause: BlackBoxExplainError) -> ModelError:
    used, budget = int(evaluations[0]), job.settings.queries
    return ModelError(
        "The queries are used up before a mask was learned",
        got=f"{used} of {budget} used by attempts that failed: {str(cause).removesuffix('.')}",
        hint="a smaller batch_size=, so that images which the model fails on cost the others less",
    )
