"""Relations that move what is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.rules.relations.relation import Image, Relation, check_choice
from blackbox_explain.rules.relations.sampling import BORDERS, Border, padded, resized, rotated

__all__ = ["Crop", "HorizontalFlip", "Rotation", "Scale", "Translation"]


@dataclass(frozen=True)
class Rotation(Relation):
    """The image rotated about its centre, by three shears; counter-clockwise if the amount is positive.

    θ in degrees.  Up to 45° by default, where a photo's upright is in doubt and most classifiers trained on upright
    photos have long given in; ``Rotation(180, 3)`` goes all around.

    Attributes
    ----------
    border
        What is taken to lie beyond the edges, see `Border`.
    """

    largest: float = 45
    step: float = 1
    border: Border = "reflect"
    name = "rotation"
    unit = "°"
    limit = 180
    signed = True
    planar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("border", self.border, BORDERS)

    def phrase(self, theta: float) -> str:
        """Say the angle."""
        return f"the image is rotated by at most {theta:g}°"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Rotate by the amount in degrees."""
        return rotated(image, amount, self.border)


@dataclass(frozen=True)
class Translation(Relation):
    """The image shifted in a random direction, by whole pixels: nothing is interpolated, so nothing else changes.

    θ in % of the shorter side; images of any dimension.  Less than half a pixel along every axis is no shift.

    Attributes
    ----------
    border
        What is taken to lie beyond the edges, see `Border`.
    """

    largest: float = 50
    step: float = 1
    border: Border = "reflect"
    name = "translation"
    unit = " %"
    limit = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("border", self.border, BORDERS)

    def phrase(self, theta: float) -> str:
        """Say the distance."""
        return f"the image is shifted by at most {theta:g} % of its side"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Shift by the amount in % of the shorter side."""
        spatial = image.shape[1:]
        direction = generator.standard_normal(len(spatial))
        if max(spatial) > 1:
            direction[np.asarray(spatial) == 1] = 0  # of a signal laid out as an image
        distance = amount / 100 * shortest_side(spatial)
        shifts = np.round(direction / np.linalg.norm(direction) * distance).astype(int).tolist()
        wide = padded(image, [(abs(shift), abs(shift)) for shift in shifts], self.border)
        window = (slice(abs(s) - s, abs(s) - s + size) for s, size in zip(shifts, spatial, strict=True))
        return wide[(slice(None), *window)]


@dataclass(frozen=True)
class Scale(Relation):
    """The image enlarged about its centre if the amount is positive, shrunk if negative, by a bicubic filter.

    θ in %; the factor is (1 + θ / 100)^±1, so that enlarging and shrinking by the same amount undo each other.

    Attributes
    ----------
    border
        What is taken to lie beyond the edges, see `Border`; not the mirror image here, which would show a shrunk object
        several times.
    """

    largest: float = 200
    step: float = 5
    border: Border = "edge"
    name = "scale"
    unit = " %"
    limit = 900
    signed = True
    planar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("border", self.border, BORDERS)

    def phrase(self, theta: float) -> str:
        """Say the factor."""
        return f"the image is enlarged or shrunk by a factor of at most {1 + theta / 100:g}"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Enlarge or shrink by the amount in %."""
        height, width = image.shape[1:]
        side = (1 + abs(amount) / 100) ** (-1 if amount > 0 else 1)
        if side > 1:
            margins = (math.ceil((side - 1) * size / 2) for size in (height, width))
            image = padded(image, [(margin, margin) for margin in margins], self.border)
        tall, wide = image.shape[1:]
        left, top = (wide - side * width) / 2, (tall - side * height) / 2
        return resized(image, (height, width), (left, top, wide - left, tall - top))


@dataclass(frozen=True)
class HorizontalFlip(Relation):
    """The image mirrored, left to right; θ is 1."""

    name = "horizontal-flip"
    limit = 1
    whole = True
    planar = True

    def phrase(self, theta: float) -> str:
        """Say it."""
        return "the image is flipped left to right"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Mirror the last axis."""
        return image[..., ::-1]


@dataclass(frozen=True)
class Crop(Relation):
    """A part of the image at a random place, of the same proportions, enlarged to its size by a bicubic filter.

    θ in % of width and height that are cut away.  For one draw the part of a larger θ lies inside that of a smaller.
    """

    largest: float = 90
    step: float = 2
    name = "crop"
    unit = " %"
    limit = 99
    planar = True

    def phrase(self, theta: float) -> str:
        """Say what is left."""
        return f"the image is cropped to at least {100 - theta:g} % of its width and height"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Cut away the amount in % of width and height."""
        height, width = image.shape[1:]
        down, right = generator.random(2) * amount / 100
        kept = 1 - amount / 100
        window = (right * width, down * height, (right + kept) * width, (down + kept) * height)
        return resized(image, (height, width), window)
