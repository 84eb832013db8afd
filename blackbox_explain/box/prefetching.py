"""The next batch is made while the model answers about this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

Made = TypeVar("Made")


def ahead(make: Callable[[slice], Made], parts: Iterable[slice]) -> Iterator[tuple[slice, Callable[[], Made]]]:
    """Yield each part with a function that returns what is made of it, the next one being made meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for part in parts:
            following = (part, pool.submit(make, part))
            if waiting is not None:
                yield waiting[0], waiting[1].result
            waiting = following
        if waiting is not None:
            yield waiting[0], waiting[1].result
