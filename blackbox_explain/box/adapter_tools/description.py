"""How a model was described by the caller of `wrap`, and what it is shown when it is wrapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.activations import ACTIVATIONS, Activation
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.errors import InputError

__all__ = ["Described", "plain_images"]


CHANNELS = (1, 3)
"""Of images in grey and in colour."""


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
            One sentence for each part that neither said, and for axes that may be in another order.

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
        rules = self.preprocessing or Preprocessing()
        # A mean, a scale or an order of channels that the caller did not give is what the model itself told.
        told_nothing = (rules.mean, rules.std, rules.channels) == (0.0, 1.0, "RGB")
        assumed = self.preprocessing_assumed and told_nothing
        spec = InputSpec(shape, self.bounds or (0.0, 1.0), rules, self.class_names, preprocessing_assumed=assumed)
        if len(shape) == 3 and shape[0] not in CHANNELS and shape[-1] in CHANNELS:
            assumptions.append(
                f"{shape} is taken for {shape[0]} channels: if the model reads channels last, say shape="
                f"{(shape[-1], *shape[:-1])} and Preprocessing(layout='channels_last')"
            )
        return spec, tuple(assumptions)


def plain_images(spec: InputSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return black, grey, white and noise, (4, *shape) in pixel space: enough to see what a model answers."""
    low, high = spec.bounds
    plain = [np.full(spec.shape, low + share * (high - low)) for share in (0.0, 0.5, 1.0)]
    noise = np.random.default_rng(0).uniform(low, high, spec.shape)
    return np.stack([*plain, noise]).astype(np.float32)
