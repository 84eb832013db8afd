"""What an experiment leaves behind: a figure, a table, and all numbers with settings, counts and claims."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.hardware import machine
from benchmarks.paper.methods import METHODS, QUERIES, label_of, name_of, settled
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import Compared
from blackbox_explain.explanation.archive import finite

__all__ = ["Claim", "Table", "costs", "gap_of", "store", "table_as_markdown", "write"]


@dataclass(frozen=True)
class Claim:
    """What the paper says, what was found here, and whether that holds.

    Attributes
    ----------
    claim
        In a sentence.
    paper, ours
        The figures of both.
    holds
        None where it is undecided: what was found is neither as claimed nor the contrary, beyond chance.
    """

    claim: str
    paper: str
    ours: str
    holds: bool | None


@dataclass(frozen=True)
class Table:
    """Columns by name, and rows."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def write(
    folder: Path,
    *,
    title: str,
    figure: Figure,
    table: Table,
    claims: Sequence[Claim],
    settings: Mapping[str, Any],
    numbers: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> None:
    """Write ``figure.png``, ``results.json``, and a table and paired comparisons as CSV and Markdown into a folder."""
    by = machine()  # before files change, which belong to the sources' tree
    figure.savefig(folder / "figure.png", dpi=130)
    for name, one in (("table", table), ("comparisons", _comparisons(_plain(numbers.get("paired", {}))))):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(one.columns)
            writer.writerows(one.rows)
        (folder / f"{name}.md").write_text(table_as_markdown(one), encoding="utf-8")
    told = {
        "title": title,
        "machine": by,
        "claims": [asdict(one) for one in claims],
        "notes": list(notes),
        "settings": dict(settings),
        **numbers,
    }
    (folder / "results.json").write_text(json.dumps(finite(_plain(told)), indent=2) + "\n", encoding="utf-8")


def gap_of(test: Compared | None) -> list[Any]:
    """Return two cells, the difference and p of a comparison; empty ones for none."""
    return ["", ""] if test is None else [test.difference, test.p]


def _comparisons(paired: Any) -> Table:
    """Return each comparison of `compared` in a tree of them, as a row."""
    columns = ("comparison", "difference", "standard error", "p", "test", "images")
    return Table(columns, [[", ".join(path), *values] for path, values in _leaves(paired, ())])


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    if isinstance(tree, Mapping) and "difference" in tree:
        yield path, [tree[one] for one in ("difference", "error", "p", "test", "images")]
        return
    for key, one in tree.items() if isinstance(tree, Mapping) else enumerate(tree, 1):
        yield from _leaves(one, (*path, label_of(str(key))))


def store(plan: Plan) -> list[Path]:
    """Put what was measured with all steps among the results, beside what is there; return the files."""
    stored = plan.kept.stored
    assert stored is not None
    for method in METHODS:
        for name, row in plan.kept.matching(f"{plan.model}/measured/*/{settled(plan, method)}/*").items():
            stored.add(name, row)
    return stored.write()


def table_as_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def costs(plan: Plan, images: Sequence[Labelled], methods: Sequence[str]) -> dict[str, Any]:
    """Return for each method its settings, how often the model was run on an image, the time, and who made the maps."""
    found: dict[str, Any] = {}
    for method in methods:
        names = [name_of(plan, one, METHODS[method].shown_of or method, QUERIES) for one in images]
        asked = np.asarray([plan.kept.read(name)["queries"] for name in names])
        told = [plan.kept.told(name) for name in names]
        found[method] = {
            "method": METHODS[method].method,
            "settings": METHODS[method].called(plan),
            "scores_per_image": float(asked[:, 0].mean()),
            "gradients_per_image": float(asked[:, 1].mean()),
            "core_seconds_per_image": float(np.mean([one["core_seconds"] for one in told])),
            "commits": sorted({one["commit"] for one in told}),
        }
    return found


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
