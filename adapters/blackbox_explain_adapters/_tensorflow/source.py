"""What every kind of TensorFlow model comes down to: something to call, and what is known of its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.layout import CHANNELS_LAST, Layout, layout_of, maybe_grey, reshaped
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.errors import UnsupportedModelError

__all__ = ["Reading", "Source", "readings", "short"]


@dataclass(frozen=True)
class Source:
    """A model, whatever its kind.

    Attributes
    ----------
    call
        From one tensor of images, as the model reads them, to whatever it answers.
    owner
        The model itself: functions hold their variables by weak references alone.
    sizes
        Shape of one image in the model's own order, None for what is free; None if nothing is known.
    batch
        The one number of images that the model takes; None if it takes any.
    dtype
        That the model reads.
    layout
        Where the sizes do not tell.
    notes
        Sentences for the user.
    names
        Of its outputs, where it returns a tuple or list and tells them.
    layers
        Returns its layers by name, once it was traced; None where it has none that can be watched.
    """

    call: Callable[[Any], Any]
    owner: Any
    sizes: tuple[int | None, ...] | None = None
    batch: int | None = None
    dtype: tf.DType = tf.float32
    layout: Layout = "channels_last"
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    layers: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Reading:
    """One way to give a model its images.

    Attributes
    ----------
    spec
        What the black box reads.
    assumptions
        Sentences for the user.
    sizes
        Of one image in the model's own order.
    batch
        As in `Source`.
    """

    spec: InputSpec
    assumptions: tuple[str, ...]
    sizes: tuple[int, ...]
    batch: int | None


def readings(source: Source, described: Described) -> list[Reading]:
    """Return the ways to read what was said and seen, the likeliest first.

    A model that does not tell the order of its axes may have them the other way round, and one that claims to take any
    number of images may take one at a time.

    Raises
    ------
    InputError
        If nobody told the shape, or both did and differ.
    UnsupportedModelError
        If the model reads no images.
    """
    if source.dtype.is_integer and source.dtype not in (tf.uint8, tf.int16, tf.int32, tf.int64):
        raise UnsupportedModelError(
            "The model does not read pixels", got=f"an input of {source.dtype.name}", expected="floats, or bytes"
        )
    if not (source.dtype.is_integer or source.dtype.is_floating):
        raise UnsupportedModelError(
            "The model does not read arrays of pixels",
            got=f"an input of {source.dtype.name}",
            expected="floats or bytes",
            hint="export a function that takes decoded images",
        )
    first = _reading(source, described, source.layout)
    found = [first]
    if source.sizes is None and len(set(first.sizes)) > 1:
        other: Layout = "channels_first" if first.spec.preprocessing.layout == "channels_last" else "channels_last"
        found.append(_reading(source, described, other))
    note = "the model takes one image at a time, whatever its input says"
    singles = [
        dataclasses.replace(one, batch=1, assumptions=(*one.assumptions, note)) for one in found if one.batch is None
    ]
    return [*found, *singles]


def short(error: BaseException) -> str:
    """Return the kind of an error and the line of its message that says most: TensorFlow's are pages long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Keras begins with the layer, and TensorFlow with the traceback of the code that it was transforming.
    telling = [line for line in lines if not line.startswith(("in user code", "File ", "Exception encountered", "**"))]
    text = next(iter(telling or lines), "")
    return f"{type(error).__name__}: {text[:300]}".removesuffix(": ")


def _reading(source: Source, described: Described, layout: Layout) -> Reading:
    notes = list(source.notes)
    seen: tuple[int | None, ...] | None = None
    flat = () if source.sizes is None else reshaped(source.sizes, described.shape)
    if flat:
        notes.append(f"each image is reshaped to the {flat} that the model reads")
    elif source.sizes is not None:
        if len(source.sizes) < 2:
            raise UnsupportedModelError(
                "The model does not tell the shape of its images",
                got=f"an input of {source.sizes[0]} numbers" if source.sizes else "an input of one number",
                expected="channels, then height and width",
                hint="wrap(model, shape=(1, 28, 28)), whose product is that number",
            )
        seen, layout = layout_of(source.sizes, layout)
    given = described.preprocessing or Preprocessing()
    # Wider whole numbers are bytes where nothing else is said.
    integer = source.dtype.is_integer
    told = described.preprocessing is not None or described.bounds not in (None, (0, 1))
    if integer and (given.mean, given.std) == (0.0, 1.0) and not (source.dtype.size > 1 and told):
        low, high = described.bounds or (0.0, 1.0)
        given = dataclasses.replace(given, mean=low, std=(high - low) / 255)
        notes.append("the model reads bytes: pixel values are brought to 0–255 and rounded")
    elif described.preprocessing is None:
        notes.insert(0, "no preprocessing was given: the model is taken to read pixel values as they are")
    if layout != given.layout:
        given = dataclasses.replace(given, layout=layout)
    if layout == "channels_last":
        notes.append(CHANNELS_LAST)
    spec, assumptions = dataclasses.replace(described, preprocessing=given).spec(seen)
    last = (*spec.spatial, spec.shape[0]) if layout == "channels_last" else spec.shape
    if described.shape is None and len(last) == 2:
        notes.append(maybe_grey(last))
    return Reading(spec, (*assumptions, *notes), flat or last, source.batch)
