"""What the learner's loop costs over the model itself: one step against one bare forward and backward, in one run.

Two figures: the time of the loop over as many bare runs of the model, side by side, which holds what the adapter adds
and is disturbed by whatever the machine does meanwhile; and the time that the loop spends outside of the black box, in
that inside, which is of one run and hardly disturbed.

Run with ``python -m benchmarks.overhead``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from unittest.mock import patch

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common import machine, store
from benchmarks.models.efficientnet_lite0 import pytorch_box
from blackbox_explain import Blur, wrap
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.ranking import learn_ranking
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import PRESETS, PresetName, Settings
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.upsampling import make_upsampling, mask_shape_for
from blackbox_explain.perturbations.level_stack import LevelStack

TARGET = 1.05
"""The most that a step may cost, in bare model runs, at a batch of 16."""

Backend = Literal["torch", "onnx"]

console = Console(width=120, highlight=False)


def paired(
    first: Callable[[], None],
    second: Callable[[], None],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, float]:
    """Time two functions in turns; return the medians of both in seconds, and the median of the ratios of the pairs."""
    times = np.empty((repeats, 2))
    for repeat in range(-1, repeats):
        # Alternate who goes first; the first pair warms up and is not kept.
        for place in (0, 1) if repeat % 2 else (1, 0):
            started = clock()
            (first, second)[place]()
            times[max(repeat, 0), place] = clock() - started
    return float(np.median(times[:, 0])), float(np.median(times[:, 1])), float(np.median(times[:, 0] / times[:, 1]))


def measure(backend: Backend, preset: PresetName, batch: int, steps: int, repeats: int) -> dict[str, Any]:
    """Time `steps` steps of the loop against as many bare runs of the same model, forward and backward."""
    box: Any = pytorch_box() if backend == "torch" else wrap("efficientnet-lite0")
    settings = Settings(preset, steps=steps)
    spatial = box.spec.spatial
    cells = mask_shape_for(spatial)
    oracle = Oracle.of(box, batch, batch_size=batch)
    native = oracle.native
    images = native(np.random.default_rng(0).random((batch, *box.spec.shape), dtype=np.float32))
    weights = native(np.eye(1000, dtype=np.float32)[:batch])
    levels = Blur(levels_count=settings.blur_levels).levels(images, box.spec, 0)
    score = MaskedScore(
        oracle,
        make_upsampling(settings.upsampling, cells, spatial, images),
        LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spatial),
        LevelStack(levels, spatial),
        weights,
    )
    regularizer = Regularizer(settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, "deletion")
    start, ones = native(np.full((batch, *cells), 0.5, np.float32)), native(np.ones(batch, np.float32))
    ranks = native(np.random.default_rng(1).uniform(-1, 1, (batch, *cells)).astype(np.float32))
    once = bare_torch(box, images, weights) if backend == "torch" else bare_onnx(box, images, weights)

    def loop() -> None:
        if settings.learns == "ranking":
            learn_ranking(score, ranks, settings, 0, 0 * ones, ones)
        else:
            solve(score, start, regularizer, settings, 0, ones)

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

    ours, model, ratio = paired(watched, bare, repeats)
    return {
        "backend": backend,
        "preset": preset,
        "batch": batch,
        "loop_ms": ours / steps * 1e3,
        "model_ms": model / steps * 1e3,
        "ratio": ratio,
        "beside": float(np.median(beside[1:])),
    }


@contextmanager
def inside_of(box: Any) -> Generator[list[float]]:
    """Count the seconds that are spent in the black box's gradients, in the one number of the list."""
    real, seconds = type(box).scores_and_gradient, [0.0]

    def timed(self: Any, images: Any, weights: Any) -> Any:
        started = time.perf_counter()
        answer = real(self, images, weights)
        seconds[0] += time.perf_counter() - started
        return answer

    with patch.object(type(box), "scores_and_gradient", timed):
        yield seconds


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
    console.print(f"stored in {store(f'overhead-{backend}', {'steps': steps, 'repeats': repeats, 'rows': rows}).name}")


if __name__ == "__main__":
    typer.run(main)
