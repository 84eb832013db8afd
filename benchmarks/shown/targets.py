"""What was aimed at beside what was measured, in one table: met, missed, undecided, or not measured yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import memory, overhead, speed
from benchmarks.adapters import onnx_gradient
from benchmarks.common.backends import NAMES
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.markdown import NOT_YET, table
from benchmarks.first_run import INSTALL, PICTURE
from benchmarks.scale.batch_sizes import AUTO_LIMIT
from benchmarks.shown.files import whole_runs

__all__ = ["Line", "most", "targets"]

Cases = Mapping[str, Sequence[float]]
"""Repetitions by what they are of."""


@dataclass(frozen=True)
class Line:
    """One aim.

    Attributes
    ----------
    what
        Is aimed at.
    by
        Backend, network or machine; "" while nothing is measured.
    value
        That was measured, with its spread.
    verdict
        What is said of it.
    """

    what: str
    by: str = ""
    value: str = ""
    verdict: str = NOT_YET


Stored = dict[str, Any]
"""What a file holds."""

Read = Callable[[Stored], Iterator[Line]]


def most(what: str, by: str, cases: Cases, limit: float, form: str = ".2f") -> Line:
    """Return an aim that all cases are to keep: the highest of them is shown, and all are judged."""
    highest = max(cases, key=lambda name: float(np.median(cases[name])))
    name = f", {highest} (the highest of {len(cases)})" if len(cases) > 1 else ""
    return Line(what, by, spread(cases[highest], form) + name, said(within(cases.values(), limit)))


def targets(results: Path, more: Iterable[Line] = ()) -> str:
    """Return the table, a line for each aim and each machine and backend that it was measured by.

    Parameters
    ----------
    results
        Folder of the folders of machines.
    more
        Lines of claims that other modules judge; they stand last.
    """
    lines: list[Line] = []
    for files, wanted, read in SOURCES:
        known = [
            Line(one.what, f"{path.parent.name}, {one.by}".removesuffix(", "), one.value, one.verdict)
            for path, stored in whole_runs(results, files)
            for one in read(stored)
        ]
        told = {one.what for one in known}
        lines += sorted(
            [*known, *(Line(what) for what in wanted if what not in told)], key=lambda one: wanted.index(one.what)
        )
    rows = [[one.what, one.by, one.value, one.verdict] for one in (*lines, *more)]
    return table(["aimed at", "where", "measured", "verdict"], rows)


FIRST = (f"installation: at most {INSTALL:.0f} s", f"first picture after it: at most {PICTURE:.0f} s")
START = f"explaining a photo by the command, from its start, warm cache: at most {speed.FROM_START:.1f} s"
ONE = f"`explain` of one image over its evaluations at batch 1: at most {speed.ONE_IMAGE}"
AUTO = f"batch_size auto, settled, over the best size: at most {AUTO_LIMIT:.2f}"
LOOPS = {
    by: f"step of the loop over the model alone, {name}, at batch {overhead.JUDGED}: at most {overhead.TARGET}"
    for by, name in NAMES.items()
}
BESIDE = {
    by: f"time outside of the model over that inside, {name}, at batch {overhead.JUDGED}: at most "
    f"{overhead.TARGET - 1:.0%}"
    for by, name in NAMES.items()
}
GRADIENT = f"ONNX gradient over PyTorch's in its faster layout: at most {onnx_gradient.GOAL:.2f}"
MEMORY = tuple(f"{what}, at most {limit:.0%}" for what, limit in memory.LIMITS.items())


def _first_run(stored: Stored) -> Iterator[Line]:
    measured = stored["measured"]
    for what, part, limit in zip(FIRST, ("installation", "first picture"), (INSTALL, PICTURE), strict=True):
        if part in measured:
            yield most(what, "", {part: measured[part]["all_s"]}, limit, ".1f")


def _speed(stored: Stored) -> Iterator[Line]:
    measured = stored["measured"]
    if speed.COMMAND in measured.get("start", {}):
        yield most(START, "", {"": measured["start"][speed.COMMAND]["all_s"]}, speed.FROM_START)
    for by, rows in measured.items():
        if single := rows.get("one image"):
            yield most(
                ONE, by, {name: row.get("all_ratios", [row["ratio"]]) for name, row in single.items()}, speed.ONE_IMAGE
            )
        if batches := rows.get("batches"):
            over = batches.get("over_best")
            if over:
                sizes = f"{batches['settled']} against {batches['best']}"
                yield most(AUTO, f"{by}, {sizes}", {"": over}, AUTO_LIMIT)
            else:
                yield Line(AUTO, by, "did not settle", said(None))


def _overhead(stored: Stored) -> Iterator[Line]:
    if stored["settings"].get("device") == "cuda":
        return  # what is aimed at there is of larger batches, which the suite of GPUs measures
    judged = [row for row in stored["measured"]["rows"] if row["batch"] == overhead.JUDGED]
    for by in dict.fromkeys(row["backend"] for row in judged):
        cases = {row["preset"]: ratios_of(row) for row in judged if row["backend"] == by}
        yield most(LOOPS[by], "", cases, overhead.TARGET, ".3f")
        outside = {row["preset"]: row["all_beside"] for row in judged if row["backend"] == by and "all_beside" in row}
        if outside:
            yield most(BESIDE[by], "", outside, overhead.TARGET - 1, ".1%")


def _memory(stored: Stored) -> Iterator[Line]:
    for by, kinds in stored["measured"].items():
        for what, values, limit in memory.claims(kinds):
            yield most(f"{what}, at most {limit:.0%}", by, {"": values}, limit, ".1%")


def _gradient(stored: Stored) -> Iterator[Line]:
    for name, batches in stored["measured"]["networks"].items():
        told = {f"batch {batch}": onnx_gradient.over_faster(row)[1] for batch, row in batches.items()}
        yield most(GRADIENT, name, told, onnx_gradient.GOAL)


SOURCES: tuple[tuple[str, tuple[str, ...], Read], ...] = (
    ("first-run", FIRST, _first_run),
    ("speed*", (START, ONE, AUTO), _speed),
    ("overhead-*", (*LOOPS.values(), *BESIDE.values()), _overhead),
    ("memory*", MEMORY, _memory),
    ("onnx-gradient*", (GRADIENT,), _gradient),
)
"""Names of files, what they are read for, and how."""
