"""What a box is asked and what it answers, checked: shapes and types alone, values are not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from blackbox_explain.arrays import Array
from blackbox_explain.box.batches.splitting import is_out_of_memory
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import Of
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError

__all__ = ["check_batch", "check_output", "check_scores", "check_weights", "guarded"]


def check_batch(images: Array, spec: InputSpec, weights: Array | None = None, *, classes: int | None = None) -> None:
    """Check what a box is asked; values are not looked at.

    Parameters
    ----------
    images
        Floats ``(N, *spec.shape)``; N may be 0.
    spec
        Of the box.
    weights
        (N, K) where a gradient is asked for.
    classes
        K, where it is known already.

    Raises
    ------
    InputError
        If one of them has another shape, or the images are whole numbers.
    """
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) != len(spec.shape) + 1 or shape[1:] != spec.shape:
        raise InputError(
            "These images do not fit the model",
            got=f"shape {shape}",
            expected=f"(N, {', '.join(map(str, spec.shape))})",
            hint="blackbox_explain.load_images(paths, box.spec)",
        )
    if "float" not in str(images.dtype):
        low, high = spec.bounds
        raise InputError(
            "Images are floats in pixel space",
            got=f"{images.dtype}",
            expected=f"floats, black at {low:g} and white at {high:g}",
            hint="blackbox_explain.load_images(paths, box.spec)",
        )
    if weights is not None:
        check_weights(weights, images.shape[0], classes)


def check_weights(weights: Array, count: int, classes: int | None = None) -> None:
    """Raise `InputError` unless weights of scores are (count, classes), or (count, K) where `classes` is None."""
    shape = tuple(getattr(weights, "shape", ()))
    if len(shape) != 2 or shape[0] != count or classes not in (None, shape[1]):
        expected = f"({count}, {'K' if classes is None else classes})"
        raise InputError("These weights do not fit the images", got=f"shape {shape}", expected=expected)


def check_scores(scores: Array, count: int, origin: str) -> None:
    """Raise `ModelError` unless `scores` is (count, K) with K at least 1; values are not looked at."""
    shape = tuple(getattr(scores, "shape", ()))
    if len(shape) != 2 or shape[0] != count or shape[1] < 1:
        raise ModelError(
            f"{origin} does not answer like a classifier",
            got=f"outputs of shape {shape} for {count} images",
            expected=f"({count}, K): one row of K class scores per image",
            hint="wrap a function that picks and reshapes the class scores",
        )


def guarded(call: Callable[..., Any], images: Array, *rest: Array) -> Any:
    """Ask a model, and turn whatever it raises into an error of this package; want of memory stays what it is.

    Raises
    ------
    ModelError
        If the model raises anything else.
    """
    try:
        return call(images, *rest)
    except BlackBoxExplainError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            "The model raised an error",
            got=f"{type(error).__name__}: {error}",
            hint=f"run it yourself on an array of shape {tuple(images.shape)}",
        ) from error


def check_output(of: str) -> None:
    """Raise `InputError` unless a box has such an output: its scores, or its logits."""
    if of not in get_args(Of):
        raise InputError("There is no such output", got=f"of={of!r}", expected=" or ".join(map(repr, get_args(Of))))
