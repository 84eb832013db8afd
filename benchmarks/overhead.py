"""What the learner's loop costs over the model itself: one step against one bare forward and backward, in one run.

Two figures: the time of the loop over as many bare runs of the model, side by side, which holds what the adapter adds
and is disturbed by whatever the machine does meanwhile; and the time that the loop spends outside of the black box, in
that inside, which is of one run and hardly disturbed.

Run with ``python -m benchmarks.overhead --backend torch``; ``--quick`` shows that it works.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import RESULTS, machine, record
from benchmarks.common.loops import inside_of, learning_loop, paired
from benchmarks.models.efficientnet_lite0 import pytorch_box
from blackbox_explain import wrap
from blackbox_explain.methods.mask.settings import PRESETS, PresetName, Settings

TARGET = 1.05
"""The most that a step may cost, in bare model runs, at a batch of 16."""

BATCHES = (1, 8, 16)

Backend = Literal["torch", "onnx", "tensorflow"]
Device = Literal["cpu", "cuda"]
Once = Callable[[], Any]
"""One bare run of the model, forward and backward."""

console = Console(width=120, highlight=False)


def measure(
    backend: Backend, box: Any, preset: PresetName, batch: int, steps: int, repeats: int, device: Device = "cpu"
) -> dict[str, Any]:
    """Time `steps` steps of the loop against as many bare runs of the same model, forward and backward."""
    loop, images, weights = learning_loop(box, Settings(preset, steps=steps), batch)
    once = BARE[backend](box, images, weights)
    finish: Once = torch.cuda.synchronize if device == "cuda" else lambda: None

    def bare() -> None:
        for _ in range(steps):
            once()
        finish()

    beside = list[float]()

    def watched() -> None:
        with inside_of(box) as inside:
            started = time.perf_counter()
            loop()
            finish()
            took = time.perf_counter() - started
        beside.append(took / inside[0] - 1)

    found = paired(watched, bare, repeats).to_dict("loop", "model", steps)
    return {"backend": backend, "preset": preset, "batch": batch, **found, "beside": float(np.median(beside[1:]))}


def box_of(backend: Backend, device: Device) -> Any:
    """Return the same network by each backend."""
    if backend == "tensorflow":
        from benchmarks.models.efficientnet_lite0_keras import keras_box

        return keras_box()
    return pytorch_box(device) if backend == "torch" else wrap("efficientnet-lite0", device=device)


def bare_torch(box: Any, images: Any, weights: Any) -> Once:
    """Return one forward and backward run of the module alone."""
    inputs = box.spec.preprocessing.forward(images).contiguous(memory_format=torch.channels_last)

    def once() -> Any:
        leaf = inputs.detach().requires_grad_()
        return torch.autograd.grad((torch.softmax(box.module(leaf), dim=1) * weights).sum(), leaf)

    return once


def bare_onnx(box: Any, images: Any, weights: Any) -> Once:
    """Return one run of the gradient graph: the adapter adds a tenth of a millisecond to its session.

    The session is the one that the loop uses: the threads of another would spin beside it.
    """
    return lambda: box.scores_and_gradient(images, weights)


def bare_tensorflow(box: Any, images: Any, weights: Any) -> Once:
    """Return one compiled run of the Keras model and its gradient, on tensors that are there already."""
    import tensorflow as tf

    from benchmarks.models.efficientnet_lite0_keras import keras_network

    network, rules = keras_network(), box.spec.preprocessing
    given, chosen = tf.constant(np.moveaxis(np.asarray(images), 1, -1)), tf.constant(np.asarray(weights))

    def run(inputs: Any, wanted: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            logits = network((inputs - rules.mean) / rules.std, training=False)
            scores = tf.reduce_sum(tf.nn.softmax(logits) * wanted)
        return tape.gradient(scores, inputs)

    compiled: Any = tf.function(run, autograph=False)
    return lambda: compiled(given, chosen).numpy()


BARE: dict[Backend, Callable[[Any, Any, Any], Once]] = {
    "torch": bare_torch,
    "onnx": bare_onnx,
    "tensorflow": bare_tensorflow,
}


def main(
    backend: Annotated[Backend, typer.Option(help="Who runs the model.")] = "onnx",
    steps: Annotated[int, typer.Option(help="Steps of one timing.")] = 10,
    repeats: Annotated[int, typer.Option(help="Pairs of timings.")] = 9,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure the overhead of the loop for several batches and every preset."""
    if quick:
        steps, repeats = 1, 1
    settings = {"device": device, "quick": quick, "steps": steps, "repeats": repeats}
    box = box_of(backend, device)
    rows = [
        measure(backend, box, preset, batch, steps, repeats, device)
        for preset in (("quick",) if quick else PRESETS)
        for batch in ((1,) if quick else BATCHES)
    ]
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
    path = record(f"overhead-{backend}", settings, {"rows": rows}, results)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
