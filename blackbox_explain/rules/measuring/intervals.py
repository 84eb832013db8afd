"""How well an error rate is known at every moment of sampling; `clopper_pearson` is for a fixed number of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from blackbox_explain.binomial_interval import check_counts

__all__ = ["ConfidenceSequence"]


@dataclass
class ConfidenceSequence:
    """Intervals of an error rate that hold at all moments at once, so that one may look after each and stop at will.

    A rate p stays as long as no bet against it has won 1 / (1 − confidence)-fold: the bet is the likelihood of the
    errors so far, averaged over all rates by Jeffreys' prior Beta(½, ½), over that of p.  Its expectation under p is
    one, and by Ville's inequality it ever exceeds c with probability at most 1 / c.

    The interval is what all moments agree on, so that it never grows.  Should a moment have nothing in common with
    those before, one of them has missed the true rate (or the trials were not alike), and the interval stays as it was.
    That is as valid: a sequence that has missed counts among the misses that the confidence allows, however it goes on.

    Attributes
    ----------
    confidence
        Probability that no interval ever misses the true rate, at least.
    errors, n
        Failures and trials so far.

    References
    ----------
    Robbins, *Statistical methods related to the law of the iterated logarithm*, 1970; Ville, *Étude critique de la
    notion de collectif*, 1939.
    """

    confidence: float = 0.95
    errors: int = 0
    n: int = 0

    def __post_init__(self) -> None:
        check_counts(self.errors, self.n, self.confidence)
        self._low, self._high = 0.0, 1.0
        self._narrow()

    def add(self, errors: int, n: int) -> tuple[float, float]:
        """Add trials and return the interval, which never grows."""
        check_counts(errors, n, self.confidence)
        self.errors, self.n = self.errors + errors, self.n + n
        self._narrow()
        return self.interval

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self._low, self._high

    def _narrow(self) -> None:
        """Take away from the interval what has been bet against successfully."""
        if self.n:
            found = self.errors / self.n
            low, high = max(self._low, self._edge(found, 0.0)), min(self._high, self._edge(found, 1.0))
            if low <= high:
                self._low, self._high = low, high

    def _edge(self, found: float, end: float) -> float:
        """Return where between the rate found and an end the bet wins; to the safe side by bisection."""
        stays, lost = found, end
        if self._log_bet(end) < -math.log1p(-self.confidence):
            return end
        for _ in range(60):
            middle = (stays + lost) / 2
            if self._log_bet(middle) < -math.log1p(-self.confidence):
                stays = middle
            else:
                lost = middle
        return lost

    def _log_bet(self, rate: float) -> float:
        """Return the logarithm of what a bet against the rate has become."""
        right = self.n - self.errors
        mixed = math.lgamma(self.errors + 0.5) + math.lgamma(right + 0.5) - math.lgamma(self.n + 1) - math.log(math.pi)
        if (rate <= 0 and self.errors) or (rate >= 1 and right):
            return math.inf
        own = (self.errors * math.log(rate) if self.errors else 0.0) + (right * math.log1p(-rate) if right else 0.0)
        return mixed - own
