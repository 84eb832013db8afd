"""One of each kind for every run, and the rest for `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["kept"]


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
