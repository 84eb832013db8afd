"""The contract of metrics as one check, for those here and for yours."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.evaluating.evaluation import evaluate
from blackbox_explain.evaluating.measurement import Measurement
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.by_name import metric_of
from blackbox_explain.metrics.metric import Better, Metric
from blackbox_explain.testing.case import require, require_frozen

__all__ = ["check_metric"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def check_metric(
    metric: str | Metric, box: BlackBox, explanation: Explanation, *, seed: int = 0, tolerance: float = 1e-6
) -> None:
    """Check that a metric keeps its promises on a box and explanations of its images.

    It is a frozen dataclass that says which values are better and between what they lie; it measures
    some row, and a row does not depend on its company or its place, and neither do its queries.

    Parameters
    ----------
    metric
        Its name, or one with its settings.
    box
        A black box that has what the metric needs.
    explanation
        Of two images at least, none of which failed.
    seed
        Of the bootstrap.
    tolerance
        How far two values of one image may be apart.

    Raises
    ------
    AssertionError
        If a promise is broken; it says which.
    """
    chosen = metric_of(metric)
    require_frozen(chosen)
    known = get_args(Better)
    require(chosen.better in known, f"better is {chosen.better!r}, not {' or '.join(map(repr, known))}")
    require(len(explanation) > 1, "one image alone has no company: take two at least")
    try:
        together = evaluate(box, explanation, [chosen], seed=seed, progress=False).measurements[0]
    except BlackBoxExplainError as error:
        raise AssertionError(f"evaluate() raised {error}") from error
    failed = [str(one) for one in together.failures.values()]
    require(not failed, f"evaluate() {failed}")
    low, high = chosen.range
    require(together.measured > 0, "no row has a value")
    found = _curves(together)
    known = found[~np.isnan(found)]
    inside = bool(((known >= low) & (known <= high)).all())
    require(inside, f"values from {known.min():g} to {known.max():g} are not in the range from {low:g} to {high:g}")
    turned = evaluate(box, explanation[::-1], [chosen], seed=seed, batch_size=1, progress=False).measurements[0]
    for row in range(len(explanation)):
        first, other = found[row], _curves(turned)[-1 - row]
        same = first.shape == other.shape and np.allclose(first, other, rtol=0, atol=tolerance, equal_nan=True)
        require(same, f"row {row} depends on its company or its place: {first} and {other}")
    require(
        bool((turned.queries[::-1] == together.queries).all()),
        "how often a row is asked depends on its company or its place",
    )


def _curves(measured: Measurement) -> Floats:
    """Return the curves (N, S), of one step where there is but a value."""
    return measured.values[:, None] if measured.curve is None else measured.curve
