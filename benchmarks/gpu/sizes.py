"""How much is measured: in full, or as little as shows that everything runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FULL", "TINY", "Budget", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """What is measured, and how often.

    Attributes
    ----------
    batches
        Of the bare model.
    loop_batches
        Of the loop, in the modes that are measured at several.
    loop_batch
        Of the loop in all other modes.
    many
        Images explained together.
    repeats
        Of each timing.
    steps
        Of the loop in one repetition.
    baseline_steps
        Of the one-image loop: its time is that of so many of its 300.
    objective_steps
        Of the masks whose objective is stated.
    peak_side
        Of the matrices whose product is the card's peak.
    test_seconds
        That the tests marked gpu may take.
    side
        Of the images that EfficientNet-Lite0 is timed with; the other network reads one size.
    settings
        Of the rankings, where they are learned in a hurry.
    """

    batches: tuple[int, ...]
    loop_batches: tuple[int, ...]
    loop_batch: int
    many: int
    repeats: int
    steps: int
    baseline_steps: int
    objective_steps: int
    peak_side: int
    test_seconds: float
    side: int
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


FULL = Sizes((1, 4, 16, 64, 128, 256, 512), (1, 16, 64, 256), 64, 64, 20, 4, 30, 100, 8192, 120.0, 224)
TINY = Sizes((1, 2), (1,), 2, 2, 2, 1, 1, 1, 64, 60.0, 64, {"steps": 1, "start": "centre"})


class Budget:
    """Seconds that there are; what does not fit any more is left out and named.

    Parameters
    ----------
    seconds
        From now on.
    clock
        Tells the time.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - self._clock()

    def has(self, seconds: float) -> bool:
        """Tell whether so many are left."""
        return self.left >= seconds
