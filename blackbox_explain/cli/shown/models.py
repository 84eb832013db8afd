"""What ``blackbox-explain models inspect`` shows."""

from __future__ import annotations

import json

import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.box.info import require
from blackbox_explain.box.inspection import Inspection
from blackbox_explain.box.protocols import BlackBox, Layer, Layered
from blackbox_explain.cli.console import stdout
from blackbox_explain.methods.layers.choice import spatial_layers

__all__ = ["show_inspection", "show_layers"]


def show_inspection(found: Inspection, title: str, as_json: bool) -> None:
    """Print what a model holds: facts, operators and the verdict, or the same as JSON."""
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    table = Table(show_header=False, title=escape(title), title_justify="left")
    for name, value in found.facts:
        table.add_row(name, escape(value))
    stdout.print(table)
    if found.operators:
        table = Table("operator", "nodes", "gradient", title="operators", title_justify="left")
        for name, count, how in found.operators:
            table.add_row(escape(name), str(count), f"[red]{how}[/]" if how == "no" else how)
        stdout.print(table)
    verdict = "[red]scores only[/]" if found.usable else "[red]cannot be explained as it is[/]"
    verdict = f"{verdict}: {escape(found.why_not)}"
    if found.differentiable:
        exact, surrogate = "[green]exact gradients[/]", "[yellow]surrogate gradients, as if nothing were rounded[/]"
        verdict = f"[green]differentiable:[/] {surrogate if found.surrogate else exact}"
    stdout.print(verdict, soft_wrap=True)


def show_layers(box: BlackBox, title: str, as_json: bool) -> None:
    """Print the layers of a model in order, and which of them methods take that look at one layer.

    Raises
    ------
    NoGradientError
        If the box cannot be looked into.
    """
    looked_into = require(box, Layered, "the list of layers")
    layers = looked_into.layers()
    maps = spatial_layers(layers, box.spec.spatial)
    default = maps[-1] if maps else None
    if as_json:
        told = [{"name": one.name, "kind": one.kind, "shape": one.shape, "spatial": one in maps} for one in layers]
        typer.echo(json.dumps({"layers": told, "default": default and default.name}, indent=2))
        return
    table = Table("layer", "kind", "shape", "spatial axes", title=escape(title), title_justify="left")
    table.columns[0].overflow = "fold"  # a name is typed again, so that none of it may be missing
    for one in layers:
        mark = "the last one" if one is default else "yes" if one in maps else ""
        table.add_row(escape(one.name), escape(one.kind), _sizes(one), mark, style="bold" if one is default else "")
    stdout.print(table)
    if default is None:
        stdout.print("no layer has spatial axes: class activation maps cannot be made of this model")
    else:
        stdout.print(
            f"class activation maps are made of {escape(default.name)} unless another layer is named: "
            "it is the last one with spatial axes",
            soft_wrap=True,
        )


def _sizes(layer: Layer) -> str:
    return " × ".join("?" if size is None else str(size) for size in layer.shape)
