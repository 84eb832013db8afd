"""What the command ``evaluate`` prints and writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.auditing.result_run import Group
from blackbox_explain.cli.console import Start, numbers_table, stdout
from blackbox_explain.errors import ResultError
from blackbox_explain.evaluating import Measurement
from blackbox_explain.explanation.archive import finite
from blackbox_explain.report.cost_plot import Reached, cost_figure

__all__ = ["evaluation_dict", "show_evaluation", "write_evaluation"]

COLUMNS = ("method", "metric", "result", "photo", "target", "value", "queries", "error")

PLOTTED = "deletion"
"""The metric that is drawn against the cost; the first there is, where this was not asked for."""


def show_evaluation(groups: Sequence[Group]) -> None:
    """Print a table with a line for each method and metric."""
    table, digits = numbers_table(("method", "metric"), ("mean", "95 % interval", "images", "cost"), ("better",))
    for group in groups:
        for name, one in group.measurements.items():
            count = f"{one.measured}" if one.measured == len(one.values) else f"{one.measured} of {len(one.values)}"
            table.add_row(
                Start(group.name),
                Start(name),
                f"{one.mean:.{digits}f}" if one.measured else "–",
                f"{one.low:.{digits}f} to {one.high:.{digits}f}" if np.isfinite(one.low) else "–",
                count,
                f"{group.queries.mean():.0f}",
                one.better,
            )
    stdout.print(table)
    stdout.print("cost: images that the model was run on to explain one, on average", style="dim")


def evaluation_dict(groups: Sequence[Group], errors: Sequence[tuple[Path, str]]) -> dict[str, Any]:
    """Return everything, for JSON; numbers that are not finite become None."""
    methods = [
        {
            "method": group.name,
            "queries": group.queries.tolist(),
            "rows": [dict(zip(("result", "photo", "target"), label, strict=True)) for label in group.labels],
            "metrics": {name: one.to_dict() for name, one in group.measurements.items()},
        }
        for group in groups
    ]
    return finite({"methods": methods, "errors": [{"result": str(path), "error": text} for path, text in errors]})


def write_evaluation(groups: Sequence[Group], told: dict[str, Any], folder: Path) -> list[str]:
    """Write evaluation.json, evaluation.csv and, of two methods or more, quality.png; return their names.

    Raises
    ------
    ResultError
        If a file cannot be written.
    """
    try:
        text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        with (folder / "evaluation.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for group in groups:
                for name, one in group.measurements.items():
                    writer.writerows(_lines(group, name, one))
        written = ["evaluation.json", "evaluation.csv"]
        if len(groups) > 1 and (name := _plotted(groups)):
            own = [(group, group.measurements[name]) for group in groups if name in group.measurements]
            reached = [
                Reached(group.name, float(group.queries.mean()), one.mean, one.low, one.high)
                for group, one in own
                if one.measured
            ]
            cost_figure(reached, name, own[0][1].better).savefig(folder / "quality.png", dpi=150)
            written.append("quality.png")
    except OSError as error:
        raise ResultError("The evaluation cannot be written", got=f"{folder}: {error.strerror}") from error
    return written


def _lines(group: Group, name: str, one: Measurement) -> list[tuple[Any, ...]]:
    return [
        (
            group.name,
            name,
            *label,
            float(one.values[row]) if np.isfinite(one.values[row]) else "",
            int(one.queries[row]),
            str(one.failures.get(row, "")),
        )
        for row, label in enumerate(group.labels)
    ]


def _plotted(groups: Sequence[Group]) -> str:
    """Return the metric that is drawn: one that several methods have values of; "" if there is none."""
    names = [name for group in groups for name, one in group.measurements.items() if one.measured]
    shared = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return PLOTTED if PLOTTED in shared else next(iter(shared), "")
