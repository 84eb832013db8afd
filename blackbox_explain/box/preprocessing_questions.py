"""What is to be doubted about a preprocessing before any image is seen: units that do not fit, channels in disorder."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec

__all__ = ["questions_about"]

UNITS = "is it in other units than they are (mean=, bounds=, --range)?"

MEANS = (0.485, 0.457, 0.407)
"""Mean R, G and B of photos on a scale from 0 to 1, which most networks for photos subtract, and how far theirs are."""

NEAR = 0.01

USUAL = ((0.0, 1.0), (0.0, 255.0))
"""Pixel values of which the usual means and scales are known; other ranges, of scanners say, have others."""

ONE = 1 / 255
"""A mean of less than this share of white, or a std of less, is in other units than the pixel values are."""

WIDE = 10.0
"""So many times the range of the pixel values is too much to divide by."""


def questions_about(spec: InputSpec) -> tuple[str, ...]:
    """Return what does not fit together in the preprocessing of images, a sentence each.

    Parameters
    ----------
    spec
        Of a model; of anything but images in colour or grey nothing is asked.
    """
    if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
        return ()
    (low, high), rules = spec.bounds, spec.preprocessing
    mean, std = (np.atleast_1d(one) for one in (rules.mean, rules.std))
    wide, asked = high - low, list[str]()
    if np.any((mean < low - wide) | (mean > high + wide)):
        told = f"the mean {_listed(mean)} lies outside of the pixel values, {low:g} to {high:g}"
        asked.append(f"{told}: if they are bytes, bounds=(0, 255), or --range 255, is meant")
    elif spec.bounds in USUAL and 0 < np.abs(mean).max() < ONE * high:
        asked.append(f"the mean is {np.abs(mean).max() / high:.1%} of white: {UNITS}")
    if std.max() > WIDE * wide:
        asked.append(f"the std is {std.max() / wide:.0f} times the range of pixel values: {UNITS}")
    elif spec.bounds in USUAL and std.min() < 0.99 * ONE * wide:
        asked.append(f"the std is {std.min() / wide:.1%} of the range of pixel values: {UNITS}")
    shares = (mean - low) / wide
    if len(shares) == 3 and np.all(np.abs(shares - np.asarray(MEANS[::-1])) <= NEAR):
        asked.append(
            "the mean looks as if it were in the order B, G, R, and it is always in the order R, G, B: most probably "
            "right is the mean turned round, with channels='BGR' (--bgr)"
        )
    return tuple(asked)


def _listed(values: np.ndarray[Any, Any]) -> str:
    return ", ".join(f"{one:g}" for one in values)
