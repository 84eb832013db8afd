"""How much memory explaining takes, by the batch, the steps and the number of images: each in a process of its own.

Run with ``python -m benchmarks.memory``.  Memory is to grow with the batch, and neither with steps nor with images that
stream through, of which the last takes as long as the first.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, record

__all__ = ["COLUMNS", "peak_of", "told"]

Device = Literal["cpu", "cuda"]

BATCHES, STEPS = (1, 2, 4, 8, 16, 32), (10, 40, 160)
"""What is varied, the others at a batch of 4, 10 steps and 4 images."""

IMAGES = {"onnx": (16, 256, 10_000), "torch": (16, 64, 256)}
"""At a batch of 16 and one step, which is as good as any to show what many images do."""

REPETITIONS, LONG = 3, 1_000
"""Of each measurement; one of so many images is made once."""

COLUMNS = ("batch", "steps", "images", "peak, MiB", "seconds per image", "last tenth / first")
"""Of tables."""

console = Console(width=100, highlight=False)


def peak_of(
    backend: str, batch: int, steps: int, images: int, device: Device = "cpu", repetitions: int = 1
) -> dict[str, Any]:
    """Explain so many images, a batch after the other, in a new process; return its peak memory in MiB.

    On a GPU that of the GPU, as PyTorch counts it, is told beside that of the process. Of several repetitions the
    median of each figure is returned, and all of them as ``runs``.

    Raises
    ------
    subprocess.CalledProcessError
        If that process fails.
    """
    command = [sys.executable, "-m", "benchmarks.memory", "--one", json.dumps([backend, batch, steps, images, device])]
    runs: list[dict[str, float]] = []
    for _ in range(repetitions):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    return {"batch": batch, "steps": steps, "images": images, **medians, "runs": runs}


def explain_here(backend: str, batch: int, steps: int, images: int, device: Device) -> dict[str, float]:
    """Explain noise in this process, throwing results away as of a stream; return peak memory and time for an image."""
    from blackbox_explain import explain, wrap

    if backend == "torch":
        from benchmarks.models.efficientnet_lite0 import pytorch_box

        box: Any = pytorch_box(device)
    else:
        box = wrap("efficientnet-lite0", device=device)
    before, times = _peak_mib(), [time.monotonic()]
    for first in range(0, images, batch):
        rows = min(batch, images - first)
        noise = np.random.default_rng(first).random((rows, *box.spec.shape), dtype=np.float32)
        explain(box, noise, steps=steps, batch_size=batch, progress=False)
        times.append(time.monotonic())
    each = np.diff(times) / batch
    found = {"before_mib": before, "peak_mib": _peak_mib(), "seconds_per_image": float(np.mean(each))}
    tenth = max(1, len(each) // 10)
    found["last_tenth_over_first"] = float(np.median(each[-tenth:]) / np.median(each[:tenth]))
    if backend == "torch" and device == "cuda":
        import torch

        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def told(row: dict[str, Any]) -> list[str]:
    """Return what was measured as the cells of `COLUMNS`."""
    numbers = [str(row[key]) for key in ("batch", "steps", "images")]
    times = [f"{row[key]:.2f}" for key in ("seconds_per_image", "last_tenth_over_first")]
    return [*numbers, f"{row['peak_mib']:.0f}", *times]


def _peak_mib() -> float:
    """Return the peak of this process: what getrusage tells on Linux counts that of the process that began it too."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Vary batch, steps and images, and state the peak memory of each process."""
    if one is not None:
        print(json.dumps(explain_here(*json.loads(one))))
        return
    batches, steps = ((1, 2), (1,)) if quick else (BATCHES, STEPS)
    few = 1 if quick else 10
    measured: dict[str, Any] = {}
    table = Table("by", "varied", *COLUMNS)
    for backend in ("onnx", "torch"):
        rows = measured[backend] = {"batch": [], "steps": [], "images": []}
        runs = [("batch", (size, few, size)) for size in batches]
        runs += [("steps", (min(4, few), count, min(4, few))) for count in steps]
        runs += [("images", (1, 1, 2))] if quick else [("images", (16, 1, count)) for count in IMAGES[backend]]
        for varied, (batch, count, total) in runs:
            repetitions = 1 if quick or total >= LONG else REPETITIONS
            row = peak_of(backend, batch, count, total, device, repetitions)
            rows[varied].append(row)
            table.add_row(backend, varied, *told(row))
            record("memory", {"device": device, "quick": quick}, measured, results)
    path = record("memory", {"device": device, "quick": quick}, measured, results)
    console.print(table)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
