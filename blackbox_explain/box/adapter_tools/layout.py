"""Which axis of an image holds the channels, guessed from the sizes that a model tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["CHANNELS_LAST", "Layout", "layout_of", "maybe_grey", "reshaped"]

Layout = Literal["channels_first", "channels_last"]

CHANNELS_LAST = "the model reads channels last"
"""What the assumptions of a box say of such a model."""


def layout_of(sizes: Sequence[int | None], default: Layout = "channels_first") -> tuple[tuple[int | None, ...], Layout]:
    """Guess which axis of an image holds the channels, from its sizes in the model's own order.

    Returns
    -------
    sizes
        Channels first.
    layout
        The one axis of 1, 3 or 4 decides, `default` where both ends or neither are such.
    """
    first, last = sizes[0] in (1, 3, 4), sizes[-1] in (1, 3, 4)
    layout: Layout = default if first == last else "channels_first" if first else "channels_last"
    return (sizes[-1], *sizes[:-1]) if layout == "channels_last" else tuple(sizes), layout


def reshaped(sizes: Sequence[int | None], shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the sizes that an image is given, where a model reads it without a channel axis or as a row of numbers.

    Parameters
    ----------
    sizes
        Of one image as the model tells them, None for what is free.
    shape
        Of one image as the caller said it, channels first.

    Returns
    -------
    sizes
        Empty where nothing is to be reshaped.
    """
    known = tuple(size for size in sizes if size is not None)
    if shape is None or len(known) < len(sizes) or len(sizes) >= len(shape):
        return ()
    return known if math.prod(known) == math.prod(shape) else ()


def maybe_grey(sizes: Sequence[int]) -> str:
    """Return a sentence on a model that reads two axes, as signals and grey images have them."""
    steps, channels = sizes
    return (
        f"the model reads {steps} × {channels} numbers, taken for a signal; if they are a grey image, pass "
        f"shape=(1, {steps}, {channels}), or --shape 1,{steps},{channels}"
    )
