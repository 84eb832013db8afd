"""What methods cost over the model runs that they count, and beside the peers that offer them: paired, in one run.

Run with ``python -m benchmarks.methods_speed`` on a machine that does nothing else: times are those of the clock on the
wall.  Captum is needed for its occlusion.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.hardware import machine, record
from benchmarks.common.judged import ratios_of, said, spread, within
from benchmarks.common.loops import paired
from benchmarks.models.efficientnet_lite0 import pytorch_box
from blackbox_explain import BlackBox, wrap
from blackbox_explain.box.batches.sizes import BATCH
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.methods.forms import form_of
from blackbox_explain.methods.occlusions import Occlusion, Rise
from blackbox_explain.methods.rewritten import Lrp

TARGET, TO_PEER = 1.10, 1.0
"""The most that a method may cost: in bare runs of the model, and in what a peer takes."""

RULES = {
    "guided-backprop": "guided",
    "deconvnet": "deconvnet",
    "excitation-backprop": "excitation",
    "contrastive-excitation-backprop": "contrastive-excitation",
    "lrp": "lrp-composite",
}
"""Sets of rules by the methods whose gradient passes by them."""

ONCE = ("gradient", "gradient-times-input", "grad-cam", "grad-cam++", "layer-cam", "cam", *RULES)
"""Methods of one or two gradients."""

LOOPS: dict[str, dict[str, int]] = {
    "smoothgrad": {"samples": 25},
    "integrated-gradients": {"steps": 25},
    "blur-integrated-gradients": {"steps": 25},
    "extremal-perturbation": {"steps": 50},
}
"""Methods of many gradients, with how many: fewer than their defaults, enough for what is done once to be little."""

OF_LOOP = 64
"""Masks of the plain loop at a time, with which it is faster than with fewer."""

MASKS, SIDE, STRIDE = 192, 32, 16
"""Of RISE and of occlusion."""

TURNS = 3
"""Times that methods of few gradients are repeated in one timing."""

CLOCK = time.perf_counter

console = Console(width=130, highlight=False, markup=False)


def asked(box: Any, batch: int) -> tuple[Oracle, Any, Any]:
    """Return images and targets of a batch, in the library of the box, and an oracle that knows the images' scores."""
    oracle = Oracle.of(box, batch, batch_size=batch)
    oracle.limit.images = max(batch, BATCH)  # as `explain` asks on a CPU
    images = oracle.native(np.random.default_rng(0).random((batch, *box.spec.shape), dtype=np.float32))
    weights = oracle.native(np.eye(1000, dtype=np.float32)[:batch])
    return replace(oracle, originals=box.scores(images)), images, weights


def by_gradients(box: Any, name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Time a method against as many bare gradients, and scores, as it counts."""
    oracle, images, weights = asked(box, batch)
    method = method_of(name, LOOPS.get(name, {}))
    method.explain(oracle, images, weights, 0)  # graphs of layers and rules are made when they are first asked for
    before = oracle.queries.copy()
    method.explain(oracle, images, weights, 0)
    scores, gradients = (int(one) for one in (oracle.queries - before)[0])

    turns = 1 if name in LOOPS else TURNS

    def whole() -> None:
        for _ in range(turns):
            method.explain(oracle, images, weights, 0)

    def bare(asked: Any) -> Callable[[], None]:
        def runs() -> None:
            for _ in range(turns * scores):
                box.scores(images)
            for _ in range(turns * gradients):
                asked.scores_and_gradient(images, weights)

        return runs

    found: dict[str, Any] = {"method": name, "batch": batch, "scores": scores, "gradients": gradients}
    found |= paired(whole, bare(box), repeats, CLOCK).to_dict("method", "bare", turns)
    console.print(f"  {name}: {found['ratio']:.2f}")
    if name in RULES:
        settings = {"epsilon": method.epsilon} if isinstance(method, Lrp) else {}
        form = form_of(box, RULES[name], "logits", **settings)
        own = paired(whole, bare(form), repeats, CLOCK).to_dict("method", "bare", turns)
        found |= {"of_own_rules": own["ratio"], "own_rules": own}
    return found


def masked(images: Any, masks: Any, at_once: int = BATCH) -> list[Any]:
    """Return images under masks, in batches as the methods ask for them, or of another size."""
    return [
        np.ascontiguousarray(0.5 + masks[first : first + at_once, None] * (images - 0.5), np.float32)
        for first in range(0, len(masks), at_once)
    ]


def by_scores(box: Any, method: Rise | Occlusion, repeats: int) -> dict[str, Any]:
    """Time RISE or occlusion of one image against bare scores of as many images in the same batches."""
    oracle, images, weights = asked(box, 1)
    count = method.budget(oracle.info).most - 1
    masks = np.random.default_rng(1).random((count, *box.spec.spatial), np.float32)
    batches = [oracle.native(one) for one in masked(np.asarray(images), masks)]

    def bare() -> None:
        for one in batches:
            box.scores(one)

    def whole() -> None:
        method.explain(oracle, images, weights, 0)

    return {"method": method.name, "runs": count, **paired(whole, bare, repeats, CLOCK).to_dict("method", "bare")}


def plain_rise(box: BlackBox, image: Any, weights: Any) -> Any:
    """Compute RISE by a plain loop: masks by bilinear upsampling and a crop, images under them, a weighted mean."""
    rng = np.random.default_rng(0)
    cell = math.ceil(box.spec.spatial[0] / 7)
    total = np.zeros(box.spec.spatial)
    for first in range(0, MASKS, OF_LOOP):
        count = min(OF_LOOP, MASKS - first)
        grids = torch.tensor((rng.random((count, 1, 8, 8)) < 0.5).astype(np.float32))
        large = torch.nn.functional.interpolate(grids, size=(8 * cell,) * 2, mode="bilinear").numpy()[:, 0]
        shifts = rng.integers(0, cell, (count, 2))
        masks = np.stack(
            [
                one[y : y + box.spec.spatial[0], x : x + box.spec.spatial[1]]
                for one, (y, x) in zip(large, shifts, strict=True)
            ]
        )
        scores = np.asarray(box.scores(masked(image, masks, OF_LOOP)[0])) @ weights[0]
        total += np.tensordot(scores, masks, 1)
    return total / (MASKS * 0.5)


def captum_occlusion(box: Any, image: Any) -> Callable[[], Any]:
    """Return Captum's occlusion of the same module, by the same squares in batches of the same size."""
    attribution: Any = import_module("captum.attr")
    inputs = box.spec.preprocessing.forward(torch.tensor(image)).contiguous(memory_format=torch.channels_last)
    grey = box.spec.preprocessing.forward(torch.full_like(torch.tensor(image), 0.5))
    explainer = attribution.Occlusion(lambda given: torch.softmax(box.module(given), dim=1))

    def once() -> Any:
        with torch.no_grad():
            return explainer.attribute(
                inputs,
                target=0,
                baselines=grey,
                sliding_window_shapes=(3, SIDE, SIDE),
                strides=(3, STRIDE, STRIDE),
                perturbations_per_eval=BATCH,
            )

    return once


def beside_peers(repeats: int) -> list[dict[str, Any]]:
    """Time RISE against a plain loop, and occlusion by ONNX Runtime and by PyTorch against Captum's."""
    onnx, module = wrap("efficientnet-lite0"), pytorch_box()
    _, image, weights = asked(onnx, 1)
    peer = captum_occlusion(module, image)
    rise, occlusion = Rise(masks=MASKS), Occlusion(side=SIDE, stride=STRIDE)
    pairs: list[tuple[str, Any, Any, Callable[[], Any]]] = [
        ("occlusion, PyTorch, and Captum on PyTorch", module, occlusion, peer),
        (
            "RISE, ONNX Runtime, and a plain loop on the same session",
            onnx,
            rise,
            lambda: plain_rise(onnx, image, weights),
        ),
        ("occlusion, ONNX Runtime, and Captum on PyTorch", onnx, occlusion, peer),
    ]
    found: list[dict[str, Any]] = []
    for what, box, method, other in pairs:
        oracle, images, chosen = asked(box, 1)

        def ours(method: Any = method, args: Any = (oracle, images, chosen, 0)) -> None:
            method.explain(*args)

        def peers(other: Callable[[], Any] = other) -> None:
            other()

        found.append({"what": what, **paired(ours, peers, repeats, CLOCK).to_dict("ours", "peer")})
    return found


def main(
    batch: Annotated[int, typer.Option(help="Images explained together.")] = 2,
    repeats: Annotated[int, typer.Option(help="Pairs of timings.")] = 7,
) -> None:
    """Measure what methods cost over the runs of EfficientNet-Lite0 that they count, by ONNX Runtime."""
    # First: what a process has held before decides how quickly PyTorch's arrays are made, of ours and of peers.
    peers = beside_peers(repeats)
    box = wrap("efficientnet-lite0")
    rows = [by_gradients(box, name, batch, repeats) for name in (*ONCE, *LOOPS)]
    table = Table("method", "scores", "gradients", "ms", "bare, ms", "ratio", "of its own rules", f"at most {TARGET}")
    for row in rows:
        own = f"{row['of_own_rules']:.2f}" if "of_own_rules" in row else ""
        times = (f"{row['method_ms']:.0f}", f"{row['bare_ms']:.0f}", spread(ratios_of(row)), own)
        table.add_row(row["method"], str(row["scores"]), str(row["gradients"]), *times, _verdict(row, TARGET))
    masks = [by_scores(box, one, repeats) for one in (Rise(masks=MASKS), Occlusion(side=SIDE, stride=STRIDE))]
    for row in masks:
        times = (f"{row['method_ms']:.0f}", f"{row['bare_ms']:.0f}", spread(ratios_of(row)), "")
        table.add_row(row["method"], str(row["runs"]), "", *times, _verdict(row, TARGET))
    console.print(machine()["processor"])
    console.print(table)
    beside = Table("beside a peer", "ours, ms", "peer, ms", "ratio", f"at most {TO_PEER:.0f}")
    for row in peers:
        times = (f"{row['ours_ms']:.0f}", f"{row['peer_ms']:.0f}", spread(ratios_of(row)))
        beside.add_row(row["what"], *times, _verdict(row, TO_PEER))
    console.print(beside)
    measured = {"gradients": rows, "scores": masks, "peers": peers}
    path = record("methods-speed", {"batch": batch, "repeats": repeats}, measured)
    console.print(f"stored in {path.parent.name}/{path.name}")


def _verdict(row: dict[str, Any], most: float) -> str:
    return said(within([ratios_of(row)], most))


if __name__ == "__main__":
    typer.run(main)
