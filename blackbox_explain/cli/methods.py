"""``blackbox-explain methods``: what a model allows, its settings, and why not the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import typer
from rich.markup import escape

from blackbox_explain.box.entry_points import DEFAULT_MODEL
from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.cli.console import errors_as_messages
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.cli.shown.listed import (
    PERTURBATIONS,
    TAKES,
    AsJson,
    choices_of,
    defaults_of,
    first_line,
    say,
    settings_told,
    show_settings,
    show_table,
    takes,
)
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.methods.by_name import kind_of, method_of, methods_for
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.perturbations.named import NAMES

__all__ = ["methods_command"]

TYPED = ("preset", "game", "perturbation", "queries")
"""Settings of the mask that are options of their own."""


@with_groups
def methods_command(*, model: Model = DEFAULT_MODEL, said: ModelOptions, as_json: AsJson = False) -> None:
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
        available = methods_for(box)
        found = [_method(name, why, info) for name, why in available.items()]
        if as_json:
            typer.echo(json.dumps(found, indent=2))
            return
        allowed = sorted((one for one in found if one["allowed"]), key=_place)
        rows = [(one["method"], one["takes"], f"{one['queries']:,}", one["what"]) for one in allowed]
        show_table(("method", "takes", "runs, at most", "what it does"), rows, numbers=("runs, at most",))
        say("\ntakes: what the model has to give; mask estimates gradients from scores where there are none")
        say("runs: images that the model is run on, with gradient or without, the region's search included")
        say(
            f"\nsettings, by --setting NAME=VALUE, with their defaults; null: the method chooses; {PERTURBATIONS}; "
            "--suppress and --seed are of all methods"
        )
        show_settings({one["method"]: _settings(one) for one in allowed if one["settings"]})
        refused = {name: why for name, why in available.items() if why is not None}
        for why, names in _reasons(refused, box).items():
            say("")
            say(f"[yellow]not {', '.join(names)}:[/] {escape(why)}")


def _reasons(refused: Mapping[str, str], box: BlackBox) -> dict[str, list[str]]:
    """Return names by what the box lacks; by their own reason where it lacks nothing that they need."""
    found: dict[str, list[str]] = {}
    for name, why in refused.items():
        shared = why
        try:
            require(box, kind_of(name).needs)
        except BlackBoxExplainError as error:
            shared = str(error)
        except Exception:  # a method that cannot be loaded, of which `methods_for` warned
            shared = why
        found.setdefault(shared, []).append(name)
    return found


def _method(name: str, why_not: str | None, info: BoxInfo) -> dict[str, Any]:
    if why_not is not None:
        return {"method": name, "allowed": False, "why_not": why_not}
    kind = kind_of(name)
    return {
        "method": name,
        "allowed": True,
        "takes": "gradients" if name == Mask.name and info.exact else takes(kind),
        "queries": method_of(name, {}).budget(info).with_region,
        "what": first_line(kind),
        "settings": defaults_of(kind, method_of(name, {})),
        "choices": choices_of(kind),
    }


def _place(one: dict[str, Any]) -> tuple[bool, int]:
    """Return what lists are sorted by: the mask first, which is the default, and then what takes least."""
    kinds = list(TAKES.values())
    return one["method"] != Mask.name, kinds.index(one["takes"]) if one["takes"] in kinds else len(kinds)


def _settings(one: dict[str, Any]) -> str:
    """Return the settings of a method as they are typed; of the mask those that are options of their own."""
    if one["method"] != Mask.name:
        return settings_told(one["settings"], one["choices"])
    choices = {**one["choices"], "perturbation": NAMES}
    options = {f"--{name}": one["settings"][name] for name in TYPED}
    told = settings_told(options, {f"--{name}": choices.get(name, ()) for name in TYPED}).replace("=", " ")
    others = {name: value for name, value in one["settings"].items() if name not in TYPED}
    few = settings_told(dict(list(others.items())[:2]), {})
    return f"options of explain: {told}; by --setting {len(others)} more, such as {few}: --json lists them"
