"""Speed of ONNX gradients: against PyTorch's forward and backward, and against ONNX Runtime's own forward.

Run with ``python -m benchmarks.adapters.onnx_gradient``; every ratio is of times taken in turn, in rounds.  What is
aimed at is told against the layout in which PyTorch is the faster one, network by network.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.backends import finish_of
from benchmarks.common.hardware import machine, record
from benchmarks.common.judged import said, spread, within
from benchmarks.common.photos import data_folder
from benchmarks.common.timings import in_rounds
from benchmarks.models.efficientnet_lite0 import network as efficientnet
from benchmarks.models.networks import MobileNetV3, ResNet18, exported, googlenet
from blackbox_explain import Differentiable, InputSpec, wrap
from blackbox_explain.errors import BackendMissingError, InputError

__all__ = ["GOAL", "LAYOUTS", "over_faster"]

console = Console(width=150, highlight=False, markup=False)

GOAL, TO_FORWARD = 0.7, 4.0
"""The most that a gradient may take: in those of PyTorch in its faster layout, and in forward runs."""

LAYOUTS = {"torch": "NCHW", "channels_last": "NHWC"}
"""Of PyTorch, by the keys of rows."""


@dataclass(frozen=True)
class Pair:
    """One network twice: in PyTorch, and by ONNX Runtime."""

    torch: Differentiable
    onnx: Differentiable


def pairs(device: str) -> dict[str, Pair]:
    """Return the networks that are compared, on one device."""
    spec = InputSpec((3, 224, 224))
    torch.manual_seed(0)
    residual, mobile = (made().eval().requires_grad_(False) for made in (ResNet18, MobileNetV3))
    own: Any = wrap("efficientnet-lite0", cache=False, device=device)
    found = {"efficientnet-lite0": Pair(_torch(efficientnet(), own.spec, "softmax", device), own)}
    for name, made in (("mobilenet-v3", mobile), ("resnet-18", residual)):
        model = exported(made, spec.shape)
        found[name] = Pair(_torch(made, spec, "softmax", device), _onnx(model, spec, "softmax", device))
    path = data_folder() / "googlenet" / "googlenet_bvlc.onnx"
    if path.is_file():
        found["googlenet"] = Pair(
            _torch(googlenet(path), spec, "none", device), _onnx(onnx.load(path), spec, "none", device)
        )
    return found


def _torch(model: torch.nn.Module, spec: InputSpec, activation: Any, device: str) -> Differentiable:
    box: Any = wrap(model.to(device), spec=spec, activation=activation, channels_last=True, device=device)
    return box


def _onnx(model: onnx.ModelProto, spec: InputSpec, activation: Any, device: str) -> Differentiable:
    box: Any = wrap(model, spec=spec, activation=activation, cache=False, device=device)
    return box


def over_faster(row: dict[str, Any]) -> tuple[str, list[float]]:
    """Return PyTorch's faster layout in a row, by the median, and the ratio to it in each repetition.

    Rows of older files have one ratio alone.
    """
    faster = min(LAYOUTS, key=lambda one: row[f"{one}_ms_per_image"])
    if "repetitions" not in row:
        return faster, [float(row[f"over_{faster}"])]
    ours, theirs = (row["repetitions"][one]["all_ms"] for one in ("gradient", faster))
    return faster, [mine / other for mine, other in zip(ours, theirs, strict=True)]


def compare(pair: Pair, batch: int, repeats: int, device: str) -> dict[str, Any]:
    """Return times and ratios at one batch size, images and weights lying on the device."""
    rng = np.random.default_rng(0)
    images = rng.random((batch, *pair.onnx.spec.shape), dtype=np.float32)
    weights = np.zeros((batch, 1000), np.float32)
    weights[:, 5] = 1
    leaf, chosen = torch.tensor(images, requires_grad=True, device=device), torch.tensor(weights, device=device)
    given: tuple[Any, Any] = (images, weights) if device == "cpu" else (leaf.detach(), chosen)

    def bare(layout: torch.memory_format) -> Callable[[], Any]:
        network: Any = pair.torch
        module = copy.deepcopy(network.module).to(memory_format=layout)

        def call() -> Any:
            inputs = network.spec.preprocessing.forward(leaf).contiguous(memory_format=layout)
            scores = module(inputs)
            scores = scores.softmax(dim=1) if network.activation == "softmax" else scores
            return torch.autograd.grad((scores * chosen).sum(), leaf)

        return call

    calls: dict[str, Callable[[], Any]] = {
        "gradient": lambda: pair.onnx.scores_and_gradient(*given),
        "torch": bare(torch.contiguous_format),
        "channels_last": bare(torch.channels_last),
        "forward": lambda: pair.onnx.scores(given[0]),
    }
    finish = finish_of(device)

    def whole(call: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            call()
            finish()

        return run

    # An untimed call of its own takes the cores back from the other library's threads, which go on spinning.
    found = in_rounds({name: whole(call) for name, call in calls.items()}, repeats, warm=True)
    times = {name: np.round(np.asarray(all_s) / batch * 1e3, 4) for name, all_s in found.items()}
    return {
        **{f"{name}_ms_per_image": float(np.median(one)) for name, one in times.items()},
        **{f"over_{name}": float(np.median(times["gradient"] / times[name])) for name in calls if name != "gradient"},
        "repetitions": {name: {"all_ms": one.tolist()} for name, one in times.items()},
    }


def profile(box: Any, batch: int) -> None:
    """Print where the time of one gradient goes, by operator and by node."""
    options = onnxruntime.SessionOptions()
    folder = tempfile.mkdtemp()
    options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
    graph = box.gradient_graph()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    feeds = {
        names[0]: np.random.default_rng(0).random((batch, *box.spec.shape), dtype=np.float32),
        names[1]: np.ones((batch, 1000), np.float32),
    }
    for _ in range(9):
        session.run(None, feeds)
    times: dict[tuple[str, str], list[float]] = {}
    for event in json.loads(Path(session.end_profiling()).read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["name"].removesuffix("_kernel_time"), event["args"]["op_name"])
            times.setdefault(key, []).append(event["dur"] / 1000)
    spent: dict[str, float] = {}
    single = {name: float(np.median(one)) for (name, _), one in times.items()}
    for name, kind in times:
        spent[kind] = spent.get(kind, 0) + single[name]
    console.print(f"{sum(spent.values()):.0f} ms")
    table = Table("operator", "ms")
    for kind, time_spent in sorted(spent.items(), key=lambda one: -one[1])[:14]:
        table.add_row(kind, f"{time_spent:.1f}")
    console.print(table)
    table = Table("node", "ms")
    for name, time_spent in sorted(single.items(), key=lambda one: -one[1])[:16]:
        table.add_row(name, f"{time_spent:.1f}")
    console.print(table)


def main(
    batches: Annotated[list[int] | None, typer.Option(help="Batch sizes.")] = None,
    repeats: Annotated[int, typer.Option(help="Rounds.")] = 9,
    only: Annotated[str | None, typer.Option(help="One network; the result is not stored.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = "cpu",
    profiled: Annotated[bool, typer.Option("--profile", help="Print where the time goes instead.")] = False,
) -> None:
    """Compare the speed of gradients."""
    known = machine()
    console.print(known["processor"])
    try:
        networks = pairs(device)
    except (BackendMissingError, InputError) as error:
        console.print(f"ONNX Runtime or PyTorch does not compute on {device!r}: {error}")
        raise typer.Exit(1) from error
    results: dict[str, Any] = {}
    heads = ("gradient", "torch, NCHW", "torch, NHWC", "forward", "over torch's faster", f"at most {GOAL}")
    table = Table("network", "batch", *heads, f"over forward (≤ {TO_FORWARD})")
    for name, pair in networks.items():
        if only and name != only:
            continue
        if profiled:
            profile(pair.onnx, 8)
            continue
        for batch in batches or [1, 8]:
            row = compare(pair, batch, repeats, device)
            results.setdefault(name, {})[str(batch)] = row
            times = (
                f"{row[f'{one}_ms_per_image']:.1f} ms" for one in ("gradient", "torch", "channels_last", "forward")
            )
            faster, ratios = over_faster(row)
            told = (f"{LAYOUTS[faster]}: {spread(ratios)}", said(within([ratios], GOAL)), f"{row['over_forward']:.2f}")
            table.add_row(name, str(batch), *times, *told)
            console.print(f"  {name}, batch {batch}: {told[0]}")
    if profiled:
        return
    console.print(table)
    if not only:
        path = record("onnx-gradient", {"device": device, "repeats": repeats}, {"networks": results}, known=known)
        console.print(f"stored in {path.parent.name}/{path.name}")


if __name__ == "__main__":
    typer.run(main)
