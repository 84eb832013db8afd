"""How much memory explaining takes, by the batch, the steps and the number of images: each in a process of its own.

Run with ``python -m benchmarks.memory``.  Memory is to grow linearly with the batch, and neither with steps nor with
files that stream through an audit, of which the last tenth takes as long as the first.  Everything is measured once in
each round; a line is fitted to the memory of a round.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.audits.reliability.audits import make_photos
from benchmarks.common.backends import NAMES, Backend, Device, present
from benchmarks.common.hardware import RESULTS, machine, record
from benchmarks.common.judged import said, spread, within
from benchmarks.scale.growth import DEPARTURE, MEMORY, TIME, departures, growths
from benchmarks.scale.own_process import asked_of
from benchmarks.scale.streamed import BATCH, STEPS

__all__ = ["COLUMNS", "LIMITS", "Claim", "claims", "told", "with_run"]

BATCHES, STEP_COUNTS = (1, 2, 4, 8, 16, 32), (10, 40, 160)
"""What is varied, the others at a batch of 4, 10 steps and 4 images."""

IMAGES = {16: 9, 1_000: 1, 10_000: 1}
"""Files of an audit, with how many audits of so many are made in one process: one of few is over in no time."""

ROUNDS = 3

COLUMNS = ("batch", "steps", "images", "peak, MiB", "seconds per image", "last tenth / first")
"""Of tables."""

LINEAR, STEPS_FLAT = "memory linear in the batch: departure from a line", "memory flat in the steps: growth"
FILES_FLAT, TIME_FLAT = (
    "memory flat in streamed images: growth",
    "time flat in streamed images: last tenth over first, more than 1",
)

LIMITS = {LINEAR: DEPARTURE, STEPS_FLAT: MEMORY, FILES_FLAT: MEMORY, TIME_FLAT: TIME}
"""Of what is claimed."""

Claim = tuple[str, list[float], float]
"""What is claimed, its figure in each round, and the most that it may be."""

console = Console(width=110, highlight=False, markup=False)


def with_run(row: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Return a row with one more run, and the medians of all its runs."""
    runs = [*row.get("runs", []), run]
    medians = {
        name: float(np.median([one[name] for one in runs])) for name in run if isinstance(run[name], (int, float))
    }
    return {**row, **medians, "runs": runs}


def streamed_run(backend: Backend, photos: Path, images: int, audits: int, device: Device) -> dict[str, Any]:
    """Audit files in a new process; of a long run it is told how much longer the last tenth took than the first."""
    run = asked_of("benchmarks.scale.streamed", backend, str(photos), images, audits, device)
    if "tenths_s" in run:
        run["last_tenth_over_first"] = run["tenths_s"][-1] / run["tenths_s"][0]
    return run


def told(row: dict[str, Any]) -> list[str]:
    """Return what was measured as the cells of `COLUMNS`."""
    numbers = [str(row[key]) for key in ("batch", "steps", "images")]
    peak = peak_of([row])
    ratio = row.get("last_tenth_over_first")
    tenths = "" if ratio is None else f"{ratio:.2f}"
    return [*numbers, f"{row[peak]:.0f}", f"{row['seconds_per_image']:.3f}", tenths]


def peak_of(rows: list[dict[str, Any]]) -> str:
    """Return the name of the peak that counts: of the GPU where that is known, or of the process."""
    return "peak_gpu_mib" if any("peak_gpu_mib" in row for row in rows) else "peak_mib"


def claims(found: dict[str, Any]) -> list[Claim]:
    """Return what is claimed of one backend, with the figures of each round; nothing of what was not varied."""
    batch, steps, images = (found.get(one, []) for one in ("batch", "steps", "images"))
    peak = peak_of(batch)
    # Rows of an earlier kind are of images that did not stream, so that nothing is claimed of them.
    files = [row for row in images if row.get("files")]
    # Set-up is a part of the time for few images, so that a line through all would begin too high.
    longest = [row for row in files[-1:] if "last_tenth_over_first" in row]
    figures = {
        LINEAR: departures(batch, "batch", peak),
        STEPS_FLAT: growths(steps, "steps", peak),
        FILES_FLAT: growths(files, "images", peak),
        TIME_FLAT: [run["last_tenth_over_first"] - 1 for row in longest for run in row["runs"]],
    }
    return [(what, values, LIMITS[what]) for what, values in figures.items() if values]


def main(
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    rounds: Annotated[int, typer.Option(help="In each of which everything is measured once.")] = ROUNDS,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Vary batch, steps and images, and state the peak memory of each process."""
    batches, steps, files = ((1, 2), (1, 2), {16: 1, 32: 1}) if quick else (BATCHES, STEP_COUNTS, IMAGES)
    few, rounds = (1, 1) if quick else (10, rounds)
    backends = list(present(("onnx", "torch"), device, None, console.print))
    if not backends:
        raise typer.Exit(1)
    known = machine()  # now: what is committed meanwhile is not what runs
    settings = {"device": device, "quick": quick, "rounds": rounds}
    measured: dict[str, Any] = {NAMES[one]: {"batch": [], "steps": [], "images": []} for one in backends}
    started, failed = time.monotonic(), list[str]()

    def measure(backend: Backend, varied: str, row: dict[str, Any], run: Callable[[], dict[str, Any]]) -> None:
        rows = measured[NAMES[backend]][varied]
        place = next((place for place, one in enumerate(rows) if one.items() >= row.items()), len(rows))
        try:
            found = run()
        except SystemExit as error:  # the other runs are worth as much
            console.print(f"  {NAMES[backend]}, {varied}: {error}")
            failed.append(varied)
            return
        rows[place : place + 1] = [with_run(rows[place] if place < len(rows) else row, found)]
        record("memory", settings, measured, results, known=known)
        cells = ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, told(rows[place]), strict=True))
        console.print(f"  {time.monotonic() - started:.0f} s, {NAMES[backend]}: {cells}")

    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        make_photos(photos, max(files))
        for _ in range(rounds):
            for backend in backends:
                for varied, batch, count, total in (
                    *(("batch", size, few, size) for size in batches),
                    *(("steps", min(4, max(batches)), count, min(4, max(batches))) for count in steps),
                ):
                    asked = (backend, batch, count, total, device)
                    row = {"batch": batch, "steps": count, "images": total}
                    measure(backend, varied, row, lambda asked=asked: asked_of("benchmarks.scale.explained", *asked))
                for count, audits in files.items():
                    given = (backend, photos, count, audits, device)
                    row = {"batch": BATCH, "steps": STEPS, "images": count, "files": True}
                    measure(backend, "images", row, lambda given=given: streamed_run(*given))
    table = Table("by", "varied", *COLUMNS)
    verdicts = Table("by", "claim", "growth or departure", "at most", "")
    for by, kinds in measured.items():
        for varied, rows in kinds.items():
            for row in rows:
                table.add_row(by, varied, *told(row))
        for what, values, limit in claims(kinds):
            verdicts.add_row(by, what, spread(values, ".1%"), f"{limit:.0%}", said(within([values], limit)))
    path = record("memory", settings, measured, results, known=known)
    console.print(table)
    console.print(verdicts)
    console.print(f"stored in {path.parent.name}/{path.name}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
