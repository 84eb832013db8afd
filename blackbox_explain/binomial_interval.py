"""How well a share is known: the exact interval of an error rate."""

from __future__ import annotations

from blackbox_explain.errors import InputError

__all__ = ["check_counts", "clopper_pearson"]


def clopper_pearson(errors: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval of an error rate.

    Parameters
    ----------
    errors
        Failures among `n` independent trials; no whole number where a trial may fail in part.
    n
        Trials, fixed beforehand, no whole number where some count less; with none, the interval is (0, 1).
    confidence
        Probability of covering the true rate, at least; either end is missed with at most half of the rest.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    InputError
        If the counts or the confidence make no sense.

    References
    ----------
    Clopper and Pearson, *The use of confidence or fiducial limits illustrated in the case of the binomial*, 1934.
    """
    check_counts(errors, n, confidence)
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, n - errors + 1, tail))
    high = 1.0 if errors == n else float(betaincinv(errors + 1, n - errors, 1 - tail))
    return low, high


def check_counts(errors: float, n: float, confidence: float) -> None:
    """Raise `InputError` unless there can be so many errors, and an interval of such a confidence."""
    if not 0 <= errors <= n:
        raise InputError("There are at most as many errors as trials", got=f"{errors} of {n}")
    if not 0 < confidence < 1:
        raise InputError("A confidence is between 0 and 1", got=f"{confidence}", expected="such as 0.95")
