"""``blackbox-explain methods``: what a model allows, and why not the others."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.box.entry_points import DEFAULT_MODEL, settings_of
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.cli.console import errors_as_messages, stdout
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.methods.by_name import kind_of, method_of, methods_for

__all__ = ["methods_command"]


@with_groups
def methods_command(
    *,
    model: Model = DEFAULT_MODEL,
    said: ModelOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List the methods that a model allows, and why not the others.

    A method is chosen by its name: explain --method NAME. Its settings are
    given by --setting NAME=VALUE.

    [bold]Examples[/]

      blackbox-explain methods

      blackbox-explain methods --model classifier.onnx
    """
    with errors_as_messages():
        box = replace(said, model=model).wrapped()
        info = BoxInfo.of(box)
        found: list[dict[str, Any]] = []
        for name, why in methods_for(box).items():
            if why is not None:
                found.append({"method": name, "allowed": False, "why_not": why})
                continue
            method = method_of(name, {})
            kind = kind_of(name)
            found.append(
                {
                    "method": name,
                    "allowed": True,
                    "queries": method.budget(info).with_region,
                    "what": (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " "),
                    "settings": {one: _plain(getattr(method, one)) for one in settings_of(kind)},
                }
            )
        if as_json:
            typer.echo(json.dumps(found, indent=2))
            return
        table = Table("method", "runs, at most", "what", title="methods", title_justify="left")
        for one in found:
            if one["allowed"]:
                table.add_row(one["method"], f"{one['queries']:,}", escape(one["what"]))
        stdout.print(table)
        stdout.print("runs: images that the model is run on, with gradient or without, the region's search included")
        for one in found:
            if one["allowed"] and one["settings"] and one["method"] != "mask":
                told = ", ".join(f"{name}={json.dumps(value)}" for name, value in one["settings"].items())
                stdout.print(f"{one['method']}: {escape(told)}", soft_wrap=True)
        for one in found:
            if not one["allowed"]:
                stdout.print(f"[yellow]not {one['method']}:[/] {escape(one['why_not'])}", soft_wrap=True)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
