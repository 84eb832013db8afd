"""Means with standard errors, and comparisons of the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

__all__ = ["Compared", "Mean", "against", "all_hold", "compared", "mean_of", "share_of", "verdict"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


SURE = 0.05
"""Below which a difference is taken for more than chance."""


@dataclass(frozen=True)
class Mean:
    """A mean over images, its standard error, and how many images it is of."""

    mean: float
    error: float
    images: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


@dataclass(frozen=True)
class Compared:
    """The values of one method against those of another, in the same images.

    Attributes
    ----------
    difference, error
        Mean of ours minus theirs, and its standard error.
    p
        Two-sided: Wilcoxon's signed-rank test, or McNemar's exact one of hits.
    test
        Which of the two.
    images
        In which both have a value.
    sign
        Of what the test sums up, which of skewed values need not be that of the mean.
    """

    difference: float
    error: float
    p: float
    test: str
    images: int
    sign: int = 0

    @property
    def lower(self) -> bool:
        """Whether ours are lower, beyond what chance makes at 5 %."""
        return self.difference < 0 and self.sign < 0 and self.p < SURE

    @property
    def higher(self) -> bool:
        """Whether ours are higher, beyond what chance makes at 5 %."""
        return self.difference > 0 and self.sign > 0 and self.p < SURE

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, for JSON."""
        return asdict(self)


def mean_of(values: Floats) -> Mean:
    """Return the mean of the finite values (n,)."""
    known = values[np.isfinite(values)]
    error = float(stats.sem(known)) if len(known) > 1 else float("nan")
    return Mean(float(known.mean()) if len(known) else float("nan"), error, len(known))


def compared(ours: Floats, theirs: Floats, *, hits: bool = False) -> Compared:
    """Compare values (n,) of two methods image by image; `hits` are 0 or 1."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    gap = ours[both] - theirs[both]
    found = mean_of(gap)
    test = "McNemar, exact" if hits else "Wilcoxon"
    if not np.any(gap):
        return Compared(found.mean, found.error, 1.0, test, found.images)
    if hits:
        more, differ = int((gap > 0).sum()), int((gap != 0).sum())
        p, sign = float(stats.binomtest(more, differ).pvalue), int(np.sign(2 * more - differ))
        return Compared(found.mean, found.error, p, test, found.images, sign)
    signed: Any = stats.wilcoxon(gap)
    known = gap[gap != 0]
    sign = int(np.sign((np.sign(known) * stats.rankdata(np.abs(known))).sum()))
    return Compared(found.mean, found.error, float(signed.pvalue), test, found.images, sign)


def verdict(tests: Iterable[Compared], wanted: Literal["lower", "higher"]) -> bool | None:
    """Return whether ours are lower, or higher, in all comparisons.

    Returns
    -------
    bool or None
        True where each is so beyond chance; False where one is the other way, beyond chance; None where neither is
        known, or where there is nothing to compare.
    """
    told = list(tests)
    if not told or not np.isfinite([one.difference for one in told]).all():
        return None
    if all(one.lower if wanted == "lower" else one.higher for one in told):
        return True
    return False if any(one.higher if wanted == "lower" else one.lower for one in told) else None


def all_hold(verdicts: Iterable[bool | None]) -> bool | None:
    """Return whether all parts of a claim hold: False where one does not, else None where one is undecided."""
    told = list(verdicts)
    return False if False in told else None if None in told else True


def against(values: Floats, limit: float) -> Compared:
    """Compare values (n,) with a number."""
    return compared(values, np.full(len(values), limit))


def share_of(hits: int, tries: int) -> tuple[float, float, float]:
    """Return a share, and its 95 % interval (Wilson)."""
    found = stats.binomtest(hits, tries).proportion_ci(method="wilson")
    return hits / tries, float(found.low), float(found.high)
