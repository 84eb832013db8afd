"""What the learner's loop costs over the model itself: one step against one bare forward and backward, in one run.

Two figures: the time of the loop over as many bare runs of the model, side by side, which holds what the adapter adds
and is disturbed by whatever the machine does meanwhile; and the time that the loop spends outside of the black box, in
that inside, which is of one run and hardly disturbed.  Every repetition of both is stored.

Run with ``python -m benchmarks.overhead --backend torch``; ``--quick`` shows that it works.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.backends import Backend, Device, finish_of, present
from benchmarks.common.hardware import RESULTS, machine, record
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.loops import inside_of, learning_loop, paired
from benchmarks.common.timings import timed
from blackbox_explain.methods.mask.settings import PRESETS, PresetName, Settings

__all__ = ["BARE", "JUDGED", "TARGET", "measure"]

TARGET, JUDGED = 1.05, 16
"""The most that a step may cost, in bare model runs, and at which batch."""

BATCHES = (1, 8, 16)

Once = Callable[[], Any]
"""One bare run of the model, forward and backward."""

console = Console(width=140, highlight=False, markup=False)


def measure(
    backend: Backend, box: Any, preset: PresetName, batch: int, steps: int, repeats: int, device: Device = "cpu"
) -> dict[str, Any]:
    """Time `steps` steps of the loop against as many bare runs of the same model, forward and backward.

    On a GPU the time outside of the model is taken by runs of its own: to tell what is the model's, they wait for it
    after each gradient, as the loop need not.
    """
    loop, images, weights = learning_loop(box, Settings(preset, steps=steps), batch)
    once, finish = BARE[backend](box, images, weights), finish_of(device)
    beside = list[float]()

    def bare() -> None:
        for _ in range(steps):
            once()

    def watched() -> None:
        def whole() -> None:
            loop()
            finish()

        with inside_of(box, finish) as inside:
            took = timed(whole)
        beside.append(took / inside[0] - 1)

    found = paired(watched if device == "cpu" else loop, bare, repeats, finish=finish)
    if device != "cpu":
        for _ in range(repeats + 1):
            watched()
    told = found.to_dict("loop", "model", steps)
    kept = beside[1:]  # the first warms up
    return {
        "backend": backend,
        "preset": preset,
        "batch": batch,
        **told,
        "beside": float(np.median(kept)),
        "all_beside": kept,
    }


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
    steps: Annotated[int, typer.Option(help="Steps of one timing.")] = 2,
    repeats: Annotated[int, typer.Option(help="Pairs of timings.")] = 9,
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="As little as shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the folders of machines.")] = RESULTS,
) -> None:
    """Measure the overhead of the loop for several batches and every preset."""
    if quick:
        steps, repeats = 1, 1
    settings = {"device": device, "quick": quick, "steps": steps, "repeats": repeats}
    boxes = present((backend,), device, None, console.print)
    if backend not in boxes:
        raise typer.Exit(1)
    known = machine()  # now: what is committed meanwhile is not what runs
    rows: list[dict[str, Any]] = []
    heads = ("loop, ms / step", "model, ms / step", "ratio", "beside the model", f"at most {TARGET} at {JUDGED}")
    table = Table("backend", "preset", "batch", *heads)
    for preset in ("quick",) if quick else PRESETS:
        for batch in (1,) if quick else BATCHES:
            row = measure(backend, boxes[backend], preset, batch, steps, repeats, device)
            rows.append(row)
            ratios = ratios_of(row)
            verdict = said(within([ratios], TARGET)) if batch == JUDGED else ""
            times = (f"{row['loop_ms']:.1f}", f"{row['model_ms']:.1f}", spread(ratios, ".3f"), f"{row['beside']:.1%}")
            table.add_row(backend, preset, str(batch), *times, verdict)
            console.print(f"  {preset}, batch {batch}: {times[2]}")
            record(f"overhead-{backend}", settings, {"rows": rows}, results, known=known)
    console.print(machine()["processor"])
    console.print(table)
    path = record(f"overhead-{backend}", settings, {"rows": rows}, results, known=known)
    console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
