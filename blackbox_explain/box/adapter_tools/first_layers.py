"""What the first steps of a model say of the pixels it was trained on, held against what the caller said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.rescaling import Rescaling, at_odds, is_image, preprocessing_told
from blackbox_explain.box.input_spec import InputSpec, Preprocessing

__all__ = ["FirstSteps", "agreed", "biases_outweigh", "joined"]

Weights = np.ndarray[Any, Any]

BRIGHTNESS, DETAIL = 0.25, 0.1
"""By how much patches of photos differ in their mean, and pixels from that of their patch, as shares of the range."""

OUTWEIGHED = 3.0
"""Biases of trained networks are smaller than what photos make of the weights; random ones are smaller still."""

FILTERS = 16
"""Fewer say too little: some random ones have large biases."""


@dataclass(frozen=True)
class FirstSteps:
    """What a model does to its pixels before anything else, as far as an adapter can see.

    Attributes
    ----------
    rescaling
        The sums and products with constants that it begins with, as one; None if there are none.
    turned
        Whether it turns the order of the channels around, from RGB to BGR or back.
    filters, biases
        Of the convolution that reads the pixels themselves: one row for each filter, of all its weights, and one
        number each.  None if the model begins with something else.
    """

    rescaling: Rescaling | None = None
    filters: Weights | None = None
    biases: Weights | None = None
    turned: bool = False


def agreed(
    steps: FirstSteps, shape: tuple[int, ...], bounds: tuple[float, float] | None, said: Preprocessing | None
) -> tuple[Preprocessing | None, tuple[str, ...]]:
    """Join what the caller said of the preprocessing with what the model's first steps tell.

    Parameters
    ----------
    steps
        Of the model.
    shape
        Of one image, channels first.
    bounds
        Of pixel space, where the caller said them.
    said
        What the caller said.  An order of channels alone leaves mean and std open; ``Preprocessing()``, which says
        nothing else either, does not.

    Returns
    -------
    preprocessing
        With the mean and std that were told where they were open; else what was said.
    sentences
        On what was told, and on what is at odds with it.
    """
    sentences: list[str] = []
    preprocessing = said
    if steps.rescaling is not None:
        if said is not None and (said == Preprocessing() or (said.mean, said.std) != (0.0, 1.0)):
            odds = at_odds(steps.rescaling, shape, bounds, said)
            sentences += [] if odds is None else [odds]
        elif (told := preprocessing_told(steps.rescaling, shape, bounds)) is not None:
            preprocessing = dataclasses.replace(said or Preprocessing(), mean=told[0].mean, std=told[0].std)
            sentences.append(told[1])
        in_order = not steps.turned and (said is None or said.channels == "RGB")
        if in_order and is_image(shape) and steps.rescaling.reads() is not None and steps.rescaling.blue_first():
            sentences.append(
                "the mean in the model looks like that of blue, green, red: check channels='BGR', or --bgr"
            )
    elif said is None and steps.filters is not None and steps.biases is not None:
        low, high = bounds or (0.0, 1.0)
        ratio = biases_outweigh(steps.filters, steps.biases, high - low)
        if ratio is not None:
            sentences.append(
                f"the preprocessing is probably missing: the first layer adds {ratio:.0f} times what photos with "
                f"pixels in ({low:g}, {high:g}) make of its weights, so it was trained on larger numbers: check "
                "preprocessing= and bounds= (--mean, --std, --range 255, --bgr)"
            )
    return preprocessing, tuple(sentences)


def joined(
    steps: FirstSteps, described: Described, spec: InputSpec, assumptions: Sequence[str]
) -> tuple[InputSpec, tuple[str, ...]]:
    """Return a description of the input, and the assumptions in it, with what the model's first steps tell.

    Parameters
    ----------
    steps
        Of the model.
    described
        What the caller said.
    spec, assumptions
        What was made of it before the first steps were known.
    """
    told, sentences = agreed(steps, spec.shape, described.bounds, described.preprocessing)
    if told is not None:
        rules = dataclasses.replace(spec.preprocessing, mean=told.mean, std=told.std)
        assumed = spec.preprocessing_assumed and (told.mean, told.std) == (0.0, 1.0)
        spec = dataclasses.replace(spec, preprocessing=rules, preprocessing_assumed=assumed)
        assumptions = [one for one in assumptions if not one.startswith("no preprocessing was given")]
    return spec, (*sentences, *assumptions)


def biases_outweigh(filters: Weights, biases: Weights, width: float) -> float | None:
    """Return by how much the biases of a first convolution outweigh what photos make of its weights, if they do.

    Then all photos are alike to the network, which was trained on larger numbers, such as bytes minus a mean.

    Parameters
    ----------
    filters
        One row of weights for each filter.
    biases
        One number for each.
    width
        Of the range of the pixels.

    Returns
    -------
    ratio
        The median over the filters; None unless it is above `OUTWEIGHED` for three quarters of them.
    """
    if len(filters) < FILTERS:
        return None
    flat = filters.reshape(len(filters), -1).astype(np.float64)
    moved = width * np.hypot(BRIGHTNESS * flat.sum(axis=1), DETAIL * np.linalg.norm(flat, axis=1))
    ratio = np.abs(biases.astype(np.float64)) / np.maximum(moved, np.finfo(np.float64).tiny)
    return float(np.median(ratio)) if np.quantile(ratio, 0.25) > OUTWEIGHED else None
