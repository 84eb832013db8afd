"""Random parameters in the place of learned ones, drawn alike for the models of all frameworks."""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError, UnsupportedModelError

__all__ = ["check_layers", "drawn_like", "no_parameters", "note_on"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

NAMED = 3
"""Layers that a note names."""


def drawn_like(values: Floats, seed: int, name: str) -> Floats:
    """Return an array of the same shape and type from the normal distribution of the same mean and standard deviation.

    Parameters
    ----------
    values
        A parameter.  One whose elements are all equal, such as biases of 0, stays what it is.
    seed, name
        What is drawn depends on nothing else: `name` is that of the parameter.
    """
    exact = values.astype(np.float64)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    spread = exact.std() if exact.size else 0.0
    drawn = exact.mean() + spread * rng.standard_normal(exact.shape) if spread > 0 else exact
    return np.asarray(drawn).astype(values.dtype)


def check_layers(layers: Sequence[str], known: Collection[str]) -> None:
    """Raise `InputError` unless these are some of the layers that have parameters."""
    if isinstance(layers, str):
        raise InputError("Layers are given as a sequence of names", got=repr(layers), expected=f"[{layers!r}]")
    for name in layers:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            expected = " or ".join(map(repr, near)) or "one of parameter_layers()"
            raise InputError("No layer with parameters has this name", got=repr(name), expected=expected)


def no_parameters(why: str) -> UnsupportedModelError:
    """Return the error of a model whose parameters cannot be drawn anew."""
    return UnsupportedModelError(
        "The parameters of this model cannot be drawn anew",
        got=why,
        hint="wrap the model of floats that it was made from, in the framework that it comes from",
    )


def note_on(layers: Sequence[str], seed: int) -> str:
    """Return a sentence that says what was replaced."""
    more = f" and {len(layers) - NAMED} more" if len(layers) > NAMED else ""
    return f"the parameters of some layers are random ({', '.join(layers[:NAMED])}{more}; seed {seed})"
