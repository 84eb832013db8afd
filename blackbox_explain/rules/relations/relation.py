"""What a relation is: a family of transformations x ~θ x', of which a larger θ allows more."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.rules.serialization import Saved
from blackbox_explain.setting_ranges import is_number

__all__ = ["Floats", "Image", "Images", "Relation", "check_choice", "check_relation"]

Image = np.ndarray[Any, np.dtype[np.float32]]
Images = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Relation(Saved, ABC):
    """One class of transformations with a strength θ; θ = 0 would be the image itself.

    A subclass is a frozen dataclass that says its `name`, its range, a `phrase` and how one image is transformed.

    Attributes
    ----------
    largest
        The largest θ that is asked about.
    step
        The distance of two levels of θ that are told apart; levels are step, 2 step, ... up to `largest`.
    name
        As it is typed, such as "gaussian-blur".
    unit
        Of θ, such as "°"; empty where θ is a plain number.
    limit
        The largest θ that makes sense, and so the largest `largest`.
    signed
        Whether a transformation goes either way; its amount is then in [−θ, θ], else in [0, θ].
    whole
        Whether only whole numbers are levels.
    planar
        Whether images must be (C, H, W); otherwise any (C, *spatial) will do.
    channels
        The numbers of channels that it knows what to do with; empty if any.

    Raises
    ------
    InputError
        If the range makes no sense.
    """

    largest: float = 1
    step: float = 1

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    limit: ClassVar[float] = math.inf
    signed: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    planar: ClassVar[bool] = False
    channels: ClassVar[tuple[int, ...]] = ()

    def __post_init__(self) -> None:
        if not (is_number(self.largest) and is_number(self.step)):
            got = f"largest={self.largest!r}, step={self.step!r}"
            raise InputError(f"This is no range of the relation {self.name}", got=got, expected="two numbers")
        whole = not self.whole or (float(self.largest).is_integer() and float(self.step).is_integer())
        if not (0 < self.step <= self.largest <= self.limit and self.largest < math.inf and whole):
            numbers = "whole numbers with " if self.whole else ""
            limit = f" ≤ {self.limit:g}" if self.limit < math.inf else ""
            raise InputError(
                f"This is no range of the relation {self.name}",
                got=f"largest={self.largest:g}, step={self.step:g}",
                expected=f"{numbers}0 < step ≤ largest{limit}",
            )

    @cached_property
    def levels(self) -> Floats:
        """The θ that are told apart, (K,) ascending."""
        count = math.floor(self.largest / self.step * (1 + 1e-9))
        levels = np.asarray([round(self.step * (one + 1), 10) for one in range(count)])
        levels.flags.writeable = False
        return levels

    @abstractmethod
    def phrase(self, theta: float) -> str:
        """Say what is done at most, such as "the image is rotated by at most 13°"."""

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Return one transformed image of the same shape; it may leave the bounds, to which it is then clipped.

        A subclass has this, or a `transform` of its own.

        Parameters
        ----------
        image
            (C, *spatial) float32 in ``spec.bounds``; not changed.
        amount
            The strength, not 0, of either sign if `signed`.
        spec
            Shape and bounds.
        generator
            For whatever else is random; draw the same whatever the amount, so that a stronger transformation is
            the same one, only more of it.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither transform_one nor a transform of its own")

    def transform(
        self, images: Images, amounts: Floats, spec: InputSpec, generators: Sequence[np.random.Generator]
    ) -> Images:
        """Return transformed images, each of which depends on itself alone.

        Parameters
        ----------
        images
            (n, *shape) float32 in ``spec.bounds``; not changed.
        amounts
            (n,) strengths, of either sign if `signed`; the strength 0 gives the image back, exactly.
        spec
            Shape and bounds.
        generators
            One for each image, for whatever else is random.

        Returns
        -------
        ndarray
            (n, *shape) float32 in the bounds.

        Raises
        ------
        InputError
            If the relation does not fit the shape.
        ModelError
            If the relation changes the shape.
        """
        self.check_spec(spec)
        made = np.empty(images.shape, np.float32)
        for row, (image, amount, generator) in enumerate(zip(images, amounts, generators, strict=True)):
            found = self.transform_one(image, float(amount), spec, generator) if amount else image
            self.check_shape(found, image)
            np.clip(found, *spec.bounds, out=made[row])
        return made

    def check_shape(self, made: Images, given: Images) -> None:
        """Raise `ModelError` if what was made has another shape than what was given."""
        if made.shape != given.shape:
            raise ModelError(
                f"The relation {self.name} changes the shape of the images",
                got=f"{made.shape}",
                expected=f"{given.shape}",
                hint="a transformed image must be one that the model reads",
            )

    def fits(self, spec: InputSpec) -> bool:
        """Tell whether images of this shape can be transformed."""
        planar = not self.planar or len(spec.shape) == 3
        return planar and (not self.channels or spec.shape[0] in self.channels)

    def check_spec(self, spec: InputSpec) -> None:
        """Raise `InputError` if images of this shape cannot be transformed."""
        if not self.fits(spec):
            channels = " or ".join(map(str, self.channels)) or "C"
            raise InputError(
                f"The relation {self.name} does not fit images of this shape",
                got=f"{spec.shape}",
                expected=f"({channels}, {'H, W' if self.planar else '*spatial'})",
            )

    def check_theta(self, theta: float) -> None:
        """Raise `InputError` if θ is none of this relation's."""
        slack = 1e-9
        if not is_number(theta):
            raise InputError(f"The strength of the relation {self.name} is a number", got=f"{theta!r}"[:80])
        if not self.step * (1 - slack) <= theta <= self.largest * (1 + slack):
            only = f"{self.step:g}{self.unit}"
            raise InputError(
                f"This is out of the range of the relation {self.name}",
                got=f"{theta:g}",
                expected=only if self.step == self.largest else f"{only} to {self.largest:g}{self.unit}",
            )


def check_relation(given: object) -> None:
    """Raise `InputError` unless this is a relation, with what it may have been meant to be."""
    if isinstance(given, Relation):
        return
    name = given.__name__ if isinstance(given, type) and issubclass(given, Relation) else ""
    got, hint = name or f"{given!r}"[:80], f"{name}()" if name else ""
    raise InputError("This is no relation", got=got, expected="an object such as Rotation()", hint=hint)


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Raise `InputError` if a value is none of its choices."""
    if value not in choices:
        raise InputError(f"There is no such {what}", got=repr(value), expected=", ".join(map(repr, choices)))
