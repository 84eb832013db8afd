"""What may stand in for a deleted pixel, by name: one family for masks, rules, metrics and methods alike."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from blackbox_explain.errors import InputError
from blackbox_explain.json_values import fields_of, json_value
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Perturbation

__all__ = ["NAMES", "OF_PAPER", "WORDS", "PerturbationName", "called", "named", "perturbation_of", "record_of"]

PerturbationName = Literal["blur", "constant", "noise", "zero", "middle", "low"]

NAMES: tuple[PerturbationName, ...] = get_args(PerturbationName)

OF_PAPER: tuple[PerturbationName, ...] = ("blur", "constant", "noise")
"""Those of section 4.1.  Each leaves something: blur the colours, the mean colour of the photo a part of the object's,
noise an unusual look.  What a class does under all of them is no artefact of one."""

FAMILY: dict[str, Perturbation] = {
    "blur": Blur(),
    "constant": Constant(),
    "noise": Noise(),
    "zero": Constant(0.0),
    "middle": Constant("middle"),
    "low": Constant("low"),
}

WORDS: dict[str, str] = {
    "blur": "blurred away",
    "constant": "painted in the image's mean colour",
    "noise": "replaced by noise",
    "zero": "set to zero",
    "middle": "painted grey",
    "low": "painted black",
}
"""What is done to what is deleted, as a participle."""


def named(name: str) -> Perturbation:
    """Return what a name stands for.

    Parameters
    ----------
    name
        ``"blur"``; ``"constant"``: the mean colour of each image; ``"noise"``; ``"zero"``: x0 ⊙ m of section 3.2;
        ``"middle"`` of the bounds: grey; ``"low"``, their lower end: black.

    Raises
    ------
    InputError
        If there is no such name.
    """
    if name in FAMILY:
        return FAMILY[name]
    raise InputError(
        "There is no such perturbation",
        got=f"perturbation={name!r}",
        expected=" or ".join(map(repr, NAMES)),
        hint="pass an object of blackbox_explain.perturbations, or one of your own",
    )


def perturbation_of(setting: str | Perturbation) -> Perturbation:
    """Return the perturbation that a setting names, or is.

    Raises
    ------
    InputError
        If it is neither a name of `named` nor an object with ``levels`` and ``take``.
    """
    if isinstance(setting, str):
        return named(setting)
    if isinstance(setting, type) or not (hasattr(setting, "levels") and hasattr(setting, "take")):
        expected = "a name, or an object with levels() and take()"
        raise InputError("This is no perturbation", got=f"perturbation={setting!r}"[:80], expected=expected)
    return setting


def called(setting: str | Perturbation) -> str:
    """Return what a perturbation is called in a record: its name, or that of its class."""
    return setting if isinstance(setting, str) else type(setting).__name__.lower()


def record_of(perturbation: Perturbation) -> dict[str, Any]:
    """Return the fields of a perturbation as JSON knows them, of arrays the shape alone."""
    return fields_of(perturbation) if dataclasses.is_dataclass(perturbation) else {"repr": json_value(perturbation)}
