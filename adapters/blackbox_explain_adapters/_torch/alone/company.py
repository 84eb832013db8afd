"""Whether an image alone gets the bits from a module that it gets in company: then it need not be run as a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from blackbox_explain_adapters._torch.alone.rows_alike import Convolution, RowsAlike

__all__ = ["Company", "Kind", "Trial"]

Kind = Literal["scores", "gradient"]
"""What a call asks for."""

Trial = Callable[[int, RowsAlike], dict[Kind, tuple[torch.Tensor, ...]]]
"""Runs a module on an image of noise, as so many rows; returns what the first one gets by each kind of call."""


@dataclass(frozen=True)
class Verdict:
    """What was found out with a number of threads.

    Attributes
    ----------
    alike
        Whether an image alone gets the bits of a pair; what is not named is not known.
    differing
        Convolutions that are computed as those of two rows for that.
    """

    alike: dict[Kind, bool]
    differing: frozenset[Convolution]


class Company:
    """What is known of a module on a CPU."""

    AFTER = 3
    """Calls that are run as pairs before it is found out, which takes as long as three images do, or some more."""

    def __init__(self) -> None:
        self._calls: Counter[int] = Counter()
        self._verdicts: dict[int, Verdict] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Another process may run on another processor.
        return {"_calls": Counter[int](), "_verdicts": {}}

    def differing(self) -> frozenset[Convolution]:
        """Return the convolutions of one row that are computed as those of two."""
        found = self._verdicts.get(torch.get_num_threads())
        return found.differing if found else frozenset()

    def needed(self, kind: Kind, trial: Trial) -> bool:
        """Return whether an image is to be run as a pair; from one of the next calls on it may be alone."""
        threads = torch.get_num_threads()
        if threads in self._verdicts:
            return not self._verdicts[threads].alike.get(kind, False)
        self._calls[threads] += 1
        if self._calls[threads] > self.AFTER:
            self._verdicts[threads] = _verdict(trial)
        return True


def _verdict(trial: Trial) -> Verdict:
    try:
        seen: set[Convolution] = set()
        alone = trial(1, RowsAlike(seen=seen))
        differing = frozenset(one for one in seen if _differs(one))
        if differing:
            alone = trial(1, RowsAlike(differing))
        pair = trial(2, RowsAlike())
    except Exception:  # what a module makes of noise is not what it was asked about
        return Verdict({}, frozenset())
    return Verdict({kind: _same(alone[kind], pair[kind]) for kind in alone}, differing)


def _same(alone: tuple[torch.Tensor, ...], pair: tuple[torch.Tensor, ...]) -> bool:
    """Return whether both have the same bits; of zeros nothing is known."""
    return all(torch.equal(one, other) and bool(one.any()) for one, other in zip(alone, pair, strict=True))


def _differs(one: Convolution) -> bool:
    try:
        return one.differs()
    except RuntimeError:  # of a type without random numbers or without gradient: the module as a whole will tell
        return False
