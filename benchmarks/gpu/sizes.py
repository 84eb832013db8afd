"""How much is measured, in full or as little as shows that everything runs; and what becomes of what does not fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FULL", "TINY", "Budget", "OutOfTime", "Sizes", "or_error"]


@dataclass(frozen=True)
class Sizes:
    """What is measured, and how often.

    Attributes
    ----------
    batches
        Of the bare model.
    loop_batches
        Of the loop, in the modes that are measured at several; what comes last is left out first.
    loop_batch
        Of the loop in all other modes.
    many
        Images explained together.
    many_repeats
        Of such a call, which takes seconds; results hold each.
    photos
        That maps are judged by.
    repeats
        Of each other timing.
    steps
        Of the loop in one repetition.
    plain_steps
        Of the one-image loop that a user would write.
    plain_timed_steps
        Of it in one repetition: its time is told by that of so many.
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
    many_repeats: int
    photos: int
    repeats: int
    steps: int
    plain_steps: int
    plain_timed_steps: int
    objective_steps: int
    peak_side: int
    test_seconds: float
    side: int
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


FULL = Sizes(
    batches=(1, 4, 16, 64, 128, 256, 512),
    loop_batches=(64, 1, 16, 256, 512, 128),
    loop_batch=64,
    many=64,
    many_repeats=5,
    photos=10,
    repeats=20,
    steps=4,
    plain_steps=300,
    plain_timed_steps=30,
    objective_steps=100,
    peak_side=8192,
    test_seconds=120.0,
    side=224,
)
TINY = Sizes(
    batches=(1, 2),
    loop_batches=(1,),
    loop_batch=2,
    many=2,
    many_repeats=1,
    photos=2,
    repeats=2,
    steps=2,
    plain_steps=2,
    plain_timed_steps=1,
    objective_steps=1,
    peak_side=64,
    test_seconds=120.0,
    side=64,
    settings={"steps": 1, "start": "centre"},
)


class OutOfTime(Exception):  # noqa: N818 - nothing went wrong
    """What was to be measured does not fit into the time that is left."""


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

    def need(self, seconds: float) -> None:
        """Go on if so many are left.

        Raises
        ------
        OutOfTime
            If they are not.
        """
        if self.left < seconds:
            raise OutOfTime


def or_error(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure, or say why not: one mode that fails must not take the others with it."""
    try:
        return measure()
    except OutOfTime:
        return {"skipped": "out of time"}
    except Exception as error:
        text = str(error).strip().splitlines()
        return {"failed": f"{type(error).__name__}: {text[0] if text else ''}"[:300]}
