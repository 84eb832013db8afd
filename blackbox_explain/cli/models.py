"""``blackbox-explain models``: what can be explained here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from blackbox_explain.box.class_names import display_names
from blackbox_explain.box.entry_points import (
    ADAPTERS,
    DEFAULT_MODEL,
    FOLDERS,
    FORMATS,
    SCHEMES,
    entry_points,
    named_models,
)
from blackbox_explain.box.wrapping import inspect_model, wrap
from blackbox_explain.cli.commands import settings_of_help
from blackbox_explain.cli.console import errors_as_messages, stdout
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import AdapterOptions, complete_models
from blackbox_explain.cli.options.parsing import sizes
from blackbox_explain.cli.shown.models import show_inspection, show_layers

__all__ = ["models_app"]

models_app = typer.Typer(add_completion=False, **settings_of_help())


@models_app.callback(invoke_without_command=True)
def list_models(
    context: typer.Context,
    classes: Annotated[str | None, typer.Option(help="List the class names of this model that contain --like.")] = None,
    like: Annotated[str, typer.Option(help="Part of a class name, with --classes.")] = "",
) -> None:
    """List the embedded models, the frameworks and the file formats that can be explained.

    [bold]Examples[/]

      blackbox-explain models

      blackbox-explain models --classes efficientnet-lite0 --like cat

      blackbox-explain models inspect classifier.onnx
    """
    if context.invoked_subcommand is not None:
        return
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
        folders = set(FOLDERS.values())
        suffixes = ", ".join(sorted(f".{point.name}" for point in entry_points(FORMATS) if point.name not in folders))
        schemes = ", ".join(sorted(f"{point.name}:" for point in entry_points(SCHEMES)))
        stdout.print(f"model files: {suffixes}; SavedModel folders; addresses: {schemes}; or module:function")


def _show_classes(model: str, like: str) -> None:
    names = wrap(model).spec.class_names or ()
    for index, (name, shown) in enumerate(zip(names, display_names(names), strict=True)):
        if like.casefold() in name.casefold():
            # A name that several classes have is told apart as in tables.
            stdout.print(f"{index:>5}  {name if shown in name else shown}", soft_wrap=True, markup=False)


@models_app.command("inspect")
@with_groups
def inspect_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model file, a SavedModel folder, or the name of an embedded model; with --layers whatever "
            "[bold]explain[/] takes.",
            autocompletion=complete_models,
        ),
    ],
    *,
    shape: Annotated[
        str | None, typer.Option(help="Shape of one image, such as 3,224,224, where the model leaves it free.")
    ] = None,
    said: AdapterOptions,
    layers: Annotated[
        bool, typer.Option("--layers", help="List its layers instead: name, kind and shape of each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what a model holds, and whether it can be differentiated; or its layers.

    Takes the files that explain takes (ONNX, TFLite, Keras, PyTorch),
    SavedModel folders and embedded models.

    [bold]Examples[/]

      blackbox-explain models inspect classifier.onnx

      blackbox-explain models inspect efficientnet-lite0 --layers

      blackbox-explain models inspect saved_model_folder

      blackbox-explain models inspect classifier.onnx --shape 3,48,192 --json

      blackbox-explain models inspect classifier.onnx --option 'constants={"is_training": false}'
    """
    with errors_as_messages():
        given = None if shape is None else sizes(shape)
        title = Path(model).name or model
        if layers:
            show_layers(wrap(model, shape=given, **said.for_adapter()), title, as_json)
        else:
            show_inspection(inspect_model(model, given, **said.for_adapter()), title, as_json)
