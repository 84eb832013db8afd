"""Parts of arrays, taken without a copy where that can be had, and joined again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blackbox_explain.arrays import Array, namespace

__all__ = ["joined", "part_from", "part_of"]


def part_of(array: Array, part: slice) -> Array:
    """Return some rows of an array: itself if these are all."""
    return array if part == slice(0, array.shape[0]) else array[part, ...]


def part_from(make: Callable[[slice], Array], first: int, part: slice) -> Array:
    """Return what a function makes of a part that is counted from `first` on."""
    return make(slice(first + part.start, first + part.stop))


def joined(parts: Sequence[Array]) -> Array:
    """Return arrays one after the other along their first axis."""
    return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(list(parts), axis=0)
