"""One of each kind for every run, and the rest for `make test-all`, or a part of the rest for the day."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["is_drawn", "kept"]


def kept(cases: Iterable[Any], *first: Any) -> list[Any]:
    """Return cases as parameters, all but those in `first` marked as exhaustive.

    Parameters
    ----------
    cases
        Of a test; tuples are several arguments.
    first
        Those of every run.
    """
    found = list(cases)
    unknown = [one for one in first if one not in found]
    if unknown:
        raise ValueError(f"no such cases: {unknown}")
    return [
        pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=() if one in first else pytest.mark.exhaustive)
        for one in found
    ]


def is_drawn(test: str, part: str) -> bool:
    """Return whether a test is of a part of all tests: of each test it is in one part of as many as there are.

    Parameters
    ----------
    test
        Its name, as pytest tells it.
    part
        ``"K/N"``: part K, from 0, of N.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    place, parts = (int(one) for one in part.split("/"))
    if not 0 <= place < parts:
        raise ValueError(f"no such part: {part}")
    return zlib.crc32(test.encode()) % parts == place
