"""What the learner's loop costs over the model itself: one step against one bare forward and backward, in one run.

Two figures: the time of the loop over as many bare runs of the model, side by side, which holds what the adapter adds
and is disturbed by whatever the machine does meanwhile; and the time that the loop spends outside of the black box, in
that inside, which is of one run and hardly disturbed.

Run with ``python -m benchmarks.overhead``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import machine, record
from benchmarks.common.loops import inside_of, learning_loop, paired
from benchmarks.models.efficientnet_lite0 import pytorch_box
from blackbox_explain import wrap
from blackbox_explain.methods.mask.settings import PRESETS, PresetName, Settings

TARGET = 1.05
"""The most that a step may cost, in bare model runs, at a batch of 16."""

Backend = Literal["torch", "onnx"]

console = Console(width=120, highlight=False)


def measure(backend: Backend, preset: PresetName, batch: int, steps: int, repeats: int) -> dict[str, Any]:
    """Time `steps` steps of the loop against as many bare runs of the same model, forward and backward."""
    box: Any = pytorch_box() if backend == "torch" else wrap("efficientnet-lite0")
    loop, images, weights = learning_loop(box, Settings(preset, steps=steps), batch)
    once = bare_torch(box, images, weights) if backend == "torch" else bare_onnx(box, images, weights)

    def bare() -> None:
        for _ in range(steps):
            once()

    beside = list[float]()

    def watched() -> None:
        with inside_of(box) as inside:
            started = time.perf_counter()
            loop()
            took = time.perf_counter() - started
        beside.append(took / inside[0] - 1)

    found = paired(watched, bare, repeats).to_dict("loop", "model", steps)
    return {"backend": backend, "preset": preset, "batch": batch, **found, "beside": float(np.median(beside[1:]))}


def bare_torch(box: Any, images: Any, weights: Any) -> Callable[[], Any]:
    """Return one forward and backward run of the module alone."""
    inputs = box.spec.preprocessing.forward(images).contiguous(memory_format=torch.channels_last)

    def once() -> Any:
        leaf = inputs.detach().requires_grad_()
        return torch.autograd.grad((torch.softmax(box.module(leaf), dim=1) * weights).sum(), leaf)

    return once


def bare_onnx(box: Any, images: Any, weights: Any) -> Callable[[], Any]:
    """Return one run of the gradient graph: the adapter adds a tenth of a millisecond to its session.

    The session is the one that the loop uses: the threads of another would spin beside it.
    """
    return lambda: box.scores_and_gradient(images, weights)


def main(
    backend: Annotated[Backend, typer.Option(help="Who runs the model.")] = "onnx",
    steps: Annotated[int, typer.Option(help="Steps of one timing.")] = 10,
    repeats: Annotated[int, typer.Option(help="Pairs of timings.")] = 9,
) -> None:
    """Measure the overhead of the loop for batches of 1, 8 and 16 and every preset."""
    rows = [measure(backend, preset, batch, steps, repeats) for preset in PRESETS for batch in (1, 8, 16)]
    table = Table(
        "backend",
        "preset",
        "batch",
        "loop, ms / step",
        "model, ms / step",
        "ratio",
        "beside the model",
        f"ratio at most {TARGET} at 16",
    )
    for row in rows:
        verdict = ("met" if row["ratio"] <= TARGET else "MISSED") if row["batch"] == 16 else ""
        times = (f"{row['loop_ms']:.1f}", f"{row['model_ms']:.1f}", f"{row['ratio']:.3f}")
        table.add_row(row["backend"], row["preset"], str(row["batch"]), *times, f"{row['beside']:.1%}", verdict)
    console.print(machine()["processor"])
    console.print(table)
    path = record(f"overhead-{backend}", {"steps": steps, "repeats": repeats}, {"rows": rows})
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
