"""What a user waits for: one image, and many together; beside the loop that a user would write."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.device import Device, quartiles_of
from benchmarks.gpu.effects import Judge
from benchmarks.gpu.modes import MODES, box_of, rounding
from benchmarks.gpu.networks import FIRST, network_of
from benchmarks.gpu.rates import LEAST
from benchmarks.gpu.sizes import Budget, OutOfTime, Sizes, or_error

__all__ = ["PLAIN_LOOPS", "against_plain", "whole_calls"]

PLAIN_LOOPS = {"the plain loop, fp32": False, "the plain loop, TF32": True}
"""By whether its products round their factors."""

COMPARED = tuple((mode, preset) for mode in ("fp32", "TF32, channels-last") for preset in ("fast", "quick"))
"""What is held against the plain loop."""

OTHERS = (
    ("TF32, channels-last, CUDA graph", "fast"),
    ("bf16 autocast, channels-last", "fast"),
    ("TF32, channels-last", "thorough"),
)


def against_plain(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Time and judge our presets and the plain loop, on the same photos."""
    judge = Judge(device, sizes)
    for mode, preset in COMPARED:
        yield f"{mode}, {preset}", or_error(partial(_call_row, device, mode, preset, judge, sizes, budget))
    for name, tf32 in PLAIN_LOOPS.items():
        yield name, or_error(partial(_plain_row, device, tf32, judge, sizes, budget))


def whole_calls(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Time and judge what is not held against the plain loop."""
    judge = Judge(device, sizes)
    for mode, preset in OTHERS:
        if MODES[mode].bf16 and not device.cuda:
            yield f"{mode}, {preset}", {"skipped": "minutes on a CPU"}
            continue
        yield f"{mode}, {preset}", or_error(partial(_call_row, device, mode, preset, judge, sizes, budget))
        device.free()


def _call_row(
    device: Device, mode_name: str, preset: Any, judge: Judge, sizes: Sizes, budget: Budget
) -> dict[str, Any]:
    """Time calls of `explain`, from images on the host to a result on the host, and judge what they find."""
    from blackbox_explain import explain
    from blackbox_explain.methods.mask.mask import Mask

    budget.need(LEAST)
    mode = MODES[mode_name]
    images = judge.images
    many = images[np.arange(sizes.many) % len(images)]
    with rounding(mode.tf32):
        box = box_of(device, FIRST, mode, sizes.side)

        def explained(given: Any, target: Any = None) -> Any:
            method = Mask(preset, **sizes.settings)
            return explain(box, given, target, method=method, batch_size=len(given), progress=False)

        result = explained(images, judge.target)
        single = or_error(lambda: _timed(device, lambda: explained(many[:1]), 1, sizes.repeats, budget))
        together = or_error(lambda: _timed(device, lambda: explained(many), len(many), sizes.many_repeats, budget))
    return {"tf32": mode.tf32, "left": judge.left(result.saliency), "one image": single, "together": together}


def _timed(device: Device, call: Any, images: int, repeats: int, budget: Budget) -> dict[str, Any]:
    """Time a call where all repetitions fit, as one tells that warms up besides."""
    budget.need(LEAST)
    once = device.waited(call, 1, warmup=0)[0] / 1e3
    if once * (repeats + 1) > budget.left:
        raise OutOfTime
    timed = quartiles_of(device.waited(call, repeats))
    return {"seconds_per_image": timed["median_ms"] / 1e3 / images, "images": images, "repetitions": repeats, **timed}


def _plain_row(device: Device, tf32: bool, judge: Judge, sizes: Sizes, budget: Budget) -> dict[str, Any]:
    """Time some steps of the loop that a user would write; in float32, learn the mask of each photo and judge it."""
    from benchmarks.peers.baseline import baseline_mask

    budget.need(LEAST)
    network, pixels, _ = network_of(FIRST)
    module: Any = copy.deepcopy(network).to(device.name)

    def probabilities(images: torch.Tensor) -> torch.Tensor:
        return torch.softmax(module((images - pixels["mean"]) / pixels["std"]), dim=1)

    photos = torch.tensor(judge.images, device=device.name)

    def mask(row: int, steps: int) -> torch.Tensor:
        return baseline_mask(probabilities, photos[row : row + 1], judge.target[row], steps)

    with rounding(tf32):
        timed = quartiles_of(device.waited(lambda: mask(0, sizes.plain_timed_steps), sizes.repeats))
        seconds = timed["median_ms"] / 1e3 / sizes.plain_timed_steps * sizes.plain_steps
        found = {"seconds_per_image": seconds, "steps": sizes.plain_steps, "steps_timed": sizes.plain_timed_steps}
        if tf32 or seconds * len(photos) > budget.left:
            return {**found, **timed}
        gone = [1 - mask(row, sizes.plain_steps).cpu().numpy() for row in range(len(photos))]
    return {**found, "left": judge.left(np.stack(gone)), **timed}
