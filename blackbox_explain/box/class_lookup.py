"""The class that a number or a name means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from blackbox_explain.box.class_names import display_names, folded, number_of, shown_name, synonyms
from blackbox_explain.errors import TargetError

__all__ = ["class_index"]

LABELS = "a class index or a name; or Top, Labels or Difference"


def class_index(label: Any, classes: int, names: Sequence[str] | None = None) -> int:
    """Find the class that a number or a name means.

    Parameters
    ----------
    label
        An index from 0; a whole name ("tabby, tabby cat"), the name that is shown, one of the synonyms ("tabby") or
        the number of its synset; small and capital letters, underscores and spaces are alike.  A string of digits
        that is no name is read as an index.
    classes
        K, the number of scores.
    names
        K names, or None.

    Raises
    ------
    TargetError
        If there is no such class, with the nearest names, or if several share the name, with their indices.
    """
    if isinstance(label, (float, np.floating)):
        hint = f"{int(label)}" if float(label).is_integer() else ""
        raise TargetError("A class is a whole number", got=repr(label), expected=LABELS, hint=hint)
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        if not 0 <= label < classes:
            hint = f"{classes + label}, which counts from the first class" if -classes <= label < 0 else ""
            raise TargetError("There is no such class", got=f"class {label}", expected=f"0 to {classes - 1}", hint=hint)
        return int(label)
    if not isinstance(label, str):
        raise TargetError("This is not a target", got=repr(label)[:80], expected=LABELS)
    wanted = folded(label)
    if not wanted:
        raise TargetError("The class has no name", got=repr(label), expected="a name or an index")
    known = tuple(names or ())
    found = _found(label.strip(), known)
    if len(found) == 1:
        return found[0]
    if found:
        meant = ", ".join(f"{index} ({shown_name(index, names)})" for index in found)
        raise TargetError(
            "Several classes share this name", got=repr(label), expected="one class", hint=f"one of {meant}"
        )
    if wanted.removeprefix("-").isdecimal():
        return class_index(int(wanted), classes, names)
    if names is None:
        raise TargetError(
            "This model's classes have no names",
            got=repr(label),
            expected="an index",
            hint="wrap(..., class_names=[...]) (--classes FILE)",
        )
    raise TargetError("There is no such class", got=repr(label), hint=_near(wanted, known))


Table = dict[str, list[tuple[str, int]]]
"""From folded names to the names as they are written, and the classes that are called so."""


@lru_cache(maxsize=8)
def _tables(names: tuple[str, ...]) -> tuple[Table, ...]:
    """Return what is looked for, the surest first: whole names, those that are shown, synonyms, parts of them."""
    parts = [synonyms(name) for name in names]
    shown = display_names(names)
    called: tuple[Iterable[tuple[str, int]], ...] = (
        ((name, index) for index, name in enumerate(names)),
        ((", ".join(some), index) for index, some in enumerate(parts)),
        ((name, index) for index, name in enumerate(shown)),
        ((one, index) for index, some in enumerate(parts) for one in (*some, *number_of(names[index]))),
        ((one.strip(), index) for index, some in enumerate(parts) for word in some for one in word.split(",")),
    )
    tables: list[Table] = []
    for pairs in called:
        tables.append({})
        for name, index in pairs:
            tables[-1].setdefault(folded(name), []).append((name, index))
    return tuple(tables)


def _found(label: str, names: tuple[str, ...]) -> list[int]:
    """Return the classes of a name; of names that differ in capitals alone, those that are written the same."""
    alike = next((table[folded(label)] for table in _tables(names) if folded(label) in table), [])
    same = [index for name, index in alike if name == label]
    return sorted({*(same or (index for _, index in alike))})


def _near(wanted: str, names: tuple[str, ...]) -> str:
    """Return up to four of the names that are shown, of classes that are called nearly so."""
    shown = display_names(names)
    table = {folded(one): index for index, name in reversed(list(enumerate(names))) for one in synonyms(name)}
    near = [name for name in table if wanted in name.split()]
    near += difflib.get_close_matches(wanted, table, n=4, cutoff=0.6)
    near += [name for name in table if wanted in name]
    meant = list(dict.fromkeys(shown[table[name]] for name in near))[:4]
    return ", ".join(meant) or "`blackbox-explain models --classes` lists the names"
