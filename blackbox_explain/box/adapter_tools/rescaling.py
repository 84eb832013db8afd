"""What the first steps of a model say of the pixels it was trained on: 0 to 255, 0 to 1, or −1 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import Preprocessing

__all__ = ["Rescaling", "at_odds", "is_image", "preprocessing_told"]

Numbers = Sequence[float] | np.ndarray[Any, Any]

BYTES = (0.0, 255.0)
SHARES = (0.0, 1.0)
SIGNED = (-1.0, 1.0)

SMALL_STEP = 1 / 16
"""Pixels of 0 to 1 that are scaled by less would leave a network next to nothing to tell them apart by."""

DIVISORS = (255.0, 127.5, 60.0)
"""By which bytes are divided: their range, half of it, and their standard deviation or so."""

LEAST_MEAN = 0.15
"""Photos of 0 to 1 are hardly darker on average."""

BYTES_INSIDE = (100.0, 600.0)
"""A whole range that becomes this wide is turned into bytes again, as by ``x · 255`` or ``127.5 · x + 127.5``."""


@dataclass(frozen=True)
class Rescaling:
    """What a model does to its input before anything else: ``scale · x + offset``.

    Attributes
    ----------
    scale, offset
        One number, or one per channel.
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def then(self, *, times: Numbers = (1.0,), plus: Numbers = (0.0,)) -> Rescaling:
        """Return both steps as one: this one, then a multiplication, then an addition, each per channel or for all."""
        by = np.asarray(times, dtype=np.float64)
        scale = np.asarray(self.scale) * by
        offset = np.asarray(self.offset) * by + np.asarray(plus, dtype=np.float64)
        return Rescaling(tuple(scale.tolist()), tuple(offset.tolist()))

    def blue_first(self) -> bool:
        """Say whether the mean rises from the first channel to the last, as that of photos does from blue to red."""
        scale, offset = np.broadcast_arrays(np.asarray(self.scale), np.asarray(self.offset))
        return scale.size == 3 and bool(np.all(scale > 0) and np.all(np.diff(-offset / scale) > 0))

    def reads(self) -> tuple[float, float] | None:
        """Return the range that pixels must have to make sense of these numbers; None where they do not tell.

        Notes
        -----
        The pixel that becomes 0 is the mean of the training images, or an end of their range.  Where it is beyond 1,
        pixels are bytes; where it lies between 0 and 1 and the scale does not shrink, they are shares; where it is 0,
        the scale alone decides.
        """
        scale, offset = np.broadcast_arrays(np.asarray(self.scale), np.asarray(self.offset))
        if not (np.isfinite(scale).all() and np.isfinite(offset).all() and (scale > 0).all()):
            return None
        step = float(scale.mean())
        middle = float((-offset / scale).mean())
        if 2 < middle <= 255:
            return BYTES
        if -1.01 <= middle <= 2 and step <= SMALL_STEP:
            # A factor alone may be of any use, unless it is one by which bytes are divided.
            known = abs(middle) > 1e-3 or any(math.isclose(step * one, 1, rel_tol=0.05) for one in DIVISORS)
            return BYTES if known else None
        if math.isclose(middle, -1, abs_tol=0.01):
            inside = BYTES_INSIDE[0] <= 2 * step <= BYTES_INSIDE[1]
            return SIGNED if inside or math.isclose(step, 0.5, rel_tol=0.01) else None
        if math.isclose(middle, 0, abs_tol=1e-3):
            return SHARES if BYTES_INSIDE[0] <= step <= BYTES_INSIDE[1] else None
        # The mean of other numbers lies near 0, such as that of photos that were normalised before.
        return SHARES if LEAST_MEAN <= middle <= 1 and step >= 1 else None


def preprocessing_told(
    rescaling: Rescaling, shape: tuple[int, ...], bounds: tuple[float, float] | None
) -> tuple[Preprocessing, str] | None:
    """Return the mean and std that bring pixels to the range a model's first steps ask for, and a sentence on it.

    Parameters
    ----------
    rescaling
        What the model does first.
    shape
        Of one image, channels first.
    bounds
        Of pixel space, where the caller said them.

    Returns
    -------
    preprocessing, sentence
        None where nothing is told: the numbers may stand for anything, the input is no image, or the caller said of
        the pixels that they lie in some range of their own.
    """
    low, high = bounds or SHARES
    reads = rescaling.reads() if is_image(shape) else None
    if reads is None or (low, high) not in (SHARES, BYTES):
        return None
    std = (high - low) / (reads[1] - reads[0])
    sentence = (
        f"the model rescales its pixels itself, as if they lay between {_said(reads)}: they are brought to that range. "
        "Where that is wrong, say preprocessing=Preprocessing(), or --mean 0 --std 1"
    )
    return Preprocessing(mean=low - reads[0] * std, std=std), sentence


def at_odds(
    rescaling: Rescaling, shape: tuple[int, ...], bounds: tuple[float, float] | None, said: Preprocessing
) -> str | None:
    """Return a sentence where the preprocessing that was said gives a model pixels of another size than it asks for."""
    reads = rescaling.reads() if is_image(shape) else None
    if reads is None:
        return None
    low, high = bounds or SHARES
    mean, std = (np.asarray(one, dtype=np.float64) for one in (said.mean, said.std))
    given = float(np.mean((low - mean) / std)), float(np.mean((high - mean) / std))
    width = reads[1] - reads[0]
    if all(abs(got - wanted) <= width / 2 for got, wanted in zip(given, reads, strict=True)):
        return None
    return (
        f"the preprocessing that was given may be wrong: the model rescales its pixels itself, as if they lay between "
        f"{_said(reads)}, and gets {given[0]:.3g} to {given[1]:.3g}"
    )


def is_image(shape: tuple[int, ...]) -> bool:
    """Say whether inputs of this shape, channels first, may be photos."""
    return len(shape) == 3 and shape[0] in (1, 3, 4)


def _said(reads: tuple[float, float]) -> str:
    return f"{reads[0]:g} and {reads[1]:g}"
