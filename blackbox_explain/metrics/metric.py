"""What a metric is: a frozen dataclass of its settings that says how good an explanation of an image is."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["Better", "Metric", "distance_from_best"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

Better = Literal["higher", "lower", "nearer 0"]
"""Which values of a metric are those of good explanations."""


def distance_from_best(value: float, better: Better) -> float:
    """Return what is smaller the better a value of a metric is."""
    if better == "nearer 0":
        return abs(value)
    return value if better == "lower" else -value


@runtime_checkable
class Metric(Protocol):
    """A measure of explanations; anything with these members is one, best as a frozen dataclass of its settings."""

    name: ClassVar[str]
    """As `evaluate` takes it."""

    needs: ClassVar[type[Any]]
    """What a box has to be: `BlackBox`, `Differentiable`, `Layered`, `Rewritable` or `Randomizable`."""

    better: ClassVar[Better]
    """Which values are those of good explanations."""

    range: ClassVar[tuple[float, float]]
    """Least and largest value that there can be; infinite where there is no bound.  A metric of hits and misses, 1 and
    0, says ``hits = True`` besides."""

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Measure the explanations of some images.

        Parameters
        ----------
        oracle
            Asks the model, on behalf of these rows.
        explanation
            Of n images, none of which failed.  What a row gets must not depend on its company.

        Returns
        -------
        ndarray
            (n,), NaN where there is nothing to measure.  Or (n, S) where what is measured is the end of a curve: the
            last column is the value, and the curve is kept beside it.

        Raises
        ------
        ModelError, OutOfMemoryError
            If the model fails or memory runs out: the rows are then split, and each part tried again.
        NotMeasurableError
            If the explanations of this method lack what is measured: all their rows then fail, and other methods and
            metrics go on.
        """
        ...
