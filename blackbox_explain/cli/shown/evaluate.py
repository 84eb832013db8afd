"""What the command ``evaluate`` prints and writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.measure import Measurement as Measured
from rich.table import Table

from blackbox_explain.auditing.result_run import Group
from blackbox_explain.cli.console import WIDE, Start, numbers_table, stdout
from blackbox_explain.errors import ResultError
from blackbox_explain.evaluating.measurement import Measurement
from blackbox_explain.explanation.archive import finite
from blackbox_explain.metrics.metric import distance_from_best
from blackbox_explain.report.cost_plot import Panel, Reached, cost_figure

__all__ = ["evaluation_dict", "show_evaluation", "write_evaluation"]

COLUMNS = ("method", "metric", "result", "photo", "target", "value", "queries", "error")

DIGITS = (3, 2)
"""Of a mean, more where there is room."""

PANELS = 6
"""Metrics that are drawn, at most."""

FIXED = (0.05, 1e4)
"""Columns whose largest mean is outside are written with digits that count, not with digits after the point."""


def show_evaluation(groups: Sequence[Group], metrics: Sequence[str]) -> None:
    """Print a row for each method, and of each metric a column; a line for each of both where that is too wide.

    Parameters
    ----------
    groups
        What was measured.
    metrics
        In the order asked.
    """
    asked = [name for name in metrics if any(name in group.measurements for group in groups)]
    best = {name: _best(groups, name) for name in asked}
    ranked = _ranked(groups, asked, best)
    pivots = (_pivot(ranked, asked, best, digits) for digits in DIGITS)
    fitting = (table for table in pivots if _width(table) <= stdout.width)
    stdout.print(next(fitting, None) or _long(ranked, asked, best))
    runs = "runs: images that the model was run on to explain one, on average"
    marked = "; *: the best mean" if any(best.values()) else ""
    several = any(np.isfinite(one.low) for group in groups for one in group.measurements.values())
    interval = "in brackets: 95 % interval of the mean; " if several else ""
    stdout.print(f"{interval}{runs}{marked}", style="dim")


def _width(table: Table) -> int:
    """Return the columns that a table takes where nothing is cut."""
    return Measured.get(stdout, stdout.options.update(width=WIDE), table).maximum


def _best(groups: Sequence[Group], metric: str) -> frozenset[str]:
    """Return the methods of the best mean; none unless several differ, measured on the same images and classes."""
    means = {group.name: group.measurements[metric].mean for group in groups if metric in group.measurements}
    if len(means) < len(groups) or len(groups) < 2 or not np.isfinite(list(means.values())).all():
        return frozenset()
    if len({group.measured_on(metric) for group in groups}) > 1:
        return frozenset()
    better = groups[0].measurements[metric].better
    away = {name: distance_from_best(mean, better) for name, mean in means.items()}
    found = frozenset(name for name, one in away.items() if one == min(away.values()))
    return found if len(found) < len(groups) else frozenset()


def _ranked(groups: Sequence[Group], metrics: Sequence[str], best: dict[str, frozenset[str]]) -> list[Group]:
    """Return methods from the best to the worst by the first metric that compares them; as given if none does."""
    by = next((name for name in metrics if best[name]), None)
    if by is None:
        return list(groups)
    better = groups[0].measurements[by].better
    return sorted(groups, key=lambda group: distance_from_best(group.measurements[by].mean, better))


def _pivot(groups: Sequence[Group], metrics: Sequence[str], best: dict[str, frozenset[str]], digits: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("method", no_wrap=True)
    for name in metrics:
        better = next(group.measurements[name].better for group in groups if name in group.measurements)
        table.add_column(f"{name}\n{better} is better", no_wrap=True)
    for head in ("images", "runs"):
        table.add_column(head, justify="right", no_wrap=True)
    for group in groups:
        # A name that is cut to little would not tell methods apart, so that names keep the table from fitting.
        cells = [_cell(groups, group, name, digits, group.name in best[name]) for name in metrics]
        table.add_row(escape(group.name), *cells, f"{group.distinct}", f"{group.queries.mean():,.0f}")
    return table


def _cell(groups: Sequence[Group], group: Group, metric: str, digits: int, best: bool) -> str:
    """Return mean, interval and, where it is not of all images of the method, of how many."""
    one = group.measurements.get(metric)
    if one is None:
        return "–"
    mean, low, high = (_written(groups, metric, value, digits) for value in (one.mean, one.low, one.high))
    interval = f" [{low}, {high}]" if np.isfinite(one.low) else ""
    few = "" if one.measured == one.distinct else f", {one.measured} of {one.distinct}"
    text = escape(f"{mean}{'*' * best}{interval}{few}" if one.measured else f"–{few}")
    return f"[bold]{text}[/]" if best else text


def _written(groups: Sequence[Group], metric: str, value: float, digits: int) -> str:
    means = [abs(group.measurements[metric].mean) for group in groups if metric in group.measurements]
    known = [mean for mean in means if np.isfinite(mean)]
    fixed = not known or max(known) == 0 or FIXED[0] <= max(known) < FIXED[1]
    return f"{value:.{digits}f}" if fixed else f"{value:.{digits}g}"


def _long(groups: Sequence[Group], metrics: Sequence[str], best: dict[str, frozenset[str]]) -> Table:
    """Return a table with a line for each method and metric: of each metric all methods."""
    table, digits = numbers_table(("metric", "method"), ("mean", "interval", "images", "runs"), ("better",))
    digits = min(digits, DIGITS[0])
    for name in metrics:
        for group in groups:
            if (one := group.measurements.get(name)) is None:
                continue
            mean, low, high = (_written(groups, name, value, digits) for value in (one.mean, one.low, one.high))
            table.add_row(
                Start(name),
                Start(group.name),
                f"{mean}{'*' if group.name in best[name] else ' '}" if one.measured else "– ",
                escape(f"[{low}, {high}]") if np.isfinite(one.low) else "–",
                f"{one.measured}" if one.measured == one.distinct else f"{one.measured} of {one.distinct}",
                f"{group.queries.mean():.0f}",
                one.better,
            )
    return table


def evaluation_dict(
    groups: Sequence[Group], errors: Sequence[tuple[Path, str]], warnings: Sequence[str]
) -> dict[str, Any]:
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
    told = [{"result": str(path), "error": text} for path, text in errors]
    return finite({"methods": methods, "errors": told, "warnings": list(warnings)})


def write_evaluation(groups: Sequence[Group], metrics: Sequence[str], told: dict[str, Any], folder: Path) -> list[str]:
    """Write evaluation.json, evaluation.csv and, of two methods or more, quality.png; return their names.

    Parameters
    ----------
    groups
        What was measured.
    metrics
        In the order asked: the first six that have a mean are drawn.
    told
        From `evaluation_dict`.
    folder
        Where to write.

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
        if len(groups) > 1 and (panels := _panels(groups, metrics)):
            cost_figure(panels, [group.name for group in groups]).savefig(folder / "quality.png", dpi=150)
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


def _panels(groups: Sequence[Group], metrics: Sequence[str]) -> list[Panel]:
    """Return what is drawn: the first metrics asked for that have a mean."""
    found: list[Panel] = []
    for name in metrics:
        own = [(group, one) for group in groups if (one := group.measurements.get(name)) is not None and one.measured]
        reached = tuple(
            Reached(group.name, float(group.queries.mean()), one.mean, one.low, one.high) for group, one in own
        )
        if own:
            found.append(Panel(name, own[0][1].better, reached))
    return found[:PANELS]
