"""Random regions of an image, deleted: the variation that the local rules are tested by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.methods.upsampling import make_upsampling
from blackbox_explain.perturbations.deletion import deleted, level_set
from blackbox_explain.perturbations.named import NAMES, WORDS, PerturbationName, named
from blackbox_explain.rules.relations.relation import Floats, Image, Relation, check_choice

__all__ = ["Booleans", "Deletion", "Form", "smooth_field", "square_field"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]

Form = Literal["smooth", "square"]

CELLS = 7
"""Random numbers along an axis of a smooth region: its parts are about a seventh of the image wide."""


@dataclass(frozen=True)
class Deletion(Relation):
    """A random region is deleted; θ in % of the image.

    Attributes
    ----------
    largest, step
        Of θ.
    by
        What stands in for the deleted pixels: a name of `named`.
    form
        ``"smooth"``: where a smooth random field is largest; ``"square"``: a box of the image's proportions.
    """

    largest: float = 100
    step: float = 1
    by: PerturbationName = "blur"
    form: Form = "smooth"
    name = "deletion"
    unit = " %"
    limit = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("perturbation", self.by, NAMES)
        check_choice("form of a region", self.form, get_args(Form))

    def phrase(self, theta: float) -> str:
        """Say what is done at most."""
        region = "a smooth region" if self.form == "smooth" else "a box"
        return f"{region} of at most {theta:g} % of the image is {WORDS[self.by]}"

    def transform_one(self, image: Image, amount: float, spec: InputSpec, generator: np.random.Generator) -> Image:
        """Return an image with one region deleted."""
        field = smooth_field if self.form == "smooth" else square_field
        region = level_set(field(spec.spatial, generator), round(amount / 100 * math.prod(spec.spatial)))
        noise = int(generator.integers(2**32))
        return deleted(image[None], region[None], named(self.by), spec, noise)[0]


def smooth_field(spatial: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """Draw a smooth random field over an image: (*spatial)."""
    cells = tuple(min(CELLS, size) for size in spatial)
    coarse = generator.normal(size=(1, *cells))
    return make_upsampling("gaussian", cells, spatial, coarse).up(coarse)[0]


def square_field(spatial: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """Draw a place, and return how close each pixel is to it (*spatial), so that what is closest is a box."""
    axes: list[Floats] = []
    for size in spatial:
        place = generator.uniform(0, 1)
        axes.append(np.abs((np.arange(size) + 0.5) / size - place))
    return -np.max(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0)
