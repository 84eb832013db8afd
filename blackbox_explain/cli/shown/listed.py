"""What the lists of methods and metrics show: what each takes, and its settings."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.box.entry_points import settings_of
from blackbox_explain.box.protocols import BlackBox, Differentiable, Layered, Randomizable, Rewritable
from blackbox_explain.cli.console import stdout
from blackbox_explain.perturbations.named import NAMES

__all__ = [
    "PERTURBATIONS",
    "TAKES",
    "AsJson",
    "choices_of",
    "defaults_of",
    "first_line",
    "say",
    "settings_told",
    "show_settings",
    "show_table",
    "takes",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]

PERTURBATIONS = f"perturbation= takes {', '.join(NAMES)}"

TAKES: dict[type[Any], str] = {
    BlackBox: "scores",
    Differentiable: "gradients",
    Layered: "layers",
    Rewritable: "backward rules",
    Randomizable: "parameters",
}
"""What is taken from a model, by what a box has to be: in the words of docs/methods.md, least first."""

BASIC = re.compile(r"\b(str|int|float|bool|tuple|Sequence|Literal)\b")
"""In the type of what can be typed, as it is written."""


def first_line(kind: type[Any]) -> str:
    """Return what a class says of itself in its first paragraph."""
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def takes(kind: type[Any]) -> str:
    """Return what a method or metric takes from a model, in a word or two."""
    return TAKES.get(kind.needs, str(kind.needs.__name__))


def defaults_of(kind: type[Any], made: Any = None) -> dict[str, Any]:
    """Return the settings of a class that can be typed, with their defaults as JSON has them.

    Boxes and points, which have options of their own, are not among them, nor objects that no text stands for.

    Parameters
    ----------
    kind
        The class.
    made
        One with its defaults, which may depend on each other; None of a class that has nothing to be made of.
    """
    if not dataclasses.is_dataclass(kind):
        return {}
    named = settings_of(kind)
    own = [one for one in dataclasses.fields(kind) if one.name in named and one.repr]
    values = {one.name: getattr(made, one.name, one.default) for one in own}
    return {
        one.name: plain(values[one.name]) for one in own if values[one.name] is not None or BASIC.search(str(one.type))
    }


def plain(value: Any) -> Any:
    """Return a value as JSON has it; of objects, how Python writes them."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType] - a default may hold anything
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)


def choices_of(kind: type[Any]) -> dict[str, list[Any]]:
    """Return what may be chosen from, by the names of those settings that say it in their type."""
    try:
        hints = get_type_hints(kind)
    except NameError:  # of a package that imports its types for the type checker alone
        return {}
    found = {name: _options(hints.get(name)) for name in settings_of(kind)}
    return {name: options for name, options in found.items() if options}


def _options(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation))
    if origin in (Union, UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return []


def settings_told(defaults: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]) -> str:
    """Return settings as they are typed: NAME=DEFAULT, and behind it what else may be chosen, ``space=input|mask``."""
    told: list[str] = []
    for name, default in defaults.items():
        others = [one for one in choices.get(name, ()) if one != default]
        told.append(f"{name}=" + "|".join(_typed(one) for one in (default, *others)))
    return ", ".join(told)


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def show_table(heads: Iterable[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """Print a table whose last column is text that may be broken, the others are not."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    heads = list(heads)
    for head in heads:
        table.add_column(head, no_wrap=head != heads[-1], justify="right" if head in numbers else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    stdout.print(table, width=_width())


def show_settings(told: Mapping[str, str]) -> None:
    """Print the settings of each name beside it."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, settings in told.items():
        table.add_row(escape(name), escape(settings))
    stdout.print(table, width=_width())


def say(text: str) -> None:
    """Print a line with markup."""
    width = _width()
    stdout.print(text, width=width, soft_wrap=width is None)


def _width() -> int | None:
    """Return the columns that whoever pipes a list asks for; None where nobody does.

    Lists lose nothing when their text is broken, so that they may be, unlike results.
    """
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdigit() and int(asked) and not stdout.is_terminal else None
