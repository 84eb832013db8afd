"""How long explaining takes: one image, batches, and the command line from its start.

Run with ``python -m benchmarks.speed``; ``--quick`` shows that it works.  One image is timed in turns with as many bare
runs of the model, at a batch of 1, as its result counts; sizes of batches are timed in rounds (`scale.batch_sizes`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.backends import NAMES, Backend, Device, finish_of, present
from benchmarks.common.hardware import RESULTS, machine, record
from benchmarks.common.judged import said, spread, within
from benchmarks.common.loops import paired
from benchmarks.common.timings import in_rounds, summary
from benchmarks.overhead import BARE
from benchmarks.scale.batch_sizes import AUTO_LIMIT, SETTINGS, sizes_beside
from blackbox_explain import explain, load_images
from blackbox_explain.samples import COFFEE

__all__ = ["COMMAND", "FROM_START", "ONE_IMAGE", "one_image"]

PRESETS = ("quick", "fast", "thorough")

ONE_IMAGE = 1.15
"""The most that `explain` of one image may take, in its evaluations of the model at a batch of 1."""

FROM_START = 2.0
"""Seconds that the command may take for a photo, from its start, once graphs are kept in the cache."""

COMMAND = "explain coffee.jpg"

ROUNDS = 5
"""In which all sizes of batches are timed."""

console = Console(width=120, highlight=False, markup=False)


def one_image(
    box: Any, backend: Backend, preset: str, repeats: int, device: Device = "cpu", **settings: Any
) -> dict[str, Any]:
    """Time `explain` of one image in turns with its evaluations of the model alone, at a batch of 1.

    Who goes first alternates, after a pair that warms both up; all repetitions are returned.
    """
    image = load_images([COFFEE], box.spec)
    result = explain(box, image, preset=preset, progress=False, **settings)
    scores, gradients = (int(one) for one in result.queries[0])
    native = box.native(image)
    weights = box.native(result.weights.astype(np.float32))
    gradient = BARE[backend](box, native, weights)  # of PyTorch past the box, which may run an image as a pair

    def whole() -> None:
        explain(box, image, preset=preset, progress=False, **settings)

    def bare() -> None:
        for _ in range(scores):
            box.scores(native)
        for _ in range(gradients):
            gradient()

    times = paired(whole, bare, repeats, finish=finish_of(device)).times
    ratios = times[:, 0] / times[:, 1]
    return {
        "scores": scores,
        "gradients": gradients,
        "explain": summary(times[:, 0].tolist()),
        "model_alone": summary(times[:, 1].tolist()),
        "ratio": float(np.median(ratios)),
        "all_ratios": ratios.tolist(),
    }


def from_the_start(repeats: int) -> dict[str, Any]:
    """Time ``blackbox-explain explain coffee.jpg``, and the import alone, each in a process of its own.

    A first run of each, which fills the cache, is not counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        explaining = [sys.executable, "-m", "blackbox_explain", "explain", str(COFFEE), "--out", folder, "--quiet"]
        commands = {COMMAND: explaining, "import": [sys.executable, "-c", "import blackbox_explain"]}

        def run(command: list[str]) -> Callable[[], Any]:
            return lambda: subprocess.run(command, check=True, capture_output=True)

        calls = {name: run(command) for name, command in commands.items()}
        for call in calls.values():
            call()
        return {name: summary(times) for name, times in in_rounds(calls, repeats).items()}


def main(
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    threads: Annotated[int | None, typer.Option(help="That the model may use; None: as many as it likes.")] = None,
    repeats: Annotated[int, typer.Option(help="Of each timing.")] = 7,
    rounds: Annotated[int, typer.Option(help="Of all sizes of batches.")] = ROUNDS,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Time one image, batches, and the command line."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    repeats, rounds = (1, 1) if quick else (repeats, rounds)
    settings = {"device": device, "quick": quick, "threads": threads, "repeats": repeats, "rounds": rounds}
    measured: dict[str, Any] = {}
    table = Table("by", "what", "s / image", "over", f"at most {ONE_IMAGE}, {AUTO_LIMIT}, {FROM_START:.0f} s")
    boxes = present(("onnx", "torch"), device, threads, console.print)
    known = machine()  # now: what is committed meanwhile is not what runs
    for backend, box in boxes.items():
        name = NAMES[backend]
        rows = measured[name] = {"one image": {}}
        for preset in ("quick",) if quick else PRESETS:
            row = rows["one image"][preset] = one_image(box, backend, preset, repeats, device, **few)
            ratios = row["all_ratios"]
            told = (spread(row["explain"]["all_s"], ".3f"), spread(ratios), said(within([ratios], ONE_IMAGE)))
            table.add_row(name, f"one image, {preset}", *told)
            console.print(f"  {name}, one image, {preset}: {told[0]} s, {told[1]} of the model alone")
            record("speed", settings, measured, results, known=known)
        tried: dict[str, Any] = (
            {"sizes": (1, 2), "together": 2, "counts": (2,), "settings": {**SETTINGS, "steps": 1}} if quick else {}
        )
        found = rows["batches"] = sizes_beside(box, rounds, finish=finish_of(device), **tried)
        for size, row in found["seconds_per_image"].items():
            over = found.get("over_best", []) if size == "auto" else []
            verdict = (spread(over), said(within([over], AUTO_LIMIT))) if over else ("", "")
            table.add_row(name, f"batch {size}", spread(row["all_s"], ".3f"), *verdict)
        console.print(f"  {name}, batches: auto settled at {found['settled']}, best {found['best']}")
        record("speed", settings, measured, results, known=known)
    if device == "cpu":  # as the command has it
        measured["start"] = from_the_start(repeats)
        for what, row in measured["start"].items():
            verdict = said(within([row["all_s"]], FROM_START)) if what == COMMAND else ""
            table.add_row("command line", what, spread(row["all_s"]), "", verdict)
    if not measured:
        raise typer.Exit(1)
    path = record("speed", settings, measured, results, known=known)
    console.print(table)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
