"""The catalogue of relations: what can be done to an image that should not change what a model says."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError
from blackbox_explain.rules.relations.colour import Brightness, Contrast, GreyScale, Hue, Saturation
from blackbox_explain.rules.relations.degradation import GaussianBlur, GaussianNoise, Jpeg, Resolution
from blackbox_explain.rules.relations.geometry import Crop, HorizontalFlip, Rotation, Scale, Translation
from blackbox_explain.rules.relations.occlusion import Occlusion
from blackbox_explain.rules.relations.relation import Relation

__all__ = [
    "CATALOGUE",
    "Brightness",
    "Contrast",
    "Crop",
    "GaussianBlur",
    "GaussianNoise",
    "GreyScale",
    "HorizontalFlip",
    "Hue",
    "Jpeg",
    "Occlusion",
    "Relation",
    "Resolution",
    "Rotation",
    "Saturation",
    "Scale",
    "Translation",
    "relations_for",
    "relations_named",
]

CATALOGUE: dict[str, type[Relation]] = {
    one.name: one
    for one in (
        Rotation,
        Translation,
        Scale,
        HorizontalFlip,
        Crop,
        Brightness,
        Contrast,
        Saturation,
        Hue,
        GreyScale,
        GaussianBlur,
        GaussianNoise,
        Jpeg,
        Resolution,
        Occlusion,
    )
}
"""Every relation by its name."""


def relations_named(names: Sequence[str]) -> tuple[Relation, ...]:
    """Return relations of the catalogue in their default ranges.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    for name in names:
        if name not in CATALOGUE:
            near = [one for one in CATALOGUE if name and name in one] or difflib.get_close_matches(name, CATALOGUE, n=1)
            raise InputError(
                "There is no such relation",
                got=repr(name),
                expected="one of " + ", ".join(CATALOGUE),
                hint=" or ".join(near),
            )
    return tuple(CATALOGUE[name]() for name in names)


def relations_for(spec: InputSpec) -> tuple[Relation, ...]:
    """Return the relations of the catalogue that fit a model's images, in their default ranges."""
    return tuple(one for one in relations_named(tuple(CATALOGUE)) if one.fits(spec))
