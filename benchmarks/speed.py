"""How long explaining takes: one image, batches, and the command line from its start.

Run with ``python -m benchmarks.speed``; ``--quick`` shows that it works.  One image is timed in turns with as many bare
runs of the model, at a batch of 1, as its result counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, record
from benchmarks.models.efficientnet_lite0 import pytorch_box
from benchmarks.overhead import BARE, Backend
from blackbox_explain import explain, load_images, wrap
from blackbox_explain.samples import CAT, COFFEE

__all__ = ["many_images", "one_image", "summary"]

Device = Literal["cpu", "cuda"]

BACKENDS: dict[str, Backend] = {"ONNX Runtime": "onnx", "PyTorch": "torch"}
PRESETS = ("quick", "fast", "thorough")
BATCHES = (1, 2, 4, 8, 16, 32)

console = Console(width=110, highlight=False)


def summary(seconds: list[float]) -> dict[str, Any]:
    """Return the median of some timings, with all of them."""
    return {"median_s": float(np.median(seconds)), "all_s": [round(one, 6) for one in seconds]}


def timed(call: Callable[[], Any], repeats: int) -> list[float]:
    """Return the seconds of each call, after one that is not counted."""
    call()
    found: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return found


def boxes(device: Device, threads: int | None) -> dict[str, Any]:
    """Return the same network by ONNX Runtime and by PyTorch."""
    if threads:
        torch.set_num_threads(threads)
    return {"ONNX Runtime": wrap("efficientnet-lite0", device=device, threads=threads), "PyTorch": pytorch_box(device)}


def one_image(box: Any, backend: Backend, preset: str, repeats: int, **settings: Any) -> dict[str, Any]:
    """Time `explain` of one image in turns with its evaluations of the model alone, at a batch of 1."""
    image = load_images([COFFEE], box.spec)
    result = explain(box, image, preset=preset, progress=False, **settings)
    scores, gradients = (int(one) for one in result.queries[0])
    native = box.native(image)
    weights = box.native(result.weights.astype(np.float32))
    gradient = BARE[backend](box, native, weights)  # past the box, which may run an image as a pair

    def whole() -> None:
        explain(box, image, preset=preset, progress=False, **settings)

    def bare() -> None:
        for _ in range(scores):
            box.scores(native)
        for _ in range(gradients):
            gradient()

    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for place, call in enumerate((whole, bare)):
            times[place] += timed_once(call)
    ratios = [ours / model for ours, model in zip(*times, strict=True)]
    return {
        "scores": scores,
        "gradients": gradients,
        "explain": summary(times[0]),
        "model_alone": summary(times[1]),
        "ratio": float(np.median(ratios)),
        "all_ratios": ratios,
    }


def timed_once(call: Callable[[], Any]) -> list[float]:
    """Return the seconds of one call."""
    started = time.perf_counter()
    call()
    return [time.perf_counter() - started]


def many_images(box: Any, batch: int | Literal["auto"], count: int, repeats: int, **settings: Any) -> dict[str, Any]:
    """Time `explain` of several images, so many together."""
    photos = load_images([CAT, COFFEE], box.spec)
    images = np.concatenate([photos] * -(-count // 2))[:count]
    seconds = timed(lambda: explain(box, images, batch_size=batch, progress=False, **settings), repeats)
    per_image = [one / count for one in seconds]
    return {"batch": batch, "images": count, "seconds_per_image": summary(per_image)}


def from_the_start(repeats: int) -> dict[str, Any]:
    """Time ``blackbox-explain explain coffee.jpg``, and the import alone, each in a process of its own."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "blackbox_explain", "explain", str(COFFEE), "--out", folder, "--quiet"]
        for name, args in (
            ("explain coffee.jpg", command),
            ("import", [sys.executable, "-c", "import blackbox_explain"]),
        ):

            def run(args: list[str] = args) -> None:
                subprocess.run(args, check=True, capture_output=True)

            found[name] = summary(timed(run, repeats))
    return found


def main(
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    threads: Annotated[int | None, typer.Option(help="That the model may use; None: as many as it likes.")] = None,
    repeats: Annotated[int, typer.Option(help="Of each timing.")] = 7,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Time one image, batches, and the command line."""
    few: dict[str, Any] = {"steps": 1} if quick else {}
    repeats = 1 if quick else repeats
    presets, batches = (("quick",), (1,)) if quick else (PRESETS, BATCHES)
    settings = {"device": device, "quick": quick, "threads": threads, "repeats": repeats}
    measured: dict[str, Any] = {}
    table = Table("by", "what", "s / image", "of the model alone")
    path = None
    for name, box in boxes(device, threads).items():
        rows = measured[name] = {"one image": {}, "together": {}}
        for preset in presets:
            row = rows["one image"][preset] = one_image(box, BACKENDS[name], preset, repeats, **few)
            table.add_row(name, f"one image, {preset}", f"{row['explain']['median_s']:.3f}", f"{row['ratio']:.3f}")
        for batch in (*batches, "auto"):
            count = 2 if quick else 64 if batch == "auto" else max(16, int(batch))
            row = rows["together"][str(batch)] = many_images(box, batch, count, max(1, repeats // 2), **few)
            table.add_row(name, f"{count} images, batch {batch}", f"{row['seconds_per_image']['median_s']:.3f}", "")
            path = record("speed", settings, measured, results)
    measured["start"] = from_the_start(repeats)
    for what, row in measured["start"].items():
        table.add_row("command line", what, f"{row['median_s']:.2f}", "")
    path = record("speed", settings, measured, results)
    console.print(table)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
