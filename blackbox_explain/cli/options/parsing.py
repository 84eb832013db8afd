"""Options that are texts, turned into values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from blackbox_explain.errors import InputError

__all__ = ["adapter_options", "dealt_out", "named_values", "reduction", "settings", "sizes"]


DESCRIBED = ("model", "spec", "shape", "bounds", "preprocessing", "class_names", "activation")

WORDS = {"True": "true", "False": "false", "None": "null"}


def named_values(given: Sequence[str], option: str, example: str, *, dotted: bool = False) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is JSON is read as such, others are strings; dotted names are OWNER.NAME."""
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not (name.rpartition(".")[2] if dotted else name).isidentifier():
            raise InputError(f"{option} is not NAME=VALUE", got=repr(text), expected=f"such as {example}")
        try:
            # Python's words for what JSON writes small; as strings they would all be true.
            found[name] = json.loads(WORDS.get(value, value))
        except json.JSONDecodeError:
            found[name] = value
    return found


def settings(given: Sequence[str], example: str) -> dict[str, Any]:
    """Read what is typed as --setting; lists become tuples, which settings are that do not change."""
    read = named_values(given, "--setting", example, dotted=True)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}


def dealt_out(given: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]], what: str) -> dict[str, dict[str, Any]]:
    """Give settings to those that have them.

    Parameters
    ----------
    given
        Values by the names of settings; ``"rise.masks"`` is that of one alone.
    own
        By the name of each method or metric, the settings that it has, with their types as they are written.
    what
        They are, such as ``"methods"``.

    Returns
    -------
    dict
        By the same names the settings of each.  One that is alone gets all, so that what it does not have is its error.

    Raises
    ------
    InputError
        If there are several, and none of them has a setting.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, known in own.items():
        alone = {one.removeprefix(f"{name}."): value for one, value in given.items() if one.startswith(f"{name}.")}
        every = {one: value for one, value in given.items() if "." not in one and (one in known or len(own) == 1)}
        # Names of layers may look like numbers.
        found[name] = {
            one: str(value) if str(known.get(one)).startswith("str |") else value
            for one, value in {**every, **alone}.items()
        }
    taken = {one for name, mine in found.items() for setting in mine for one in (setting, f"{name}.{setting}")}
    if unused := [name for name in given if name not in taken]:
        known = sorted({setting for settings in own.values() for setting in settings})
        near = difflib.get_close_matches(unused[0].rpartition(".")[2], known, 3)
        hint = f"did you mean {' or '.join(f'{one}=' for one in near)}?" if near else ""
        raise InputError(
            f"None of these {what} has such a setting",
            got=", ".join(unused),
            expected=f"some of {', '.join(known)}",
            hint=hint,
        )
    return found


def adapter_options(given: Sequence[str]) -> dict[str, Any]:
    """Read what is handed on to the adapter."""
    found = named_values(given, "--option", "timeout=30")
    if wrong := next((name for name in found if name in DESCRIBED), None):
        got = next(f"--option {text}" for text in given if text.startswith(f"{wrong}="))
        raise InputError(f"{wrong} is not for the adapter", got=got, expected="an option of its own")
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
