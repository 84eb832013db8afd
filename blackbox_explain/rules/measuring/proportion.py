"""A share of some images, with the interval of what it is among all that they were drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.rules.measuring.faithfulness import percent

__all__ = ["UNKNOWN", "Share"]

UNKNOWN = 0.5
"""An interval wider than half of all that is possible says nothing: there are not enough images."""


@dataclass(frozen=True)
class Share:
    """How many of some images something is true of.

    Attributes
    ----------
    count, n
        Images that it is true of, and images.
    low, high
        Exact binomial (Clopper–Pearson) interval.
    """

    count: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, true: np.ndarray[Any, Any], confidence: float) -> Share:
        """Count what is True in (n,) and add the interval."""
        count, n = int(np.count_nonzero(true)), len(true)
        return cls(count, n, *clopper_pearson(count, n, confidence))

    @property
    def value(self) -> float:
        """The share itself; NaN of no images."""
        return self.count / self.n if self.n else math.nan

    @property
    def enough(self) -> bool:
        """Whether the interval says anything: it is at most `UNKNOWN` wide."""
        return self.n > 0 and self.high - self.low <= UNKNOWN

    @property
    def text(self) -> str:
        """The share in words, such as "93 % of 60 (84–98 %)"."""
        if not self.n:
            return "no images"
        few = "" if self.enough else ", not enough images"
        interval = f"{percent(self.low)}–{percent(self.high)} %"
        return f"{percent(self.value)} % of {self.n:,} ({interval}{few})"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        value = self.value if self.n else None
        return {"share": value, **vars(self), "enough_images": self.enough}
