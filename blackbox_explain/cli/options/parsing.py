"""Options that are texts, turned into values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from blackbox_explain.errors import InputError

__all__ = ["adapter_options", "reduction", "sizes"]


DESCRIBED = ("model", "spec", "shape", "bounds", "preprocessing", "class_names", "activation")

WORDS = {"True": "true", "False": "false", "None": "null"}


def adapter_options(given: Sequence[str]) -> dict[str, Any]:
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


def sizes(text: str) -> tuple[int, ...]:
    """Read a shape."""
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise InputError("--shape is not a list of sizes", got=repr(text), expected="such as 3,224,224") from error


def reduction(text: str) -> tuple[str, list[int]]:
    """Read how scores are joined, such as "mean,1", as `wrap` takes it."""
    kind, *axes = (part.strip() for part in text.split(","))
    try:
        return kind, [int(axis) for axis in axes]
    except ValueError as error:
        raise InputError("--reduce is not KIND,AXIS", got=repr(text), expected="such as mean,1 or max,1,2") from error
