"""What a black box reads: images in pixel space, and how they are given to the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import Array, filled_like, namespace, to_numpy
from blackbox_explain.box.class_names import taken_names
from blackbox_explain.errors import InputError

__all__ = ["InputSpec", "Preprocessing", "check_bounds", "check_images", "reading_of"]

SLACK = 1e-3
"""How far values may leave the bounds, as a share of their range, for rounding."""


@dataclass(frozen=True)
class Preprocessing:
    """The affine map and the order of channels and axes between pixel space and what the network was trained on.

    The network sees ``(pixels - mean) / std``, its channels reordered, its axes moved.

    Parameters
    ----------
    mean, std
        One number, or one per channel in the order R, G, B; in the units of pixel space (with bounds (0, 1), the
        mean 127 of a network trained on 0–255 is 127 / 255).
    channels
        ``"RGB"``, or ``"BGR"`` for networks that read blue first.
    layout
        ``"channels_first"`` (N, C, ...) or ``"channels_last"`` (N, ..., C).
    """

    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["channels_first", "channels_last"] = "channels_first"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = _numbers(getattr(self, name))
            if not values.size or not np.isfinite(values).all() or (name == "std" and values.min() <= 0):
                expected = "finite numbers, above 0 for std: one, or one per channel"
                raise InputError("This does not normalise", got=f"{name}={getattr(self, name)}", expected=expected)
            object.__setattr__(self, name, float(values[0]) if values.size == 1 else tuple(values.tolist()))
        if self.channels not in ("RGB", "BGR"):
            raise InputError("There is no such order of channels", got=repr(self.channels), expected="'RGB' or 'BGR'")
        if self.layout not in ("channels_first", "channels_last"):
            expected = "'channels_first' or 'channels_last'"
            raise InputError("There is no such layout", got=repr(self.layout), expected=expected)

    def forward(self, images: Array) -> Array:
        """Map pixel space (N, C, ...) to what the network reads."""
        xp = namespace(images)
        if self.mean != 0.0:
            images = images - self._per_channel(self.mean, images)
        if self.std != 1.0:
            images = images / self._per_channel(self.std, images)
        if self.channels == "BGR":
            images = xp.flip(images, axis=1)
        return xp.moveaxis(images, 1, -1) if self.layout == "channels_last" else images

    def adjoint(self, gradient: Array) -> Array:
        """Map a gradient in the network's input back to pixel space (N, C, ...)."""
        xp = namespace(gradient)
        if self.layout == "channels_last":
            gradient = xp.moveaxis(gradient, -1, 1)
        if self.channels == "BGR":
            gradient = xp.flip(gradient, axis=1)
        return gradient if self.std == 1.0 else gradient / self._per_channel(self.std, gradient)

    @staticmethod
    def _per_channel(value: float | tuple[float, ...], images: Array) -> Array:
        if isinstance(value, (int, float)):
            return value
        return namespace(images).reshape(filled_like(value, images), (-1,) + (1,) * (images.ndim - 2))


def _numbers(given: Any) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    """Return numbers in a row; none where they are no numbers."""
    try:
        return np.asarray(to_numpy(given) if hasattr(given, "shape") else given, dtype=float).ravel()
    except (TypeError, ValueError):
        return np.empty(0)


@dataclass(frozen=True)
class InputSpec:
    """What a black box reads and how its scores are called.

    Parameters
    ----------
    shape
        Shape of one image without the batch, channels first: (C, T), (C, H, W) or (C, D, H, W).
    bounds
        Smallest and largest value of pixel space.
    preprocessing
        From pixel space to the network's own input.
    class_names
        One name per score, or None.
    preprocessing_assumed
        Whether nobody said what the network reads, neither the user nor the model, so that pixels are given as they
        are; see `doubts`.

    Raises
    ------
    InputError
        If a size is not positive, if the bounds are not increasing or if per-channel values do not fit.
    """

    shape: tuple[int, ...]
    bounds: tuple[float, float] = (0.0, 1.0)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    class_names: tuple[str, ...] | None = None
    preprocessing_assumed: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if self.class_names is not None:
            object.__setattr__(self, "class_names", taken_names(self.class_names))
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise InputError(
                "This is not the shape of one image",
                got=f"shape={self.shape}",
                expected="(channels, *spatial) with every size at least 1, such as (3, 224, 224)",
            )
        bounds = _numbers(self.bounds)
        if len(bounds) != 2 or not bounds[0] < bounds[1] or not np.isfinite(bounds).all():
            expected = "two increasing numbers, such as (0, 255)"
            raise InputError("These are no bounds", got=f"bounds={self.bounds!r}", expected=expected)
        object.__setattr__(self, "bounds", (float(bounds[0]), float(bounds[1])))
        for name in ("mean", "std"):
            value = getattr(self.preprocessing, name)
            if isinstance(value, tuple) and len(value) != self.shape[0]:
                raise InputError(
                    f"Preprocessing has a {name} for another number of channels",
                    got=f"{len(value)} values",
                    expected=f"one number or {self.shape[0]}",
                )

    def __repr__(self) -> str:
        """Return the fields, of class names how many there are: they may be thousands."""
        names = None if self.class_names is None else f"<{len(self.class_names):,} names>"
        parts = f"shape={self.shape}, bounds={self.bounds}, preprocessing={self.preprocessing}, class_names={names}"
        return f"{type(self).__name__}({parts})"

    @property
    def spatial(self) -> tuple[int, ...]:
        """The shape without its channels."""
        return self.shape[1:]


def reading_of(spec: InputSpec) -> dict[str, Any]:
    """Return how images are given to a model, as JSON knows it: bounds, mean, std and order of channels."""
    rules = spec.preprocessing
    mean, std = (list(one) if isinstance(one, tuple) else one for one in (rules.mean, rules.std))
    return {"bounds": [float(one) for one in spec.bounds], "mean": mean, "std": std, "channels": rules.channels}


def check_images(images: Array, spec: InputSpec) -> np.ndarray[Any, Any]:
    """Return images on the host as floats (N, *shape).

    Raises
    ------
    InputError
        If shape, type, finiteness or bounds do not fit, with what to do about it.
    """
    array = _as_array(images)
    expected = f"(N, {', '.join(map(str, spec.shape))}) floats in [{spec.bounds[0]:g}, {spec.bounds[1]:g}]"
    if array.ndim < 2 or array.shape[1:] != spec.shape or array.shape[0] == 0:
        hint = (
            "add the batch axis: images[None]"
            if array.shape == spec.shape
            else "blackbox_explain.load_images(paths, box.spec)"
        )
        raise InputError("These images do not fit the model", got=f"shape {array.shape}", expected=expected, hint=hint)
    if array.dtype.kind not in "f":
        hint = "divide by 255 and convert to float32" if array.dtype.kind in "iu" else "convert them to float32"
        raise InputError("These images are not floats", got=str(array.dtype), expected=expected, hint=hint)
    if not np.isfinite(array).all():
        raise InputError("The images hold numbers that are not finite", got="NaN or infinity", expected=expected)
    check_bounds(array, spec, "The images leave the bounds of pixel space", expected)
    return np.ascontiguousarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)


def check_bounds(values: np.ndarray[Any, Any], spec: InputSpec, what: str, expected: str = "") -> None:
    """Raise `InputError`, which says what leaves the bounds, unless all values are within, up to rounding."""
    low, high = spec.bounds
    slack = SLACK * (high - low)
    least, most = values.min(), values.max()
    if not (low - slack <= least and most <= high + slack):  # as NaN is not
        got = f"{least:g}" if values.size == 1 else f"values from {least:g} to {most:g}"
        expected = expected or f"numbers in [{low:g}, {high:g}]"
        raise InputError(what, got=got, expected=expected, hint=_hint_of_bounds(values, spec))


def _hint_of_bounds(array: np.ndarray[Any, Any], spec: InputSpec) -> str:
    """Return what to do about images that leave the bounds."""
    if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
        return "bounds=(low, high) when the model is wrapped, if these are its values"
    if array.min() >= 0 and array.max() > 1 and spec.bounds[1] == 1:
        return "divide by 255"
    return "undo any normalisation: the box does it; or bounds=(low, high) when the model is wrapped"


def _as_array(images: Any) -> np.ndarray[Any, Any]:
    """Return an array, or a list of arrays of one shape, on the host; say what to do about what often stands here."""
    if hasattr(images, "shape"):
        return to_numpy(images)
    if isinstance(images, (str, Path, bytes)) or _is_picture(images):
        raise InputError("This is a photo", got=f"{images!r}"[:80], hint="load_images([photo], box.spec)")
    if isinstance(images, Mapping):
        got = f"a mapping of {', '.join(map(str, images))}"[:80]
        raise InputError("These are no images", got=got, hint='explain(box, batch["pixel_values"], batch["labels"])')
    if not isinstance(images, (list, tuple)):
        hint = "for x, y in loader: explain(box, x, y)" if hasattr(images, "__iter__") else ""
        raise InputError("These are no images", got=f"a {type(images).__name__}", expected="an array", hint=hint)
    if images and all(isinstance(one, (str, Path, bytes)) or _is_picture(one) for one in images):
        raise InputError("These are photos", got=f"a list of {len(images)}", hint="load_images(photos, box.spec)")
    sizes = [tuple(getattr(one, "shape", ())) for one in images]
    if len(sizes) == 2 and len(sizes[0]) > 1 and sizes[0] != sizes[1] and sizes[1][:1] in ((), sizes[0][:1]):
        got = f"a {type(images).__name__} of shapes {sizes[0]} and {sizes[1]}"
        raise InputError("This is a batch of images and their labels", got=got, hint="x, y = batch; explain(box, x, y)")
    if images and all(hasattr(one, "shape") for one in images):
        if len(set(sizes)) > 1:
            raise InputError("These images differ in shape", got=", ".join(map(str, sorted(set(sizes))))[:120])
        return np.stack([to_numpy(one) for one in images])
    try:
        return np.asarray(images, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("These are no images", got=f"a list: {error}", expected="an array") from error


def _is_picture(given: Any) -> bool:
    """Tell whether this is an image of Pillow, without importing it."""
    return any(one.__module__ == "PIL.Image" for one in type(given).__mro__)
