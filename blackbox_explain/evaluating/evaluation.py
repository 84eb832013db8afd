"""`evaluate`: how good explanations are, by one metric or several, with the interval of each mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.box.batches.splitting import split_until_done
from blackbox_explain.box.info import require
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, NotMeasurableError
from blackbox_explain.evaluating.class_order import check_class_order
from blackbox_explain.evaluating.measurement import Measurement, line_of, measurement_of
from blackbox_explain.evaluating.naming import named_explanations
from blackbox_explain.evaluating.pooling import Pooled, pooled_rows, pooling_warnings
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.by_name import metric_of
from blackbox_explain.metrics.metric import Metric
from blackbox_explain.progress import Advance, progress_bar

__all__ = ["Evaluation", "check_together", "evaluate"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """All measurements of one call of `evaluate`, in the order of methods, then metrics.

    Attributes
    ----------
    measurements
        A mean with its values for each method and metric.
    warnings
        What speaks against comparing these means, as sentences: methods measured on different photos, explanations of
        different classes, or that are weak.
    """

    measurements: tuple[Measurement, ...]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, key: tuple[str, str]) -> Measurement:
        """Return the measurement of a method by a metric."""
        for one in self.measurements:
            if (one.method, one.metric) == key:
                return one
        raise KeyError(key)

    def __repr__(self) -> str:
        """Return the table."""
        return self.summary()

    def summary(self) -> str:
        """Return a table: a line for each method and metric, and for each warning."""
        heads = ("method", "metric", "better", "mean", "95 % interval", "images", "queries")
        lines = [heads, *(line_of(one) for one in self.measurements)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
        table = [
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*table, *(f"warning: {one}" for one in self.warnings)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        found = [{"method": one.method, "metric": one.metric, **one.to_dict()} for one in self.measurements]
        return finite({"measurements": found, "warnings": list(self.warnings)})


def evaluate(
    box: BlackBox,
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric] = ("deletion", "insertion"),
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    progress: bool | Advance | None = None,
) -> Evaluation:
    """Measure how good explanations are.

    Parameters
    ----------
    box
        The model that is asked: the one that was explained, or another that the explanations are to hold for.
    explanations
        From `explain`; several by a name for each, or in a sequence, where each has the name of its method and no two
        are by the same.
    metrics
        Names (see `metrics_for`), or metrics with their settings; two of one kind by a name for each.
    seed
        Of the bootstrap.
    batch_size
        Images in one call of the model; halved when memory runs out.
    progress
        As in `explain`.

    Returns
    -------
    Evaluation
        A value for each image, and means with their intervals.  Rows that failed, that the model fails on now, or that
        have nothing to measure, have none.

    Raises
    ------
    InputError
        If there is no such metric, two have one name, there are no explanations, two of a sequence are by the same
        method, or the explanations are not of this box's images, or of different
        models, or to another `suppress`.
    NoGradientError
        If the box lacks what a metric needs.
    ModelError, OutOfMemoryError
        If nothing could be measured, because the model fails on every image; or it has its classes in another order.
    NotMeasurableError
        If nothing could be measured, because the explanations lack what the metrics measure.
    """
    check_call(box, batch_size, seed)
    several = named_explanations(explanations)
    chosen = _named(metrics)
    if not chosen:
        raise InputError("Nothing is to be measured", got="no metrics", hint="metrics_for(box) names them")
    for name, metric in chosen.items():
        require(box, metric.needs, f"the metric {name!r}")
    for name, one in several.items():
        if one.images.shape[1:] != box.spec.shape:
            got = f"images of shape {one.images.shape[1:]} in {name!r}"
            raise InputError("The explanations are of other images", got=got, expected=f"{box.spec.shape}")
        check_class_order(one, box)
    check_together({name: (one.provenance.model_fingerprint, one.suppress) for name, one in several.items()})
    pooled = {name: pooled_rows(one) for name, one in several.items()}
    rows = len(chosen) * sum(len(one.good) for one in several.values())
    with progress_bar(rows, "evaluating", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        found = [
            _measured(box, (name, called), one, metric, seed, batch_size, advance, pooled[name])
            for name, one in several.items()
            for called, metric in chosen.items()
        ]
    failures = [next(iter(one.failures.values())) for one in found if one.failures]
    if len(failures) == len(found) and not any(one.measured for one in found):
        raise failures[0]
    counted = {called: {one.method: one.counted for one in found if one.metric == called} for called in chosen}
    return Evaluation(tuple(found), pooling_warnings(pooled, counted))


def check_together(explained: Mapping[str, tuple[str, float]]) -> None:
    """Raise `InputError` unless explanations belong in one table: of one model, with regions that do as much.

    Parameters
    ----------
    explained
        By a name for each, the fingerprint of its model, "" where that is not known, and its `suppress`.
    """
    models = {name: model for name, (model, _) in explained.items() if model}
    suppressed = {name: f"suppress={share:g}" for name, (_, share) in explained.items()}
    for told, what in ((models, "of different models"), (suppressed, "of regions that suppress different shares")):
        first = next(iter(told), "")
        if other := next((name for name, value in told.items() if value != told[first]), ""):
            raise InputError(
                f"Explanations {what} are not measured in one table",
                got=f"{first}: {told[first]}; {other}: {told[other]}",
                hint="evaluate those that belong together by themselves",
            )


def _named(metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric]) -> dict[str, Metric]:
    """Return metrics by what they are called in the result."""
    if isinstance(metrics, Mapping):
        return {name: metric_of(one) for name, one in metrics.items()}
    several = metrics if isinstance(metrics, Iterable) and not isinstance(metrics, str) else [metrics]
    chosen = [metric_of(one) for one in several]
    names = [one.name for one in chosen]
    if twice := next((name for name in names if names.count(name) > 1), None):
        hint = f'a name for each: metrics={{"{twice} by blur": ..., "{twice} by noise": ...}}'
        raise InputError("Two metrics have one name", got=repr(twice), hint=hint)
    return dict(zip(names, chosen, strict=True))


def _measured(
    box: BlackBox,
    names: tuple[str, str],
    explanation: Explanation,
    metric: Metric,
    seed: int,
    batch_size: int,
    advance: Advance,
    pooled: Sequence[Pooled],
) -> Measurement:
    """Measure the explanations of one method by one metric; `names` are what the two are called."""
    good = explanation.good
    oracle = Oracle.of(box, len(explanation), batch_size=batch_size)
    explained = explanation[good]

    def batch(part: slice) -> list[Floats | BlackBoxExplainError]:
        view = replace(oracle, rows=np.asarray(good)[part])
        found = np.asarray(metric.measure(view, explained[part]), np.float64)
        count = part.stop - part.start
        if found.shape[:1] != (count,) or found.ndim > 2 or not found.size:
            expected = f"({count},): a number for each image; or ({count}, steps), a curve for each"
            raise InputError(f"The metric {names[1]!r} is broken", got=f"shape {found.shape}", expected=expected)
        return [
            ModelError("The metric is not finite", got=f"{row}") if np.isinf(row).any() else row
            for row in map(np.asarray, found)
        ]

    answers: list[Floats | BlackBoxExplainError]
    try:
        answers = split_until_done(len(good), batch_size, batch, on_end=lambda part: advance(part.stop - part.start))
    except NotMeasurableError as error:
        # What these explanations lack, those of another method may have.
        answers = [error.with_traceback(None)] * len(good)
    failures = {
        row: answer for row, answer in zip(good, answers, strict=True) if isinstance(answer, BlackBoxExplainError)
    }
    measured = {
        row: answer for row, answer in zip(good, answers, strict=True) if not isinstance(answer, BlackBoxExplainError)
    }
    steps = max((answer.shape for answer in measured.values()), default=())
    found = np.full((len(explanation), *steps), np.nan)
    for row, answer in measured.items():
        found[row] = answer
    queries = oracle.counts.sum(axis=1)
    return measurement_of(
        names, repr(metric), metric.better, found, queries, failures, seed, pooled, hits=getattr(metric, "hits", False)
    )
