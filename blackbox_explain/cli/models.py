"""``blackbox-explain models``: what can be explained here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer
from rich.table import Table

from blackbox_explain.cli.console import errors_as_messages, stdout
from blackbox_explain.registry import ADAPTERS, DEFAULT_MODEL, FORMATS, entry_points, named_models, wrap

__all__ = ["models_command"]


def models_command(
    classes: Annotated[str | None, typer.Option(help="List the class names of this model that contain --like.")] = None,
    like: Annotated[str, typer.Option(help="Part of a class name, with --classes.")] = "",
) -> None:
    """List the embedded models, the frameworks and the file formats that can be explained.

    [bold]Examples[/]

      blackbox-explain models

      blackbox-explain models --classes efficientnet-lite0 --like cat
    """
    with errors_as_messages():
        if classes is not None:
            _show_classes(classes, like)
            return
        table = Table("model", "from", title="named models", title_justify="left")
        for name, package in sorted(named_models().items()):
            table.add_row(f"{name} (default)" if name == DEFAULT_MODEL else name, package)
        stdout.print(table)
        table = Table("framework", "installed", title="frameworks", title_justify="left")
        for point in sorted(entry_points(ADAPTERS), key=lambda one: one.name):
            own = point.name == "callable"
            table.add_row(point.name, "-" if own else "yes" if find_spec(point.name) else "no")
        stdout.print(table)
        suffixes = ", ".join(sorted(f".{point.name}" for point in entry_points(FORMATS)))
        stdout.print(f"model files: {suffixes}; or module:function")


def _show_classes(model: str, like: str) -> None:
    for index, name in enumerate(wrap(model).spec.class_names or ()):
        if like.casefold() in name.casefold():
            stdout.print(f"{index:>5}  {name}", soft_wrap=True, markup=False)
