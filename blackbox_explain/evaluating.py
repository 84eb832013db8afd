"""`evaluate`: how good explanations are, by one metric or several, with the interval of each mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from blackbox_explain.box.batches.splitting import split_until_done
from blackbox_explain.box.info import require
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, NotMeasurableError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.pooling import pooled_rows, pooling_warnings, repeated_rows
from blackbox_explain.metrics.by_name import metric_of
from blackbox_explain.metrics.mean_interval import interval_of_mean
from blackbox_explain.metrics.metric import Metric
from blackbox_explain.progress import Advance, progress_bar

__all__ = ["Evaluation", "Measurement", "check_together", "evaluate", "joined", "unmeasured"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one metric says of the explanations of one method.

    Attributes
    ----------
    method, metric
        By name.
    settings
        The metric with its settings, as Python writes it.
    better
        Which values are those of good explanations.
    values
        (N,), NaN for rows that failed or have nothing to measure.
    mean
        Of the values there are; NaN of none.
    low, high
        95 % interval of the mean over images (percentiles of a bootstrap); NaN of fewer than two values.
    queries
        (N,) images that the model was run on.
    failures
        Why a row could not be measured, by row.
    curve
        (N, S) where the metric follows a curve, of which `values` are the end; None of others.
    repeated
        Rows that explain the image and the class of a row before them, and are in no mean.
    """

    method: str
    metric: str
    settings: str
    better: Literal["higher", "lower"]
    values: Floats
    mean: float
    low: float
    high: float
    queries: np.ndarray[Any, np.dtype[np.int64]]
    failures: Mapping[int, BlackBoxExplainError]
    curve: Floats | None = None
    repeated: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what was measured, for JSON, without what it is called."""
        return {
            "settings": self.settings,
            "better": self.better,
            "mean": self.mean,
            "interval": [self.low, self.high],
            "values": self.values.tolist(),
            **({} if self.curve is None else {"curve": self.curve.tolist()}),
            "queries": self.queries.tolist(),
            "failures": {str(row): str(error) for row, error in self.failures.items()},
            **({"repeated": list(self.repeated)} if self.repeated else {}),
        }

    @property
    def measured(self) -> int:
        """How many rows have a value that is in the mean."""
        return int(self.counted.sum())

    @property
    def distinct(self) -> int:
        """How many rows are not of an image and a class that a row before them explains."""
        return len(self.values) - len(self.repeated)

    @property
    def counted(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(N,) whether the value of a row is in the mean."""
        found = np.isfinite(self.values)
        found[list(self.repeated)] = False
        return found


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
        lines = [heads, *(_line(one) for one in self.measurements)]
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
    metrics: str | Sequence[str | Metric] | Mapping[str, str | Metric] = ("deletion", "insertion"),
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
        If nothing could be measured, because the model fails on every image.
    NotMeasurableError
        If nothing could be measured, because the explanations lack what the metrics measure.
    """
    check_call(box, batch_size, seed)
    several = _by_name(explanations)
    chosen = _named(metrics)
    for name, metric in chosen.items():
        require(box, metric.needs, f"the metric {name!r}")
    for name, one in several.items():
        if one.images.shape[1:] != box.spec.shape:
            got = f"images of shape {one.images.shape[1:]} in {name!r}"
            raise InputError("The explanations are of other images", got=got, expected=f"{box.spec.shape}")
    check_together({name: (one.provenance.model_fingerprint, one.suppress) for name, one in several.items()})
    pooled = {name: pooled_rows(one) for name, one in several.items()}
    again = {name: repeated_rows(one) for name, one in pooled.items()}
    rows = len(chosen) * sum(len(one.good) for one in several.values())
    with progress_bar(rows, "evaluating", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        found = [
            _measured(box, (name, called), one, metric, seed, batch_size, advance, again[name])
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


def _by_name(explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation]) -> dict[str, Explanation]:
    """Return explanations by what their method is called in the result; errors as in `evaluate`."""
    named: list[tuple[str, Any]]
    if isinstance(explanations, Mapping):
        named = [(str(name), one) for name, one in explanations.items()]
    else:
        given = [explanations] if isinstance(explanations, Explanation) else explanations
        several: list[Any] = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        named = [(one.method if isinstance(one, Explanation) else "", one) for one in several]
    expected = "an Explanation, several of different methods, or a mapping with a name for each"
    for _, one in named:
        if not isinstance(one, Explanation):
            raise InputError("This is no explanation", got=repr(one)[:80], expected=expected)
    if not named:
        raise InputError("There are no explanations to evaluate", expected=expected)
    names = [name for name, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        hint = f'a name for each: explanations={{"{twice}, one": ..., "{twice}, other": ...}}'
        raise InputError("Two explanations are by one method", got=repr(twice), hint=hint)
    return dict(named)


def _named(metrics: str | Sequence[str | Metric] | Mapping[str, str | Metric]) -> dict[str, Metric]:
    """Return metrics by what they are called in the result."""
    if isinstance(metrics, Mapping):
        return {name: metric_of(one) for name, one in metrics.items()}
    chosen = [metric_of(one) for one in ([metrics] if isinstance(metrics, str) else metrics)]
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
    repeated: tuple[int, ...],
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
    return _measurement(names, repr(metric), metric.better, found, queries, failures, seed, repeated)


def joined(parts: Sequence[Measurement], *, seed: int = 0, repeated: tuple[int, ...] = ()) -> Measurement:
    """Return one measurement of all rows of several, by the same metric of the same method.

    Parameters
    ----------
    parts
        At least one, in the order of their rows.
    seed
        Of the bootstrap.
    repeated
        Rows of all parts together that are in no mean, as in `Measurement`.
    """
    first = parts[0]
    starts = np.cumsum([0, *(len(one.values) for one in parts)]).tolist()
    failures = {
        start + row: error for start, one in zip(starts, parts, strict=False) for row, error in one.failures.items()
    }
    steps = max((one.curve.shape[1:] for one in parts if one.curve is not None), default=())
    # Where all rows of a part failed, nothing tells that there are curves.
    found = [
        (one.values if not steps else np.full((len(one.values), *steps), np.nan)) if one.curve is None else one.curve
        for one in parts
    ]
    queries = np.concatenate([one.queries for one in parts])
    names = first.method, first.metric
    return _measurement(names, first.settings, first.better, np.concatenate(found), queries, failures, seed, repeated)


def unmeasured(like: Measurement, rows: int, error: BlackBoxExplainError) -> Measurement:
    """Return the measurement by the same metric of the same method that failed on each of so many rows."""
    nothing = np.full(rows, np.nan)
    none = np.zeros(rows, np.int64)
    return _measurement(
        (like.method, like.metric), like.settings, like.better, nothing, none, dict.fromkeys(range(rows), error), 0, ()
    )


def _measurement(
    names: tuple[str, str],
    settings: str,
    better: Literal["higher", "lower"],
    found: Floats,
    queries: np.ndarray[Any, np.dtype[np.int64]],
    failures: Mapping[int, BlackBoxExplainError],
    seed: int,
    repeated: tuple[int, ...],
) -> Measurement:
    """Take the mean over the rows that have a value, and its interval; `found` are the values (N,) or curves (N, S)."""
    values, curve = (found, None) if found.ndim == 1 else (found[:, -1], found)
    once = np.delete(values, list(repeated))
    known = once[np.isfinite(once)]
    mean = float(known.mean()) if len(known) else np.nan
    low, high = interval_of_mean(known, seed)
    return Measurement(*names, settings, better, values, mean, low, high, queries, failures, curve, repeated)


def _line(one: Measurement) -> tuple[str, ...]:
    interval = f"{one.low:.3f} to {one.high:.3f}" if np.isfinite(one.low) else "too few images"
    images = f"{one.measured}" if one.measured == one.distinct else f"{one.measured} of {one.distinct}"
    mean = f"{one.mean:.3f}" if one.measured else "-"
    return (one.method, one.metric, one.better, mean, interval, images, f"{int(one.queries.sum())}")
