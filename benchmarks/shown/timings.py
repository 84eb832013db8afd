"""What the page says of first runs, of speed, of the loop beside the model, and of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import memory
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.markdown import NOT_YET, Rows, table
from benchmarks.scale.growth import slopes

__all__ = ["first_run", "of_memory", "of_overhead", "of_speed"]


def first_run(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return the seconds of each part of a first run."""
    return [table(["part", "seconds"], [[part, spread(row["all_s"], ".1f")] for part, row in measured.items()])]


def of_speed(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return tables of one image, of sizes of batches, and of the command line from its start."""
    single, batches = Rows(), Rows()
    for by, rows in measured.items():
        for preset, row in rows.get("one image", {}).items():
            counts = f"{row['gradients']} + {row['scores']}"
            ratios = spread(row.get("all_ratios", [row["ratio"]]), ".3f")
            single.append([by, preset, counts, spread(row["explain"]["all_s"]), ratios])
        found = rows.get("batches", {})
        for size, row in found.get("seconds_per_image", {}).items():
            name = f"auto, settled at {found['settled']}" if size == "auto" else size
            over = spread(found["over_best"]) if size == "auto" else ""
            batches.append([by, name, str(found["images"]), spread(row["all_s"], ".3f"), over])
    start = [[what, spread(row["all_s"])] for what, row in measured.get("start", {}).items()]
    return [
        _or_not_yet(["by", "preset", "gradients + scores", "seconds for one image", "over the model alone"], single),
        _or_not_yet(["by", "batch", "images", "seconds per image, quick, few steps", "over the best"], batches),
        _or_not_yet(["from its start", "seconds"], start),
    ]


def of_overhead(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return a line for each preset and batch."""
    rows = Rows()
    for row in measured["rows"]:
        ratios = ratios_of(row)
        beside = spread(row.get("all_beside", [row["beside"]]), ".1%")
        rows.append([row["backend"], row["preset"], str(row["batch"]), spread(ratios, ".3f"), beside])
    return [table(["by", "preset", "batch", "step of the loop over the model", "time beside the model"], rows)]


def of_memory(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return all rows, what they claim, and the slopes that were fitted."""
    rows, claimed, fitted = Rows(), Rows(), Rows()
    for by, kinds in measured.items():
        for varied, found in kinds.items():
            rows += [[by, varied, *memory.told(row)] for row in found]
            if slope := slopes(found, varied, memory.peak_of(found)):
                fitted.append([by, varied, spread(slope, ".3g")])
        for what, values, limit in memory.claims(kinds):
            claimed.append([by, what, spread(values, ".1%"), f"{limit:.0%}", said(within([values], limit))])
    return [
        table(["by", "varied", *memory.COLUMNS], rows),
        _or_not_yet(["by", "claim", "of each round's line", "at most", "verdict"], claimed),
        _or_not_yet(["by", "varied", "peak, MiB for one more"], fitted),
    ]


def _or_not_yet(head: list[str], rows: Rows) -> str:
    return table(head, rows) if rows else NOT_YET
