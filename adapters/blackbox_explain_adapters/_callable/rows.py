"""What a function returns, as rows of scores in the library of its images: it may use any library, lists or tuples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace, to_numpy
from blackbox_explain.box.adapter_tools.outputs import Output, Wanted, choose_output, named_outputs, refuse_shape
from blackbox_explain.box.adapter_tools.reduction import is_row
from blackbox_explain.errors import ModelError

__all__ = ["FunctionRows", "array_like"]


class FunctionRows:
    """A function, its answers made (N, K) arrays like the images it got.

    Parameters
    ----------
    function
        Maps preprocessed images to scores, to several arrays, to lists, or to tensors of any library.
    wanted
        What the caller said of its outputs.
    """

    def __init__(self, function: Callable[[Array], Any], wanted: Wanted) -> None:
        self.notes: tuple[str, ...] = ()
        self._function = function
        self._wanted = wanted
        self._place: str | None = None
        self._parts: bool | None = None

    def __call__(self, images: Array) -> Array:
        """Map preprocessed images to raw outputs (N, K)."""
        answer, count = self._function(images), images.shape[0]
        found = {name: array_like(one, images, whole=True) for name, one in self._several(answer, count).items()}
        floats = any(_is_floating(one) for one in found.values())
        # Decided once, by the first answer: the number of images may be that of something else the next time.
        if self._place not in found:
            # Python's own numbers may be whole by chance.
            own = isinstance(answer, (list, tuple))
            known = {
                name: Output(
                    tuple(one.shape), _is_floating(one) if floats else _is_real(one), label=not own and _is_label(one)
                )
                for name, one in found.items()
            }
            self._place, note = choose_output(known, count, self._wanted)
            self.notes = () if note is None else (note,)
        scores, reduction = found[self._place], self._wanted.reduction
        xp = namespace(scores)
        if reduction is not None:
            axes = reduction.axes_of(scores.shape, count)
            scores = xp.mean(scores, axis=axes) if reduction.kind == "mean" else xp.max(scores, axis=axes)
        shape = tuple(scores.shape)
        if shape[:1] != (count,) or not is_row(shape, self._wanted.classes) or 0 in shape:
            raise refuse_shape(shape, count, self._wanted, len(found) - 1, "The function")
        # A copy: the function may answer with memory of its own, which its next answer is written into.
        return xp.asarray(xp.reshape(scores, (count, -1)), copy=True)

    def _several(self, answer: Any, count: int) -> dict[str, Any]:
        """Return arrays by name; a list of rows is one array, a list of matrices is several."""
        if isinstance(answer, (list, tuple)):
            parts = cast("list[Any]", answer)
            if self._parts is None:
                ranks = {len(getattr(one, "shape", ())) for one in parts}
                self._parts = max(ranks, default=0) > 1 or (
                    ranks == {1} and (len(parts) != count or self._wanted.output is not None)
                )
            if not self._parts:
                return {"output": parts}
        elif not isinstance(answer, Mapping) and (hasattr(answer, "__array__") or hasattr(answer, "shape")):
            return {"output": answer}
        return named_outputs(answer, lambda one: hasattr(one, "shape"))


def array_like(answer: Any, inputs: Array, *, whole: bool = False) -> Array:
    """Return what a function answers as an array of the library, and where it is another, the type, of its inputs.

    Parameters
    ----------
    answer, inputs
        Of the function.
    whole
        Whether whole numbers stay what they are.

    Raises
    ------
    ModelError
        If it is no array of numbers.
    """
    if isinstance(answer, np.ndarray) and isinstance(inputs, np.ndarray):
        if answer.dtype.kind in "biuf":
            return answer
    elif type(answer) is type(inputs):
        # A tensor that remembers how it was computed is no use to anyone here.
        detach = getattr(answer, "detach", None)
        return answer if detach is None else detach()
    if isinstance(answer, (list, tuple)):
        answer = [_on_host(one) for one in cast("list[Any]", answer)]
    values = _on_host(answer)
    if values.dtype.kind not in "biuf":
        raise ModelError(
            "The function does not answer with numbers",
            got=f"a {type(answer).__name__} of type {values.dtype}",
            expected="(N, K) class scores",
        )
    return constant_like(values, inputs, integer=whole and values.dtype.kind in "iu")


def _on_host(answer: Any) -> np.ndarray[Any, Any]:
    if hasattr(answer, "detach") or hasattr(answer, "__array_namespace__"):
        return to_numpy(answer)
    try:
        return np.asarray(answer)
    except ValueError as error:
        raise ModelError(
            "The function answers with rows of different lengths", got=str(error), expected="(N, K) class scores"
        ) from error


def _is_label(array: Array) -> bool:
    # In the types of predicted classes: what is counted or measured in bytes is in smaller ones.
    types = namespace(array).int32, namespace(array).int64
    return math.prod(array.shape[1:]) == 1 and namespace(array).isdtype(array.dtype, types)


def _is_floating(array: Array) -> bool:
    return namespace(array).isdtype(array.dtype, "real floating")


def _is_real(array: Array) -> bool:
    return "complex" not in str(array.dtype)
