"""Any number of images for models that take a fixed number at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace
from blackbox_explain.errors import ModelError

__all__ = ["in_batches"]


def in_batches(call: Callable[..., tuple[Array, ...]], size: int | None, *arrays: Array) -> tuple[Array, ...]:
    """Run `call` on as many rows as a model takes: pad the last batch by repetition, crop its answer.

    Parameters
    ----------
    call
        Takes arrays with equally many rows, returns a tuple of arrays with as many.
    size
        The model's batch size; None if it takes any number of rows above 0.
    arrays
        Arrays with the same number of rows.  Where they have none, one row of zeros is run and cropped.

    Raises
    ------
    ModelError
        If there is not a row for each image in all answers of a model of fixed batch size.
    """
    xp = namespace(arrays[0])
    count = arrays[0].shape[0]
    if count == 0:
        rows = [constant_like(np.zeros((1, *array.shape[1:])), array) for array in arrays]
        return tuple(answer[:0, ...] for answer in in_batches(call, size, *rows))
    if size is None:
        return tuple(call(*arrays))
    pieces: list[Sequence[Array]] = []
    for first in range(0, count, size):
        rows = [array[first : first + size, ...] for array in arrays]
        have = rows[0].shape[0]
        if have < size:
            rows = [xp.concat([row] + [row[-1:, ...]] * (size - have), axis=0) for row in rows]
        answers = call(*rows)
        if any(tuple(answer.shape[:1]) != (size,) for answer in answers):
            raise ModelError(
                "The model does not answer with a row for each image",
                got=f"shapes {' and '.join(str(tuple(one.shape)) for one in answers)} for {size} images",
            )
        pieces.append([answer[:have, ...] for answer in answers])
    return tuple(xp.concat(list(parts), axis=0) for parts in zip(*pieces, strict=True))
