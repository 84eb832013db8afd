"""Class names as lists, mappings and rows of text: put in the order of the scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError

__all__ = ["SYNSET", "names_from", "names_in_rows"]

SYNSET = re.compile(r"n\d{8}(?=$|[\s,;:])")
"""The number of a class of ImageNet, as WordNet counts its nouns, such as n03372029."""

KEYS = ("id2label", "names", "class_names", "classes", "labels", "label2id")
"""Where configuration files keep the names, the surest first."""

FIRST = re.compile(r"(\d+)(?:\s*[,;:\t]\s*|\s+-\s+|[.)]\s+)(.+)")
LAST = re.compile(r"(.+?)\s*[,;:\t]\s*(\d+)")
SPACED = re.compile(r"(\d+)\s+(.+)")
SPACED_LAST = re.compile(r"(.+?)\s+(\d+)")
QUOTED = re.compile(r"""(["'])(\d+)\1(?=\s*[,;:\t])|(?<=[,;:\t])\s*(["'])(\d+)\3$""")
COUNTED_SYNSET = re.compile(r"(n\d{8})[\s,;]+(\d+)[\s,;]+(.+)")


def names_from(given: Any, where: str) -> tuple[str, ...]:
    """Return one name for each score.

    Parameters
    ----------
    given
        A sequence of names in the order of the scores; a mapping from indices to names (``id2label``), of which a
        name may be a pair of a synset and a word; or one from names to indices (``label2id``).  A configuration that
        holds one of these under "id2label", "names" or alike is one too.
    where
        Names it in messages.

    Raises
    ------
    InputError
        If it has no order, no name for some index, or two for one.
    """
    if isinstance(given, Mapping):
        return _of_mapping(given, where)
    if isinstance(given, (str, bytes)):
        hint = "blackbox_explain.box.class_names.read_class_names(path), or --classes" if len(given) < 200 else ""
        raise InputError("Class names are a list", got=f"{given!r}"[:80], expected="one name for each score", hint=hint)
    if isinstance(given, (set, frozenset)):
        got = f"a set of {len(given)} names"
        raise InputError("A set of class names has no order", got=got, hint="a list, in the order of the scores")
    if not isinstance(given, Iterable):
        got = f"{given!r}"[:80] + f" in {where}"
        raise InputError("Class names are a list", got=got, expected="one name for each score")
    listed = list(given)
    if not listed:
        raise InputError("There are no class names", got=where, expected="one name for each score")
    return tuple(_name(one, index, where) for index, one in enumerate(listed))


def _name(given: Any, index: int, where: str) -> str:
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, str) for one in given):
        # As in Keras' file of ImageNet: the synset, then the word.
        return " ".join(given) if SYNSET.fullmatch(given[0]) else ", ".join(given)
    name = (given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)).strip()
    if given is None or not name or isinstance(given, (list, tuple, dict, set)):
        got = f"{given!r} in {where}"
        hint = "give every class a name, such as 'unused'"
        raise InputError(f"Class {index} has no name", got=got[:120], expected="a string", hint=hint)
    return name


def _of_mapping(given: Mapping[Any, Any], where: str) -> tuple[str, ...]:
    inner = next((key for key in KEYS if isinstance(given.get(key), (list, tuple, dict))), None)
    if inner is not None:
        names = names_from(given[inner], where)
        count = given.get("nc", len(names))
        if str(count) != str(len(names)):
            raise InputError("There are not as many class names as classes", got=f"{len(names)}, and nc: {count}")
        return names
    if not given:
        raise InputError("There are no class names", got=where, expected="one name for each score")
    keys, values = list(given), list(given.values())
    by_key, by_value = _indices(keys), _indices(values)
    if by_key is not None and by_value is not None:
        by_key, by_value = _likelier(keys, values, by_key, by_value, where)
    if by_key is not None:
        return in_order(zip(by_key, values, strict=True), where)
    if by_value is not None:
        return in_order(zip(by_value, keys, strict=True), where)
    got = f"{where}: {keys[0]!r}: {values[0]!r}"[:120]
    raise InputError("This mapping has no indices of classes", got=got, expected="{0: 'cat', ...} or {'cat': 0, ...}")


def _likelier(
    keys: list[Any], values: list[Any], by_key: list[int], by_value: list[int], where: str
) -> tuple[list[int] | None, list[int] | None]:
    """Decide which side holds the indices where both are numbers: the one that is no string, or that counts from 0."""
    signs = [
        tuple(not isinstance(one[0], str) for one in (keys, values)),
        tuple(sorted(one) == list(range(len(one))) for one in (by_key, by_value)),
    ]
    for of_keys, of_values in signs:
        if of_keys != of_values:
            return (by_key, None) if of_keys else (None, by_value)
    if by_key == by_value:
        return by_key, None
    got = f"{where}: {keys[0]!r}: {values[0]!r}"
    hint = "a list of the names, in the order of the scores"
    raise InputError("Both sides of this mapping may be indices of classes", got=got, hint=hint)


def _indices(given: Sequence[Any]) -> list[int] | None:
    """Return whole numbers of at least 0, as numbers or as strings of digits; None if any is something else."""
    if all(isinstance(one, str) and one.strip().isdecimal() for one in given):
        return [int(one) for one in given]
    if all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) and one >= 0 for one in given):
        return [int(one) for one in given]
    return None


def in_order(pairs: Iterable[tuple[int, Any]], where: str) -> tuple[str, ...]:
    """Sort names by their indices, of which none may be missing or double."""
    names: dict[int, str] = {}
    for index, given in pairs:
        name = _name(given, index, where)
        if index in names:
            got = f"{names[index]!r} and {name!r} in {where}"
            raise InputError(f"Class {index} has two names", got=got, hint="keep one of them")
        names[index] = name
    missing = sorted(set(range(len(names))) - set(names))
    if missing:
        count = f"{len(names)} names for indices from {min(names)} to {max(names)}"
        hint = "give every class a name, such as 'unused'"
        if missing == [0] and max(names) == len(names):
            hint = "count from 0, or name class 0, such as 'background'"
        raise InputError(f"Class {missing[0]} has no name", got=f"{where}: {count}", hint=hint)
    return tuple(names[index] for index in range(len(names)))


def names_in_rows(lines: Sequence[str], where: str) -> tuple[str, ...]:
    """Read a name, an index and a name, or a name and an index from each line; a header may come first.

    Raises
    ------
    InputError
        As `names_from`, or if a line between others is empty.
    """
    rows = [line.strip() for line in lines]
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise InputError("There are no class names", got=f"{where}, which is empty", expected="one name to a line")
    if "" in rows:
        hint = "remove the line; a class without a name is called 'unused', say"
        raise InputError(f"Line {rows.index('') + 1} is empty", got=where, expected="one name to a line", hint=hint)
    for start in (0, 1):
        pairs = _numbered(rows[start:], where)
        if pairs is not None and (start == 0 or not any(one.isdecimal() for one in re.split(r"[,;:\t]", rows[0]))):
            return in_order(pairs, where)
    return tuple(_tidy(row) for row in rows)


def _numbered(rows: Sequence[str], where: str) -> list[tuple[int, str]] | None:
    """Return indices and names; None unless each row has both."""
    if not rows:
        return None
    rows = [QUOTED.sub(lambda found: found[2] or found[4], row) for row in rows]
    first, last = ([form.fullmatch(row) for row in rows] for form in (FIRST, LAST))
    leading = [(int(one[1]), _tidy(one[2])) for one in first if one]
    trailing = [(int(one[2]), _tidy(one[1])) for one in last if one]
    # Numbers that count from elsewhere are part of the names, as the years of cars.
    complete = (pairs for pairs in (leading, trailing) if len(pairs) == len(rows))
    found = [pairs for pairs in complete if min(index for index, _ in pairs) <= 1]
    if len(found) == 2:
        # Names that are numbers too; indices count from 0.
        found = [one for one in found if sorted(index for index, _ in one) == list(range(len(rows)))] or found
        if len(found) == 2 and found[0] != found[1]:
            got = f"{rows[0]!r} in {where}"
            raise InputError("Both columns may be indices of classes", got=got, hint="one name to a line")
    if found:
        return found[0]
    if all(counted := [COUNTED_SYNSET.fullmatch(row) for row in rows]):
        return [(int(one[2]), f"{one[1]} {_tidy(one[3])}") for one in counted if one]
    # Without a sign between, only numbers that count all classes are no part of the names.
    spaced = [(int(one[1]), _tidy(one[2])) for one in (SPACED.fullmatch(row) for row in rows) if one]
    # Names that differ by their numbers alone, such as "digit 1", keep them.
    behind = [(int(one[2]), _tidy(one[1])) for one in (SPACED_LAST.fullmatch(row) for row in rows) if one]
    behind = behind if len({name for _, name in behind}) == len(rows) else []
    for pairs in (spaced, behind):
        if len(pairs) == len(rows) > 1 and sorted(index for index, _ in pairs) == list(range(len(rows))):
            return pairs
    return None


def _tidy(cell: str) -> str:
    """Take quotes off a cell, and put a space between a synset and its words."""
    cell = cell.strip()
    for quote in "\"'":
        if len(cell) > 1 and cell[0] == cell[-1] == quote and quote not in cell[1:-1].replace(quote * 2, ""):
            cell = cell[1:-1].replace(quote * 2, quote)
    number = SYNSET.match(cell)
    words = cell[number.end() :].lstrip(" \t,;:") if number else ""
    return f"{cell[: number.end()]} {words}" if number and words else cell
