"""What adapters share: how a model was described, what it reads, batches of any size, and what it must answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import Array, constant_like, namespace
from blackbox_explain.box.activations import ACTIVATIONS, Activation
from blackbox_explain.box.protocols import InputSpec, Preprocessing
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError

__all__ = [
    "Described",
    "asked_at_wrap",
    "check_batch",
    "check_scores",
    "check_weights",
    "in_batches",
    "layout_of",
    "maybe_grey",
    "plain_images",
    "reshaped",
]

Layout = Literal["channels_first", "channels_last"]


@dataclass(frozen=True)
class Described:
    """What the caller of `wrap` said of a model; an adapter adds what the model itself tells.

    Attributes
    ----------
    shape, bounds, preprocessing, class_names
        As in `InputSpec`; None where nothing was said.
    activation
        As in `wrap`.
    preprocessing_assumed
        Whether the caller gave no preprocessing.  It stays so where an adapter replaces None by a preprocessing of its
        own, so that it need not be passed on; an adapter that knows that pixels are read as they are sets it to False.
    """

    shape: tuple[int, ...] | None = None
    bounds: tuple[float, float] | None = None
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    activation: Activation = "auto"
    preprocessing_assumed: bool = False

    def __post_init__(self) -> None:
        if self.preprocessing is None:
            object.__setattr__(self, "preprocessing_assumed", True)
        if self.activation not in ACTIVATIONS:
            raise InputError("There is no such activation", got=repr(self.activation), expected=", ".join(ACTIVATIONS))

    def spec(self, seen_shape: tuple[int | None, ...] | None = None) -> tuple[InputSpec, tuple[str, ...]]:
        """Join what was said with what was seen.

        Parameters
        ----------
        seen_shape
            Shape of one image as the model tells it, None for what is free, or None if it tells nothing.

        Returns
        -------
        spec
            The whole description.
        assumptions
            One sentence for each part that neither said, and for a mean that no pixel can have.

        Raises
        ------
        InputError
            If nobody told the shape, or both did and differ.
        """
        told = None if seen_shape is None or None in seen_shape else tuple(size or 0 for size in seen_shape)
        shape = self.shape or told
        if shape is None:
            raise InputError(
                "The model does not tell the shape of its images",
                expected="channels first, without the batch",
                hint="wrap(model, shape=(3, 224, 224)), or --shape 3,224,224",
            )
        seen = seen_shape if seen_shape is not None else shape
        if len(seen) != len(shape) or any(a not in (None, b) for a, b in zip(seen, shape, strict=True)):
            raise InputError("The model reads another shape", got=f"shape={self.shape}", expected=str(seen))
        assumptions: list[str] = []
        if self.preprocessing is None:
            assumptions.append("no preprocessing was given: the model is taken to read pixel values as they are")
        if self.bounds is None and self.preprocessing is None:
            assumptions.append("no bounds were given: pixel values are taken to lie in (0, 1)")
        low, high = self.bounds or (0.0, 1.0)
        mean = np.asarray((self.preprocessing or Preprocessing()).mean)
        if np.any((mean < low) | (mean > high)):
            told = f"the mean {mean.tolist()} lies outside of the pixel values {(low, high)}"
            assumptions.append(f"{told}: if they are bytes, bounds=(0, 255), or --range 255, is meant")
        rules = self.preprocessing or Preprocessing()
        # A mean, a scale or an order of channels that the caller did not give is what the model itself told.
        told_nothing = (rules.mean, rules.std, rules.channels) == (0.0, 1.0, "RGB")
        assumed = self.preprocessing_assumed and told_nothing
        spec = InputSpec(shape, self.bounds or (0.0, 1.0), rules, self.class_names, preprocessing_assumed=assumed)
        return spec, tuple(assumptions)


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


def asked_at_wrap(call: Callable[[Array], Any], images: Array) -> Any:
    """Ask a model for the first time, and say in the words of `explain` what it raises.

    Raises
    ------
    ModelError
        If the model raises anything but an error of this package.
    """
    try:
        return call(images)
    except (BlackBoxExplainError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            "The model raised an error",
            got=f"{type(error).__name__}: {error}",
            hint=f"run it yourself on an array of shape {tuple(images.shape)}",
        ) from error


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


def layout_of(sizes: Sequence[int | None], default: Layout = "channels_first") -> tuple[tuple[int | None, ...], Layout]:
    """Guess which axis of an image holds the channels, from its sizes in the model's own order.

    Returns
    -------
    sizes
        Channels first.
    layout
        The one axis of 1, 3 or 4 decides, `default` where both ends or neither are such.
    """
    first, last = sizes[0] in (1, 3, 4), sizes[-1] in (1, 3, 4)
    layout: Layout = default if first == last else "channels_first" if first else "channels_last"
    return (sizes[-1], *sizes[:-1]) if layout == "channels_last" else tuple(sizes), layout


def reshaped(sizes: Sequence[int | None], shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the sizes that an image is given, where a model reads it without a channel axis or as a row of numbers.

    Parameters
    ----------
    sizes
        Of one image as the model tells them, None for what is free.
    shape
        Of one image as the caller said it, channels first.

    Returns
    -------
    sizes
        Empty where nothing is to be reshaped.
    """
    known = tuple(size for size in sizes if size is not None)
    if shape is None or len(known) < len(sizes) or len(sizes) >= len(shape):
        return ()
    return known if math.prod(known) == math.prod(shape) else ()


def maybe_grey(sizes: Sequence[int]) -> str:
    """Return a sentence on a model that reads two axes, as signals and grey images have them."""
    steps, channels = sizes
    return (
        f"the model reads {steps} × {channels} numbers, taken for a signal; if they are a grey image, pass "
        f"shape=(1, {steps}, {channels}), or --shape 1,{steps},{channels}"
    )


def plain_images(spec: InputSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return black, grey, white and noise, (4, *shape) in pixel space: enough to see what a model answers."""
    low, high = spec.bounds
    plain = [np.full(spec.shape, low + share * (high - low)) for share in (0.0, 0.5, 1.0)]
    noise = np.random.default_rng(0).uniform(low, high, spec.shape)
    return np.stack([*plain, noise]).astype(np.float32)
