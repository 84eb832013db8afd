"""Options that describe a model, turned into parameters of `wrap`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from blackbox_explain.blackbox import Preprocessing
from blackbox_explain.class_names import read_class_names
from blackbox_explain.errors import InputError

__all__ = ["adapter_options", "described", "sizes"]


DESCRIBED = ("model", "spec", "shape", "bounds", "preprocessing", "class_names", "activation")

WORDS = {"True": "true", "False": "false", "None": "null"}


def adapter_options(given: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is JSON is read as such, others are strings."""
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise InputError("--option is not NAME=VALUE", got=repr(text), expected="such as timeout=30")
        if name in DESCRIBED:
            raise InputError(f"{name} is not for the adapter", got=f"--option {text}", expected="an option of its own")
        try:
            # Python's words for what JSON writes small; as strings they would all be true.
            found[name] = json.loads(WORDS.get(value, value))
        except json.JSONDecodeError:
            found[name] = value
    return found


def described(
    shape: str | None, mean: str | None, std: str | None, largest: float, bgr: bool, classes: Path | None
) -> dict[str, Any]:
    """Return the parameters of `wrap` that say what a model reads."""
    found: dict[str, Any] = {}
    if shape is not None:
        found["shape"] = sizes(shape)
    if mean is not None or std is not None or bgr or largest != 1:
        if largest <= 0:
            raise InputError("--range is no largest value", got=str(largest), expected="such as 255")
        found["preprocessing"] = Preprocessing(
            mean=tuple(one / largest for one in _numbers("--mean", mean or "0")),
            std=tuple(one / largest for one in _numbers("--std", std or "1")),
            channels="BGR" if bgr else "RGB",
        )
    if classes is not None:
        found["class_names"] = read_class_names(classes)
    return found


def sizes(text: str) -> tuple[int, ...]:
    """Read a shape."""
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise InputError("--shape is not a list of sizes", got=repr(text), expected="such as 3,224,224") from error


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{option} is not a list of numbers", got=repr(text), expected="such as 0.5,0.5,0.5"
        ) from error
