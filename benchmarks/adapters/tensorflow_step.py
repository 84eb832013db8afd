"""A step of the loop around a Keras model, against the same algorithm written by hand in TensorFlow.

Both learn the masks of preset ``authors`` for a batch of 16 with EfficientNet-Lite0, in turns, from the same start with
the same jitter.  By hand, all of a step is one ``tf.function``: mask, upsampling, mix, crop, regularizer, network,
gradient and Adam.

Run with ``python -m benchmarks.adapters.tensorflow_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import machine, record
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.loops import paired
from benchmarks.models.efficientnet_lite0_keras import keras_network
from blackbox_explain import Blur, InputSpec, wrap
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.mask.jitter import canvas, offset_at
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.upsampling import make_upsampling, mask_shape_for
from blackbox_explain.perturbations.level_stack import LevelStack

TARGET = 1.10
"""The most that our step may cost, in steps by hand, at a batch of 16."""

BATCH = 16

console = Console(width=120, highlight=False, markup=False)

Learn = Callable[[], np.ndarray[Any, Any]]
"""Returns the masks (N, *cells) after all steps."""


def by_us(network: Any, spec: InputSpec, levels: np.ndarray[Any, Any], settings: Settings) -> Learn:
    """Return the loop of the package."""
    box = wrap(network, spec=spec, activation="softmax")
    moving = LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spec.spatial)
    cells = mask_shape_for(spec.spatial)
    upsampling = make_upsampling(settings.upsampling, cells, spec.spatial, levels)
    weights = np.eye(1000, dtype=np.float32)[:BATCH]
    score = MaskedScore(
        Oracle.of(box, BATCH, batch_size=BATCH), upsampling, moving, LevelStack(levels, spec.spatial), weights
    )
    regularizer = Regularizer(settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, "deletion")
    start, ones = np.full((BATCH, *cells), 0.5, np.float32), np.ones(BATCH, np.float32)
    return lambda: solve(score, start, regularizer, settings, 0, ones).mask


def by_hand(network: Any, spec: InputSpec, levels: np.ndarray[Any, Any], settings: Settings) -> Learn:
    """Return what an engineer would write for this one model, preset and framework, channels last throughout."""
    rules, size = spec.preprocessing, spec.spatial[0]
    cells = mask_shape_for(spec.spatial)[0]
    moving = np.moveaxis(canvas(levels, settings.jitter_kind, settings.jitter), 2, -1)
    low, change = tf.constant(moving[0]), tf.constant(moving[1] - moving[0])
    maps = make_upsampling(settings.upsampling, (cells, cells), (size, size), levels)
    smooth, nearest = tf.constant(maps.matrices[0]), tf.constant(maps.backward[0])
    weights = tf.eye(BATCH, 1000)
    mask = tf.Variable(tf.fill((BATCH, cells, cells), 0.5))
    first, second = tf.Variable(tf.zeros_like(mask)), tf.Variable(tf.zeros_like(mask))

    def upsampled(matrix: tf.Tensor) -> tf.Tensor:
        return tf.einsum("yi,nij,xj->nyx", matrix, mask, matrix)

    def step(offset: Any, count: Any) -> None:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(mask)
            plain = upsampled(nearest)
            # The authors' gradient goes back by the nearest neighbour alone.
            whole = plain + tf.stop_gradient(upsampled(smooth) - plain)
            begin, window = tf.concat([[0], offset, [0]], axis=0), (BATCH, size, size, 3)
            images = tf.slice(low, begin, window) + whole[..., None] * tf.slice(change, begin, window)
            inputs = (images - rules.mean) / rules.std
            scores = tf.reduce_sum(tf.nn.softmax(network(inputs, training=False)) * weights, axis=1)
            down = tf.pad(mask[:, 1:] - mask[:, :-1], [[0, 0], [0, 1], [0, 0]])
            right = tf.pad(mask[:, :, 1:] - mask[:, :, :-1], [[0, 0], [0, 0], [0, 1]])
            # β is 3; the root of zero has no slope, so that it is taken of what is a little above.
            variation = tf.reduce_sum((down**2 + right**2 + 1e-20) ** (settings.tv_beta / 2), axis=(1, 2))
            area = tf.reduce_sum(1 - mask, axis=(1, 2))
            objective = settings.area_weight * area + settings.tv_weight * variation + scores
        gradient: Any = tape.gradient(objective, mask)
        first.assign(settings.beta1 * first + (1 - settings.beta1) * gradient)
        second.assign(settings.beta2 * second + (1 - settings.beta2) * gradient**2)
        mean = first / (1 - settings.beta1**count)
        spread = tf.sqrt(second / (1 - settings.beta2**count))
        mask.assign(tf.clip_by_value(mask - settings.learning_rate * mean / (spread + 1e-8), 0.0, 1.0))

    signature = [tf.TensorSpec((2,), tf.int32), tf.TensorSpec((), tf.float32)]
    compiled: Any = tf.function(step, input_signature=signature, autograph=False)

    def learn() -> np.ndarray[Any, Any]:
        mask.assign(tf.fill(mask.shape, 0.5))
        for moment in (first, second):
            moment.assign(tf.zeros_like(moment))
        for count in range(1, settings.steps + 1):
            offset = offset_at(0, count, settings.jitter, 2)
            compiled(tf.constant(offset, tf.int32), tf.constant(count, tf.float32))
        return mask.numpy()

    return learn


def main(
    steps: Annotated[int, typer.Option(help="Steps of one timing.")] = 10,
    repeats: Annotated[int, typer.Option(help="Pairs of timings.")] = 9,
) -> None:
    """Measure both, and hold their masks against each other."""
    spec: InputSpec = wrap("efficientnet-lite0").spec
    settings = Settings("authors", steps=steps)
    network = keras_network()
    images = np.random.default_rng(0).random((BATCH, *spec.shape), dtype=np.float32)
    levels = Blur(levels_count=settings.blur_levels).levels(images, spec, 0)
    ours, theirs = (make(network, spec, levels, settings) for make in (by_us, by_hand))
    apart = float(np.abs(ours() - theirs()).max())
    found = paired(lambda: _run(ours), lambda: _run(theirs), repeats).to_dict("ours", "by_hand", steps)
    table = Table(
        "preset", "batch", "ours, ms / step", "by hand, ms / step", "ratio", f"at most {TARGET}", "masks differ"
    )
    ratios = ratios_of(found)
    verdict = said(within([ratios], TARGET))
    times = (f"{found['ours_ms']:.1f}", f"{found['by_hand_ms']:.1f}", spread(ratios, ".3f"))
    table.add_row("authors", str(BATCH), *times, verdict, f"{apart:.1e}")
    console.print(machine()["processor"])
    console.print(table)
    row = {"preset": "authors", "batch": BATCH, **found, "masks_differ": apart}
    path = record("tensorflow-step", {"steps": steps, "repeats": repeats, "target": TARGET}, {"rows": [row]})
    console.print(f"stored in {path.parent.name}/{path.name}")


def _run(learn: Learn) -> None:
    learn()


if __name__ == "__main__":
    typer.run(main)
