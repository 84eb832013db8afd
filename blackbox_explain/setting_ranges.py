"""What settings of methods and metrics may be: whole numbers and numbers within a range, told alike by all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError

__all__ = ["MOST_RUNS", "check_name", "check_number", "check_whole", "is_number", "is_whole", "out_of_range"]

MOST_RUNS = 1_000_000
"""Runs of a model that one row may take by a single setting: more are a slip of the pen, and would fill the memory."""


def check_whole(settings: Any, name: str, least: int = 1, most: int = MOST_RUNS) -> None:
    """Check a setting that is a whole number, and store it as Python's own, which records can hold.

    Parameters
    ----------
    settings
        A frozen dataclass.
    name
        Of its field.
    least, most
        What it may be.

    Raises
    ------
    InputError
        If it is no whole number, or out of range.
    """
    value = getattr(settings, name)
    if not is_whole(value) or not least <= value <= most:
        raise out_of_range(settings, name, f"a whole number from {least:,} to {most:,}")
    object.__setattr__(settings, name, int(value))


def check_number(
    settings: Any,
    name: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> None:
    """Check a setting that is a number, and store it as Python's own, which records can hold.

    Parameters
    ----------
    settings
        A frozen dataclass.
    name
        Of its field.
    above, least, most, below
        What it may be: more than `above`, at least `least`, at most `most`, less than `below`.

    Raises
    ------
    InputError
        If it is no number, or out of range.
    """
    value = getattr(settings, name)
    # Not a number fails every comparison.
    if not is_number(value) or not (above < value < below and least <= value <= most):
        begins = f"above {above:g}" if least == -math.inf else f"of at least {least:g}"
        ends = f" and below {below:g}" if below < math.inf else f" and at most {most:g}" if most < math.inf else ""
        raise out_of_range(settings, name, f"a number {begins}{ends}")
    object.__setattr__(settings, name, value.item() if isinstance(value, np.generic) else value)


def check_name(settings: Any, name: str) -> None:
    """Raise `InputError` unless a setting is a name, or None."""
    value = getattr(settings, name)
    if value is not None and not isinstance(value, str):
        raise out_of_range(settings, name, "a name, or None")


def is_number(value: Any) -> bool:
    """Say whether something is a real number; truth values are none, though Python counts with them."""
    return _is_number(value, int, float, np.integer, np.floating)


def is_whole(value: Any) -> bool:
    """Say whether something is a whole number; truth values are none."""
    return _is_number(value, int, np.integer)


def _is_number(value: Any, *kinds: type[Any]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def out_of_range(settings: Any, name: str, expected: str) -> InputError:
    """Return the error of a setting, which tells what it was and what it may be."""
    got = f"{name}={getattr(settings, name)!r}"[:80]
    return InputError(f"The setting {name} of {settings.name!r} is out of range", got=got, expected=expected)
