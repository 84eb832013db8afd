"""Names of classes: taken from users and files, shown so that no two are alike, found by whatever part is typed."""

from __future__ import annotations

import ast
import codecs
import importlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from blackbox_explain.box.class_tables import SYNSET, names_from, names_in_rows
from blackbox_explain.errors import InputError

__all__ = [
    "check_own_names",
    "display_names",
    "folded",
    "number_of",
    "packed_names",
    "read_class_names",
    "shown_name",
    "synonyms",
    "taken_names",
]


def taken_names(given: Any) -> tuple[str, ...]:
    """Return one name for each score, from a sequence, ``id2label`` or ``label2id``.

    Parameters
    ----------
    given
        Names in the order of the scores; ``{0: "cat", 1: "dog"}``, where indices may be strings; or
        ``{"cat": 0, "dog": 1}``.

    Raises
    ------
    InputError
        If it is a set, or if an index has no name or two.
    """
    return names_from(given, "class_names")


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Read class names from a file.

    Parameters
    ----------
    path
        A text file with a name to a line, as ``flute`` or ``n03372029 flute``, or with its index before or behind it
        (``0,red``, ``0: red``, ``red,0``); a JSON file with a list, ``{"0": "cat"}``, ``{"cat": 0}`` or a
        configuration with ``id2label``; or a YAML file with ``names:``.

    Raises
    ------
    InputError
        If it cannot be read, is not UTF-8 (or UTF-16 with its mark), or leaves a class without a name.
    """
    file = Path(path)
    text = _text(file)
    if file.suffix.lower() in (".yaml", ".yml"):
        return names_from(_yaml(text, file), str(file))
    if file.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        return names_from(_literal(text, file), str(file))
    return names_in_rows(re.split(r"\r\n|\n|\r", text), str(file))


def packed_names(text: str, where: str) -> tuple[str, ...] | None:
    """Read class names that were packed into a model: as JSON, as Python writes them, or one to a line.

    Returns
    -------
    tuple of str or None
        None if these are no names for all classes, as where one of them is blank: nobody chose to give them here.
    """
    text = text.removeprefix("\ufeff")
    try:
        if text.lstrip()[:1] in ("{", "["):
            return names_from(_literal(text, Path(where)), where)
        lines = text.splitlines()
        return names_in_rows(lines if len(lines) > 1 else re.split(r",(?!\s)", text), where)
    except (InputError, RecursionError):
        return None


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        why = f"{file}: {(error.strerror or type(error).__name__).lower()}"
        raise InputError("The class names cannot be read", got=why, expected="a text, JSON or YAML file") from error
    sixteen = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if sixteen else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            "This is no text file of class names in UTF-8",
            got=f"{file}, line {line}: {content[max(0, error.start - 10) : error.end + 10]!r}",
            hint="save it as UTF-8; if it was written on Windows: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
        ) from error
    if "\0" in text:
        raise InputError("This is no text file of class names", got=str(file), expected="one name to a line, in UTF-8")
    return text


def _literal(text: str, file: Path) -> Any:
    """Read JSON, or a dictionary as Python prints it, which label files of ImageNet often are."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, file))
    except json.JSONDecodeError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            got = f"{file}, line {error.lineno}: {error.msg}"
            raise InputError(
                "This JSON file cannot be read", got=got, expected='["cat", ...] or {"0": "cat"}'
            ) from error


def _unique(pairs: list[tuple[str, Any]], file: Path) -> dict[str, Any]:
    key, count = Counter(key for key, _ in pairs).most_common(1)[0] if pairs else ("", 0)
    if count > 1:
        raise InputError(f"{key!r} stands {count} times in one mapping", got=str(file), hint="keep one of them")
    return dict(pairs)


def _yaml(text: str, file: Path) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        hint = "pip install pyyaml, or write the names into a text file, one to a line"
        raise InputError("YAML files are read with the package PyYAML", got=str(file), hint=hint) from error
    try:
        # Everything is a string: elsewhere a class named "no" or "off" becomes False.
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InputError("This YAML file cannot be read", got=f"{file}: {error}") from error


def synonyms(name: str) -> tuple[str, ...]:
    """Return the parts of "tabby, tabby cat", without the number of a synset before them."""
    number = SYNSET.match(name)
    words = name[number.end() :].lstrip(" ,;:\t") if number else name
    return tuple(part.strip() for part in (words or name).split(", ") if part.strip()) or (name,)


def number_of(name: str) -> tuple[str, ...]:
    """Return the number of the synset that stands before a name, if one does."""
    number = SYNSET.match(name)
    return (number[0],) if number else ()


def folded(name: str) -> str:
    """Return a name as it is compared: small letters, and underscores as spaces."""
    return " ".join(name.casefold().replace("_", " ").split())


@lru_cache(maxsize=16)
def display_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the shortest names that tell the classes apart.

    Parameters
    ----------
    names
        One for each score: "tabby, tabby cat" or "n03372029 flute".

    Returns
    -------
    tuple
        As many, no two alike even but for capitals: "tabby", or as many of the synonyms as no other class begins
        with; where other classes begin with the whole name, its index is added: "crane (134)".
    """
    parts = [synonyms(name) for name in names]
    starts = [[folded(", ".join(one[:length])) for length in range(1, len(one) + 1)] for one in parts]
    count = Counter(start for some in starts for start in some)
    shown: list[str] = []
    for index, (one, some) in enumerate(zip(parts, starts, strict=True)):
        length = next((length for length, start in enumerate(some, 1) if count[start] == 1), None)
        shown.append(", ".join(one[:length]) if length else f"{', '.join(one)} ({index})")
    whole: dict[str, set[int]] = {}
    for index, (name, one) in enumerate(zip(names, parts, strict=True)):
        for start in (folded(name), folded(", ".join(one))):
            whole.setdefault(start, set()).add(index)
    # Names may look as if an index had been added to them.
    while True:
        count = Counter(map(folded, shown))
        alike = [count[folded(one)] > 1 or bool(whole.get(folded(one), {i}) - {i}) for i, one in enumerate(shown)]
        if not any(alike):
            break
        shown = [f"{one} ({index})" if alike[index] else one for index, one in enumerate(shown)]
    return tuple(shown)


def shown_name(index: int, names: Sequence[str] | None) -> str:
    """Return the name that a class is shown under, as of `display_names`; "class 3" where it has none."""
    if not names or index >= len(names):
        return f"class {index}"
    return display_names(tuple(names))[index]


def check_own_names(given: Sequence[str], own: Sequence[str]) -> str | None:
    """Compare the class names that a user gave with those that the model holds.

    Parameters
    ----------
    given
        By the user, one for each score.
    own
        Of the model, one for each score: `classes_` of scikit-learn, metadata of ONNX.

    Returns
    -------
    str or None
        A sentence for the assumptions where the model calls its classes otherwise; None where they agree.

    Raises
    ------
    InputError
        If these are the model's own names in another order, or not as many.
    """
    if len(given) != len(own):
        got, expected = f"{len(given)} names", f"{len(own)}: {_listed(own)}"
        raise InputError("The class names do not match the model's own", got=got, expected=expected)
    ours, theirs = [folded(one) for one in given], [folded(one) for one in own]
    if ours == theirs:
        return None
    if Counter(ours) == Counter(theirs):
        index = next(index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        raise InputError(
            "The class names stand in another order than the model's own",
            got=f"{given[index]!r} for class {index}",
            expected=f"{own[index]!r}",
            hint=f"class_names=[{_listed(own)}], or leave them out",
        )
    differ = [index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    example = f"class {differ[0]} is {own[differ[0]]!r} there and {given[differ[0]]!r} here"
    moved = next((index for index in differ if ours[index] in theirs), None)
    warning = ""
    if moved is not None:
        there = theirs.index(ours[moved])
        warning = f"; {given[moved]!r} is class {moved} here and class {there} there: check the order"
    return f"the model has other names for {len(differ)} of its {len(own)} classes: {example}{warning}"


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(repr(name) for name in names[:20])
    return text if len(names) <= 20 else f"{text}, ..."
