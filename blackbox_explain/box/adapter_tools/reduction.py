"""Outputs with a score for each class at many places or steps: how they become one row of scores, if somebody says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_explain.errors import InputError

__all__ = ["REDUCE", "Reduction", "is_row"]

REDUCE = (
    "if it holds the scores of many places or steps, say how they are joined: reduce=('mean', 1) (--reduce mean,1) "
    "averages over its axis 1, 'max' takes the largest; if it holds those of the classes, give class_names= (--classes)"
)
"""What to do about such an output."""


@dataclass(frozen=True)
class Reduction:
    """How scores are joined.

    Attributes
    ----------
    kind
        ``"mean"`` or ``"max"``.
    axes
        Over which, counted from 0; that of the images is 0, but for models that put their steps first.
    """

    kind: Literal["mean", "max"]
    axes: tuple[int, ...]

    @classmethod
    def of(cls, how: Any) -> Reduction | None:
        """Read what a caller said, such as ``("mean", 1)`` or ``("max", (1, 2))``; None if nothing.

        Raises
        ------
        InputError
            If it is something else.
        """
        if how is None:
            return None
        if isinstance(how, Sequence) and len(how) == 2 and how[0] in ("mean", "max"):
            axes = how[1] if isinstance(how[1], (list, tuple)) else [how[1]]
            if axes and all(isinstance(one, int) and not isinstance(one, bool) for one in axes):
                return cls(how[0], tuple(axes))
        raise InputError(
            "This is no reduction",
            got=f"reduce={how!r}",
            expected="('mean', axes) or ('max', axes), axes one number or several, counted from 0",
        )

    def axes_of(self, shape: Sequence[int | None], count: int | None) -> tuple[int, ...]:
        """Return the axes counted from the front.

        Parameters
        ----------
        shape
            Of the output; None for sizes that are free.
        count
            Number of images, None if it is free.

        Raises
        ------
        InputError
            If the output has no such axis, or images would be joined.
        """
        rank, got = len(shape), f"reduce={(self.kind, self.axes)} for an output of shape {tuple(shape)}"
        if any(not -rank <= one < rank for one in self.axes):
            raise InputError("The output has no such axis", got=got, expected=f"1 to {rank - 1}")
        axes = tuple(sorted({one % rank for one in self.axes}))
        # Steps may come before the images: then these are the second axis.
        if 0 in axes and shape[0] == count and (rank < 2 or shape[1] != count):
            raise InputError("This would join the scores of different images", got=got, expected="another axis")
        return axes

    def apply(self, outputs: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
        """Return the joined scores of a NumPy array, of so many images."""
        axes = self.axes_of(outputs.shape, count)
        return outputs.mean(axis=axes) if self.kind == "mean" else outputs.max(axis=axes)


def is_row(shape: Sequence[int | None], classes: int | None = None) -> bool:
    """Say whether an output of this shape is a row of scores for each image.

    Parameters
    ----------
    shape
        With the batch; None for what is free.
    classes
        Number of class names, where they were given.

    Returns
    -------
    row
        True for (N,), one class; (N, K); and where every axis but one is 1, and that one is the last, or the second
        before two of size 1 or more, as (N, K, 1, 1) is of a convolution.  (N, T, 1) and (N, 1, T) may be one class at
        T steps: they are rows where there are as many class names.
    """
    wide = [place for place, size in enumerate(shape) if place and size != 1]
    if len(shape) < 3 or not wide:
        return len(shape) > 0
    if len(wide) > 1:
        return False
    if len(shape) == 3:
        return classes is not None and shape[wide[0]] == classes
    return wide[0] in (1, len(shape) - 1)
