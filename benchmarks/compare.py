"""What became slower: two results of one benchmark side by side.

Run with ``python -m benchmarks.compare OLD.json NEW.json``; the exit status is 1 where something did.  A change counts
where the medians differ by more than the noise: 5 %, and the two ranges between the quartiles lie apart.  Rows are
paired by what they are of, and not by their place; where one has fewer than five repetitions, nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

__all__ = ["Change", "changes", "gone", "timings_of"]

REPETITIONS = ("all_ms", "all_s")
"""Keys of lists of timings; lower is better."""

LEAST = 0.05
"""A smaller change is none."""

ENOUGH = 5
"""Repetitions: the quartiles of fewer lie so close to the median that noise looks like a change."""

NAMED_BY = ("backend", "by", "method", "what", "preset", "mode", "batch", "steps", "images")
"""Keys of rows in lists that tell one from another."""

Kind = Literal["slower", "faster", "same", "too few to tell"]

console = Console(width=120, highlight=False, markup=False)


@dataclass(frozen=True)
class Change:
    """One timing in both results.

    Attributes
    ----------
    name
        Where it stands.
    old, new
        Medians, in the unit of the results.
    kind
        What became of it.
    """

    name: str
    old: float
    new: float
    kind: Kind

    @property
    def ratio(self) -> float:
        """New over old."""
        return self.new / self.old


def timings_of(found: Any, where: str = "") -> Iterator[tuple[str, list[float]]]:
    """Return each list of repetitions in a result, with where it stands."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in REPETITIONS:
                if value:
                    yield where, [float(one) for one in value]
            else:
                yield from timings_of(value, f"{where} / {key}" if where else str(key))
    elif isinstance(found, list):
        names = [_name_of(value) for value in found]
        for place, (value, name) in enumerate(zip(found, names, strict=True)):
            # Rows that nothing tells apart are left to their places.
            one = name if name and names.count(name) == 1 else str(place)
            yield from timings_of(value, f"{where} / {one}")


def _name_of(row: Any) -> str:
    """Return what a row of a list is of; "" where it does not say."""
    known = [f"{key} {row[key]}" for key in NAMED_BY if key in row] if isinstance(row, dict) else []
    return ", ".join(known)


def gone(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the names of timings that the earlier result has and the later one has not."""
    before, after = (dict(timings_of(one["measured"])) for one in (old, new))
    return [name for name in before if name not in after]


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Compare the timings that both results have, from the one that lost most to the one that gained most."""
    before, after = (dict(timings_of(one["measured"])) for one in (old, new))
    found: list[Change] = []
    for name in before.keys() & after.keys():
        quartiles = [np.percentile(one[name], (25, 50, 75)) for one in (before, after)]
        first, second = (float(one[1]) for one in quartiles)
        kind: Kind = "same"
        if min(len(before[name]), len(after[name])) < ENOUGH:
            kind = "too few to tell"
        elif second > (1 + LEAST) * first and quartiles[1][0] > quartiles[0][2]:
            kind = "slower"
        elif first > (1 + LEAST) * second and quartiles[0][0] > quartiles[1][2]:
            kind = "faster"
        found.append(Change(name, first, second, kind))
    return sorted(found, key=lambda one: (-one.ratio, one.name))


def main(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Result of the earlier run.")],
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Result of the later run.")],
) -> None:
    """Say what became slower, and what faster, beyond the noise."""
    first, second = (json.loads(one.read_text(encoding="utf-8")) for one in (old, new))
    for key in ("benchmark", "settings"):
        if first[key] != second[key]:
            console.print(f"careful: the two differ in their {key}")
    if any(first["machine"].get(key) != second["machine"].get(key) for key in ("processor", "cores", "gpu")):
        console.print("careful: the two are of different machines")
    every = changes(first, second)
    table = Table("timing", "old", "new", "new / old", "")
    for one in every:
        if one.kind in ("slower", "faster"):
            table.add_row(one.name, f"{one.old:.4g}", f"{one.new:.4g}", f"{one.ratio:.2f}", one.kind)
    slower, few = (sum(one.kind == kind for one in every) for kind in ("slower", "too few to tell"))
    if table.row_count:
        console.print(table)
    if few > 0:
        console.print(
            f"too few to tell: {few} of {len(every)} timings have fewer than {ENOUGH} repetitions in one of them"
        )
    for what, names in (("gone", gone(first, second)), ("new", gone(second, first))):
        if names:
            console.print(f"{what}: {'; '.join(names)}")
    commits = " to ".join(one["machine"]["commit"] for one in (first, second))
    console.print(f"{commits}: {slower} of {len(every)} timings became slower beyond the noise")
    raise typer.Exit(int(slower > 0))


if __name__ == "__main__":
    typer.run(main)
