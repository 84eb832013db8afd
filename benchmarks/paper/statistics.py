"""Means with standard errors, and comparisons of the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

__all__ = [
    "SURE",
    "Compared",
    "Mean",
    "Way",
    "against",
    "all_hold",
    "compared",
    "in_words",
    "mean_of",
    "share_of",
    "verdict",
]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


Way = Literal["lower", "higher"]

T_TEST = "t, of the mean"

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
        Two-sided: Wilcoxon's signed-rank test, McNemar's exact one of hits, or the t-test of a mean and a limit.
    test
        Which of them.
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


def verdict(tests: Iterable[Compared], wanted: Way) -> bool | None:
    """Return whether ours are lower, or higher, in all comparisons, as `all_hold` has it."""
    return all_hold((one, wanted) for one in tests)


def all_hold(tests: Iterable[tuple[Compared, Way]]) -> bool | None:
    """Return whether ours are lower, or higher, in each comparison as it is wanted there.

    Returns
    -------
    bool or None
        True where each is so beyond chance.  False where one is the other way beyond chance, which is the likelier by
        chance the more of them there are: by Holm's adjustment.  None where neither is known, or nothing is compared.
    """
    told = list(tests)
    opposed = [one for one, way in told if (one.higher if way == "lower" else one.lower)]
    if any(one.p * len(told) < SURE for one in opposed):
        return False
    if not told or not np.isfinite([one.difference for one, _ in told]).all():
        return None
    return True if all(one.lower if way == "lower" else one.higher for one, way in told) else None


def in_words(holds: bool | None) -> str:
    """Return whether a claim holds, as pages tell it."""
    return "undecided" if holds is None else "yes" if holds else "**no**"


def against(values: Floats, limit: float) -> Compared:
    """Compare the mean of values (n,) with a number."""
    known = values[np.isfinite(values)] - limit
    found = mean_of(known)
    if len(known) < 2:
        return Compared(found.mean, found.error, 1.0, T_TEST, found.images)
    if not np.ptp(known):
        # Without any spread there is no doubt either.
        return Compared(found.mean, found.error, 0.0, T_TEST, found.images, int(np.sign(found.mean)))
    signed: Any = stats.ttest_1samp(known, 0.0)
    return Compared(found.mean, found.error, float(signed.pvalue), T_TEST, found.images, int(np.sign(found.mean)))


def share_of(hits: int, tries: int) -> tuple[float, float, float]:
    """Return a share, and its 95 % interval (Wilson); NaN of nothing."""
    if not tries:
        return float("nan"), float("nan"), float("nan")
    found = stats.binomtest(hits, tries).proportion_ci(method="wilson")
    return hits / tries, float(found.low), float(found.high)
