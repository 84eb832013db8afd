"""`explain`: target → method → result, whatever the black box and the method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from blackbox_explain.arrays import Array, on_host, to_numpy
from blackbox_explain.box.batches.sizes import AUTO, BATCH, FastestBatch, Policy, SizesFound, policy_of
from blackbox_explain.box.batches.splitting import split_until_done
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.input_spec import check_images, reading_of
from blackbox_explain.box.oracle import Counts, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import Target, one_per_image, resolve, target_scores
from blackbox_explain.data.photos import photos_of
from blackbox_explain.errors import BlackBoxExplainError, ModelError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.outcome import Outcome
from blackbox_explain.explanation.predictions import Predictions, predictions_of
from blackbox_explain.explanation.preprocessing_doubts import Answer, doubts_of_run
from blackbox_explain.explanation.provenance import Provenance, versions
from blackbox_explain.explanation.region import SHARES, SUPPRESS, check_suppress, smallest_region
from blackbox_explain.json_values import fields_of, json_value
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.methods.method import Attribution, Budget, Method
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.progress import Advance, progress_bar

__all__ = ["explain"]

AT_ONCE = 64
"""Images that a model is run on together at least, as long as memory lasts, where a method asks for many at a time.

Of one that is known to compute on a CPU they are `BATCH`: more do nothing faster there, and slow PyTorch down, because
large arrays are fresh memory each time."""

SIZES = SizesFound()
"""What ``batch_size="auto"`` found, by the method and its settings."""


@overload
def explain(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    *,
    method: Literal["mask"] = "mask",
    suppress: float = SUPPRESS,
    seed: int = 0,
    batch_size: int | Literal["auto"] = BATCH,
    progress: bool | Advance | None = None,
    **settings: Any,
) -> MaskExplanation: ...


@overload
def explain(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    *,
    method: str | Method,
    suppress: float = SUPPRESS,
    seed: int = 0,
    batch_size: int | Literal["auto"] = BATCH,
    progress: bool | Advance | None = None,
    **settings: Any,
) -> Explanation: ...


def explain(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    *,
    method: str | Method = "mask",
    suppress: float = SUPPRESS,
    seed: int = 0,
    batch_size: int | Literal["auto"] = BATCH,
    progress: bool | Advance | None = None,
    **settings: Any,
) -> Explanation:
    """Say what matters in images for the score of a target.

    Parameters
    ----------
    box
        From `wrap`.  Where it has no gradients, the mask learner estimates them from its scores, with at most
        `queries` images a row; the result says so.
    images
        (N, *box.spec.shape) floats in ``box.spec.bounds``, of any array library; `load_images` makes them.
    target
        What is explained: a class index or name, `Top`, `Labels` or `Difference`; a list gives one to each image;
        None is the top class of each image.
    method
        Name of a method (see `methods_for`), or one with its settings.  ``"mask"`` learns, by meaningful perturbation,
        the ranking of the pixels whose deletion destroys, or whose preservation keeps, the score.
    suppress
        What the region of each row is to do, as a share of what perturbing takes away: it is the smallest part of the
        most salient pixels without which that much of the score is gone (``game="preservation"``: that alone keeps
        that much).
    seed
        Of all that is drawn.  Same seed, same result, whatever the batch size, order or company of an image.  But what
        its outcome says may depend on the other images, which tell whether the model is shown the right pixels; and
        where gradients are estimated and the model fails on another image of its batch, the attempts are paid for.
    batch_size
        Rows explained together; halved, with a note in the result, when memory runs out.  Methods that ask for many
        images of a row ask for so many at a time, but for 64 at least, or 16 where the model is known to compute on a
        CPU.  ``"auto"`` begins with 16, finds out, of many rows, how many together are fastest, and remembers it for
        the next call; a clock then decides on the batches, and models round otherwise in other batches, so that two
        runs may differ by that.
    progress
        True, False, or a function called with the number of images that the model was run on since its last call; None
        shows a bar on a terminal.
    **settings
        Fields of the method.  Of ``"mask"`` (`Settings`): ``game=``, ``perturbation=``, ``preset=``, ``steps=``,
        ``learning_rate=`` and more.  Every method takes ``game=`` and ``perturbation=``: where they are no fields of
        it, its map is the same, and its region is looked for by them.

    Returns
    -------
    Explanation
        One row per image, a `MaskExplanation` of masks; rows that failed say so in `outcome`, the others are complete.

    Raises
    ------
    InputError
        If images or settings do not fit.
    NoGradientError
        If the box lacks what the method needs.
    TargetError
        If the number of targets does not fit, or no image's target exists; otherwise such rows say so in `outcome`.
    ModelError, OutOfMemoryError
        If the model fails (`UnreachableError`: cannot be asked at all), or memory runs out, on every image.
    """
    check_call(box, BATCH if batch_size == AUTO else batch_size, seed)
    check_suppress(suppress)
    info = BoxInfo.of(box)
    chosen = method_of(method, settings)
    require(box, chosen.needs, f"the method {chosen.name!r}")
    sizes = policy_of(batch_size, SIZES.of(box, repr(chosen)))
    host = check_images(images, box.spec)
    if on_host(images) and np.may_share_memory(host, to_numpy(images)):
        host = host.copy()  # a result keeps its images, whatever is written into the caller's array later
    targets = one_per_image(target, len(host))
    budget = chosen.budget(info)
    at_once = max(sizes.size, BATCH if info.on_cpu else AT_ONCE)
    oracle = Oracle.of(box, len(host), batch_size=at_once)
    run = _Run(oracle, chosen, budget, host, targets, int(seed), suppress)
    label = f"explaining by {chosen.name}"
    with progress_bar(len(host) * run.most, label, None if callable(progress) else progress) as bar:
        found = run.all(sizes, progress if callable(progress) else bar)
    if isinstance(sizes, FastestBatch) and sizes.settled is not None:
        SIZES.keep(box, repr(chosen), sizes.size)
    rows = [row for row in found if isinstance(row, _Row)]
    template = rows[0].found
    doubts = doubts_of_run([row.answer for row in rows], Oracle.of(box))
    gradients = template.gradients or ("none" if chosen.needs is BlackBox else "exact")
    if gradients == "exact" and info.surrogate:
        gradients = "surrogate"
    provenance = Provenance(
        method=chosen.name,
        settings=fields_of(chosen) if template.settings is None else json_value(template.settings),
        seed=int(seed),
        batch_size=sizes.size,
        gradients=gradients,
        why_estimated=info.why_estimated if gradients == "estimated" else "",
        reading=reading_of(box.spec),
        activation=info.activation,
        assumptions=info.assumptions,
        doubts=(),
        notes=(*oracle.limit.notes, *run.notes),
        versions=versions(),
        model_fingerprint=info.fingerprint,
    )
    result = template.result(
        **_parts(found),
        images=host,
        target=tuple(row.target if isinstance(row, _Row) else "-" for row in found),
        outcome=tuple(Outcome("ok") if isinstance(row, _Row) else Outcome("failed", str(row)) for row in found),
        queries=oracle.queries,
        method=chosen.name,
        game=template.game,
        perturbation=template.perturbation_name,
        suppress=float(suppress),
        curve_shares=SHARES,
        provenance=provenance,
        photos=photos_of(images),
        predictions=tuple(row.predictions if isinstance(row, _Row) else Predictions() for row in found),
    )
    return result.judged(doubts)


@dataclass(frozen=True, eq=False)
class _Row:
    """One row that did not fail."""

    found: Attribution
    parts: dict[str, Any]
    place: int
    target: str
    weights: np.ndarray[Any, Any]
    score: float
    predictions: Predictions
    answer: Answer


class _Run:
    """All batches of one call."""

    def __init__(
        self,
        oracle: Oracle,
        method: Method,
        budget: Budget,
        host: np.ndarray[Any, Any],
        targets: list[Target | None],
        seed: int,
        suppress: float,
    ) -> None:
        self._oracle, self._method, self._budget = oracle, method, budget
        self._host, self._targets, self._seed, self._suppress = host, targets, seed, suppress
        self.most = budget.with_region
        self.notes: list[str] = []

    def all(self, sizes: Policy, advance: Advance) -> list[_Row | BlackBoxExplainError]:
        """Explain batch by batch; what a failed attempt asked stays counted, so that no row is asked more in all."""
        progress = _Progress(self._oracle.counts, self.most, advance)
        self._oracle = dataclasses.replace(self._oracle, advance=progress.update)
        found = split_until_done(
            len(self._host),
            sizes,
            self._batch,
            may_begin=self._may_begin,
            given_up=self._given_up,
            on_end=progress.end,
            notes=self.notes,
        )
        failures = [row for row in found if isinstance(row, BlackBoxExplainError)]
        if len(failures) == len(found):
            raise failures[0]
        return found

    def _batch(self, rows: slice) -> list[_Row | BlackBoxExplainError]:
        oracle = self._oracle.take(rows)
        if not oracle.limit.notes:  # memory did not run out yet
            oracle.limit.images = max(oracle.limit.images, rows.stop - rows.start)
        spec = oracle.box.spec
        images = oracle.native(self._host[rows])
        scores = oracle.scores(images)
        on_host = to_numpy(scores)
        weights, names = resolve(self._targets[rows], on_host, spec.class_names)
        oracle = dataclasses.replace(oracle, originals=scores)
        native_weights = oracle.native(weights.astype(on_host.dtype))
        told = self._method.explain(oracle, images, native_weights, self._seed)
        found = Attribution.checked(told, self._method.name, (len(on_host), *spec.shape))
        before, host = target_scores(on_host, weights), self._host[rows]
        gone = found.gone
        if gone is None:
            own = taken(found.perturbation, oracle.rows, len(oracle.counts), oracle.box.spec)
            gone = to_numpy(levels_of(own, images, spec, self._seed)[0, ...])
        failures = dict(found.failures)
        if found.perturbed is None:
            answers = oracle.answers(gone.__getitem__, len(gone))
            fully = answers.scores
            failures |= answers.failures
        else:
            fully = found.perturbed
        perturbed = target_scores(fully, weights)
        regions = smallest_region(
            oracle, host, found.saliency, weights, gone, before, perturbed, found.game, self._suppress
        )
        completed = found.complete(regions)
        failures |= {**regions.failures, **completed.failures}
        parts = {
            "saliency": found.saliency,
            "attribution": found.attribution,
            "region": regions.region,
            "share": regions.share.astype(before.dtype),
            "curve": regions.curve,
            "score_region": regions.score,
            "score_perturbed": perturbed,
            "region_images": regions.images,
            **found.more,
            **completed.fields,
        }
        made: list[_Row | BlackBoxExplainError] = []
        for place, name in enumerate(names):
            score = float(before[place])
            if place in failures:
                made.append(failures[place])
            elif torn := _not_finite(place, score, parts):
                made.append(ModelError("Scores or gradients are not finite", got=f"NaN or infinity in the {torn}"))
            else:
                predictions = predictions_of(on_host[place], regions.scores[place], spec.class_names)
                answer = Answer.of(on_host[place], fully[place])
                made.append(_Row(found, parts, place, name, weights[place], score, predictions, answer))
        return made

    def _may_begin(self, rows: slice) -> bool:
        least = self._budget.least
        return least is None or self._budget.most - int(self._oracle.counts[rows, 0].max()) >= least

    def _given_up(self, rows: slice, cause: BlackBoxExplainError) -> ModelError:
        used = int(self._oracle.counts[rows.start, 0])
        return ModelError(
            f"The queries are used up before {self._method.name!r} found anything",
            got=f"{used} of {self.most} used by attempts that failed: {str(cause).removesuffix('.')}",
            hint="a smaller batch_size=, so that images which the model fails on cost the others less",
        )


def _not_finite(place: int, score: float, parts: Mapping[str, Any]) -> str:
    """Return what of a row is not finite, "" if all is well."""
    numbers = {"score": np.asarray(score), "saliency": parts["saliency"][place]}
    if parts["attribution"] is not None:
        numbers["attribution"] = parts["attribution"][place]
    numbers |= {name.replace("_", " "): parts[name][place] for name in parts if name.startswith("score_")}
    numbers["curve"] = parts["curve"][place]
    return next((name for name, values in numbers.items() if not np.isfinite(values).all()), "")


class _Progress:
    """Tells how many images the model was run on, of the most that it may be: a row that is done counts in full."""

    def __init__(self, counts: Counts, most: int, advance: Callable[[int], None]) -> None:
        self._counts, self._most, self._advance = counts, most, advance
        self._ended = np.zeros(len(counts), bool)
        self._told = 0

    def update(self, _images: int = 0) -> None:
        """Tell of what was asked since the last call."""
        done = np.where(self._ended, self._most, np.minimum(self._counts.sum(axis=1), self._most))
        step, self._told = int(done.sum()) - self._told, int(done.sum())
        self._advance(step)

    def end(self, rows: slice) -> None:
        """Tell that some rows are done, however early."""
        self._ended[rows] = True
        self.update()


def _parts(found: Sequence[_Row | BlackBoxExplainError]) -> dict[str, Any]:
    """Join what was found in all batches, NaN for rows that failed."""
    template = next(row for row in found if isinstance(row, _Row))
    every = [row.parts if isinstance(row, _Row) else {} for row in found]
    parts: dict[str, Any] = {}
    for name, value in template.parts.items():
        if name in template.found.result.whole or value is None:
            parts[name] = value
            continue
        blank = np.full_like(value[0], np.nan) if value.dtype.kind == "f" else np.zeros_like(value[0])
        stacked = [
            own[name][row.place] if isinstance(row, _Row) else blank for own, row in zip(every, found, strict=True)
        ]
        parts[name] = np.stack(stacked)
    no_weights = np.zeros_like(template.weights)
    parts["weights"] = np.stack([row.weights if isinstance(row, _Row) else no_weights for row in found])
    dtype = template.weights.dtype
    parts["score"] = np.asarray([row.score if isinstance(row, _Row) else np.nan for row in found], dtype)
    return parts
