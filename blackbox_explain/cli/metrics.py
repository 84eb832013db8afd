"""``blackbox-explain metrics``: what may be said of an explanation, what that needs, and its settings."""

from __future__ import annotations

import json
import math
from typing import Any

import typer

from blackbox_explain.box.entry_points import entry_points, load
from blackbox_explain.cli.console import show_error
from blackbox_explain.cli.shown.listed import (
    PERTURBATIONS,
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
from blackbox_explain.metrics.by_name import METRICS

__all__ = ["metrics_command"]


def metrics_command(*, as_json: AsJson = False) -> None:
    """List the metrics: what each says of an explanation, what it needs, and its settings.

    A metric is chosen by its name: evaluate --metric NAME. Its settings are
    given by --setting NAME=VALUE.

    [bold]Examples[/]

      blackbox-explain metrics

      blackbox-explain evaluate explanations --metric insertion --metric pointing-game --boxes boxes.csv
    """
    found: list[dict[str, Any]] = []
    for point in entry_points(METRICS):
        try:
            found.append(_metric(load(point)))
        except BlackBoxExplainError as error:
            show_error(f"{point.name}: {error}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    rows = [(one["metric"], one["better"], _between(*one["range"]), one["needs"] or "-", one["what"]) for one in found]
    show_table(("metric", "better", "values", "needs", "what it does"), rows)
    say(
        "\nneeds, besides what explain saved: boxes (--boxes) and points (--points) that people marked; the method, "
        "which is run again; parameters of the model, which are drawn anew; maps with signs, as gradients have them"
    )
    say("any metric can be asked of another model than the one that was explained: evaluate --model OTHER")
    say(f"\nsettings, by --setting NAME=VALUE, with their defaults; null: the metric chooses; {PERTURBATIONS}")
    told = {one["metric"]: settings_told(one["settings"], one["choices"]) for one in found if one["settings"]}
    show_settings(told)


def _metric(kind: type[Any]) -> dict[str, Any]:
    least, most = kind.range
    needed = "" if takes(kind) == "scores" else takes(kind)
    return {
        "metric": kind.name,
        "what": first_line(kind),
        "better": kind.better,
        "range": [one if math.isfinite(one) else None for one in (least, most)],
        "needs": ", ".join(one for one in (getattr(kind, "also_needs", ""), needed) if one),
        "settings": defaults_of(kind),
        "choices": choices_of(kind),
    }


def _between(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{least:g} to {most:g}"
    bound = "" if least is None else f"from {least:g}"
    return bound or ("any" if most is None else f"to {most:g}")
