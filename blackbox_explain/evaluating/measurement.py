"""What one metric says of the explanations of one method: a value for each image, their mean and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.evaluating.pooling import Pooled, photos_of, repeated_rows
from blackbox_explain.metrics.mean_interval import interval_of_mean
from blackbox_explain.metrics.metric import Better

__all__ = ["Measurement", "joined", "line_of", "measurement_of", "unmeasured"]

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
        95 % interval of the mean over images, as `interval_of_mean` has it: NaN of fewer than six images, or where all
        have one value that is no hit or miss.  Rows of one image are drawn together.
    queries
        (N,) images that the model was run on.
    failures
        Why a row could not be measured, by row.
    curve
        (N, S) where the metric follows a curve, of which `values` are the end; None of others.
    repeated
        Rows that explain the image and the class of a row before them, and are in no mean.
    hits
        Whether values are hits and misses, 1 and 0.
    """

    method: str
    metric: str
    settings: str
    better: Better
    values: Floats
    mean: float
    low: float
    high: float
    queries: np.ndarray[Any, np.dtype[np.int64]]
    failures: Mapping[int, BlackBoxExplainError]
    curve: Floats | None = None
    repeated: tuple[int, ...] = ()
    hits: bool = False

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


def joined(parts: Sequence[Measurement], rows: Sequence[Pooled], *, seed: int = 0) -> Measurement:
    """Return one measurement of all rows of several, by the same metric of the same method.

    Parameters
    ----------
    parts
        At least one, in the order of their rows.
    rows
        What each row of all parts is of.
    seed
        Of the bootstrap.
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
    return measurement_of(
        names, first.settings, first.better, np.concatenate(found), queries, failures, seed, rows, first.hits
    )


def unmeasured(like: Measurement, rows: Sequence[Pooled], error: BlackBoxExplainError) -> Measurement:
    """Return the measurement by the same metric of the same method that failed on each of these rows."""
    nothing = np.full(len(rows), np.nan)
    none = np.zeros(len(rows), np.int64)
    return measurement_of(
        (like.method, like.metric),
        like.settings,
        like.better,
        nothing,
        none,
        dict.fromkeys(range(len(rows)), error),
        0,
        rows,
        like.hits,
    )


def measurement_of(
    names: tuple[str, str],
    settings: str,
    better: Better,
    found: Floats,
    queries: np.ndarray[Any, np.dtype[np.int64]],
    failures: Mapping[int, BlackBoxExplainError],
    seed: int,
    rows: Sequence[Pooled],
    hits: bool = False,
) -> Measurement:
    """Take the mean over the rows that have a value, and its interval; `found` are the values (N,) or curves (N, S)."""
    values, curve = (found, None) if found.ndim == 1 else (found[:, -1], found)
    repeated = repeated_rows(rows)
    counted = np.isfinite(values)
    counted[list(repeated)] = False
    mean = float(values[counted].mean()) if counted.any() else np.nan
    photos = [photo for photo, there in zip(photos_of(rows), counted, strict=True) if there]
    low, high = interval_of_mean(values[counted], seed, photos, hits=hits)
    return Measurement(*names, settings, better, values, mean, low, high, queries, failures, curve, repeated, hits)


def line_of(one: Measurement) -> tuple[str, ...]:
    """Return what a table shows: method, metric, which is better, mean, interval, images and queries."""
    values = one.values[one.counted]
    alike = "all alike" if not one.hits and len(values) > 1 and np.ptp(values) == 0 else "too few images"
    interval = f"{one.low:.3f} to {one.high:.3f}" if np.isfinite(one.low) else alike
    images = f"{one.measured}" if one.measured == one.distinct else f"{one.measured} of {one.distinct}"
    mean = f"{one.mean:.3f}" if one.measured else "-"
    return (one.method, one.metric, one.better, mean, interval, images, f"{int(one.queries.sum())}")
