"""Levels as everything that deletes takes them: of a perturbation of any kind, checked, and where the images are."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.box.input_spec import InputSpec, check_bounds
from blackbox_explain.errors import InputError
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Perturbation, Reference

__all__ = ["levels_of", "taken"]

Rows = np.ndarray[Any, np.dtype[np.int64]]

ANYWHERE = (Blur, Constant, Noise, Reference)
"""Those written for every array library; others are given NumPy, whatever the model computes with."""


def levels_of(perturbation: Perturbation, images: Array, spec: InputSpec, seed: int = 0) -> Array:
    """Return the levels (L, N, *shape) that a perturbation makes of images, in their array library and type.

    Parameters
    ----------
    perturbation
        One of the package's, or a user's own.
    images
        (N, *shape) in pixel space.
    spec
        Of the black box.
    seed
        Of what is drawn.

    Raises
    ------
    InputError
        If what it makes are no levels: at least two, of these images.
    """
    if isinstance(perturbation, ANYWHERE):
        return perturbation.levels(images, spec, seed)
    name, shape = type(perturbation).__name__, tuple(images.shape)
    try:
        found = perturbation.levels(to_numpy(images), spec, seed)
    except (AttributeError, TypeError) as error:
        expected = "levels() of NumPy arrays, whatever the model computes with"
        raise InputError(f"The perturbation {name!r} is broken", got=str(error), expected=expected) from error
    if isinstance(found, (list, tuple)):
        found = np.stack([to_numpy(one) for one in found])
    has: tuple[int, ...] = tuple(getattr(found, "shape", ()))
    if len(has) < 2 or has[1:] != shape or has[0] < 2:
        got = f"levels() returned {f'shape {has}' if has else f'a {type(found).__name__}'}"
        expected = f"an array (L, {', '.join(map(str, shape))}): L levels, at least 2, of the {shape[0]} images"
        raise InputError(f"The perturbation {name!r} is broken", got=got, expected=expected)
    return constant_like(to_numpy(found), images)


def taken(perturbation: Perturbation, rows: Rows, count: int, spec: InputSpec) -> Perturbation:
    """Return a perturbation of some of the images of a call.

    Parameters
    ----------
    perturbation
        Of all images.
    rows
        Places of the images.
    count
        How many images the call is about: there are as many references, or one for all.
    spec
        Of the black box.

    Raises
    ------
    InputError
        If the number of references is another, or a colour or reference is none that a pixel may have.
    """
    if isinstance(perturbation, Reference) and len(perturbation.images) not in (1, count):
        got, expected = str(len(perturbation.images)), "1" if count == 1 else f"1 or {count}"
        raise InputError("The references do not match the images", got=got, expected=expected)
    if isinstance(perturbation, Reference):
        check_bounds(to_numpy(perturbation.images), spec, "The reference leaves the bounds of pixel space")
    # Zero is x0 ⊙ m of section 3.2, whatever the bounds.
    if isinstance(perturbation, Constant) and not isinstance(perturbation.value, str) and np.any(perturbation.value):
        check_bounds(np.asarray(perturbation.value), spec, "The value leaves the bounds of pixel space")
    return perturbation.take(rows)
