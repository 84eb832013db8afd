"""Parts of what a model is asked: taken, made while the model answers about the last, and joined again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from blackbox_explain.arrays import Array, namespace

__all__ = ["ahead", "joined", "part_from", "part_of"]

Made = TypeVar("Made")


def part_of(array: Array, part: slice) -> Array:
    """Return some rows of an array: itself if these are all."""
    return array if part == slice(0, array.shape[0]) else array[part, ...]


def part_from(make: Callable[[slice], Array], first: int, part: slice) -> Array:
    """Return what a function makes of a part that is counted from `first` on."""
    return make(slice(first + part.start, first + part.stop))


def joined(parts: Sequence[Array]) -> Array:
    """Return arrays one after the other along their first axis."""
    return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(list(parts), axis=0)


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
