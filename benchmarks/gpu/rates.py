"""How many images a second: of the bare model in each mode, and of the learner's loop beside it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.gpu.device import Device, spread
from benchmarks.gpu.modes import FIRST, MODES, Mode, bare, box_of, network_of, rounding
from benchmarks.gpu.sizes import Budget, Sizes

__all__ = ["SWEPT", "bare_rates", "flops_of", "loop_rates", "or_error", "peaks"]

Found = Iterator[tuple[str, Any]]

SWEPT = ("fp32", "TF32, channels-last")
"""Modes in which the loop is measured at several batches."""

SLOW_TO_MAKE = {"compiled": 90.0}
"""Seconds that must be left for what compiles first."""


def peaks(device: Device, sizes: Sizes) -> dict[str, Any]:
    """Measure what the card can do: products of large matrices of noise, and a copy from its memory to its memory."""
    side, found = sizes.peak_side, dict[str, Any]()
    for unit, kind in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        factors = [torch.randn(side, side, device=device.name).to(kind) for _ in range(2)]
        with rounding(unit == "tf32"):
            timed = spread(device.timed(lambda factors=factors: factors[0] @ factors[1], sizes.repeats))
        found[unit] = {**timed, "tflops": 2 * side**3 / timed["median_ms"] / 1e9}
    block = torch.empty(side * side * 4, device=device.name)
    other = torch.empty_like(block)
    timed = spread(device.timed(lambda: other.copy_(block), sizes.repeats))
    found["copy"] = {**timed, "gb_per_s": 2 * block.numel() * 4 / timed["median_ms"] / 1e6}
    return found


@cache
def flops_of(name: str, side: int = 224) -> int:
    """Count the floating-point operations of forward and backward for one image of side² pixels."""
    from torch.utils.flop_counter import FlopCounterMode

    module = network_of(name)[0]
    leaf = torch.rand(1, 3, side, side).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        module(leaf).sum().backward()
    return counter.get_total_flops()


def bare_rates(device: Device, name: str, sizes: Sizes, budget: Budget, peak: dict[str, Any]) -> Found:
    """Time forward and backward of the module alone, in each mode at each batch."""
    for mode_name, mode in MODES.items():
        if name != FIRST and mode.compiled:
            yield mode_name, {"skipped": "compiling a second network takes as long again"}
            continue
        if name != FIRST and mode_name not in SWEPT and not device.cuda:
            yield mode_name, {"skipped": "minutes on a CPU"}
            continue
        rows: dict[str, Any] = {}
        batches = (sizes.loop_batch,) if mode.compiled else sizes.batches
        for batch in batches:
            if not budget.has(SLOW_TO_MAKE["compiled"] if mode.compiled and device.cuda else 5.0):
                rows[str(batch)] = {"skipped": "out of time"}
                continue
            rows[str(batch)] = or_error(lambda b=batch, m=mode: _bare_row(device, name, m, b, sizes, peak))
            device.free()
        yield mode_name, rows


def _bare_row(device: Device, name: str, mode: Mode, batch: int, sizes: Sizes, peak: dict[str, Any]) -> dict[str, Any]:
    with rounding(mode.tf32):
        once = bare(device, name, mode, batch, _side(name, sizes))
        once()
        memory = device.peak_gib(once)
        timed = spread(device.timed(once, sizes.repeats))
    rate = batch / timed["median_ms"] * 1e3
    used = flops_of(name, _side(name, sizes)) * rate / 1e12
    return {
        "images_per_s": rate,
        "tflops": used,
        "of_peak": used / peak[mode.unit]["tflops"],
        "peak_gib": memory,
        **timed,
    }


def loop_rates(device: Device, name: str, sizes: Sizes, budget: Budget, known: dict[str, Any]) -> Found:
    """Time the steps of `fast`, with the share of the time in the model and the fraction of its bare rate."""
    for mode_name, mode in MODES.items():
        if name != FIRST and (mode.compiled or mode_name not in SWEPT):
            continue
        rows: dict[str, Any] = {}
        if not budget.has(SLOW_TO_MAKE["compiled"] if mode.compiled and device.cuda else 8.0):
            yield mode_name, {"skipped": "out of time"}
            continue
        with rounding(mode.tf32):
            made = or_error(lambda m=mode: {"box": box_of(device, name, m, _side(name, sizes))})
            for batch in (sizes.loop_batches if mode_name in SWEPT else (sizes.loop_batch,)) if "box" in made else ():
                if not budget.has(5.0):
                    rows[str(batch)] = {"skipped": "out of time"}
                    continue
                alone = known.get(mode_name, {}).get(str(batch), {}).get("median_ms")
                rows[str(batch)] = or_error(lambda b=batch, a=alone, m=made: _loop_row(device, m["box"], b, sizes, a))
                device.free()
        if mode.compiled:
            rows["compiled"] = _compiled()
        yield mode_name, rows if "box" in made else made


def _loop_row(device: Device, box: Any, batch: int, sizes: Sizes, alone: float | None) -> dict[str, Any]:
    from benchmarks.common.loops import learning_loop
    from blackbox_explain.methods.mask.settings import Settings

    loop, _, _ = learning_loop(box, replace(Settings("fast"), steps=sizes.steps), batch)
    loop()
    memory = device.peak_gib(loop)
    with _inside(device, box) as inside:
        whole = device.timed(loop, sizes.repeats)
        model = inside()
    timed = spread([one / sizes.steps for one in whole])
    kept = model[-sizes.repeats * sizes.steps :]  # without the runs for warming up
    found = {
        "images_per_s": batch / timed["median_ms"] * 1e3,
        "share_in_model": sum(kept) / sum(whole),
        "peak_gib": memory,
        "steps": sizes.steps,
        **timed,
    }
    if alone is not None:
        found["of_bare_rate"] = alone / timed["median_ms"]
    return found


@contextmanager
def _inside(device: Device, box: Any) -> Generator[Callable[[], list[float]]]:
    """Time each gradient that a box is asked for; what is yielded returns the milliseconds, without waiting before."""
    real, pairs, clocked = type(box).scores_and_gradient, list[tuple[Any, Any]](), list[float]()

    def timed(self: Any, images: Any, weights: Any) -> Any:
        if not device.cuda:
            answers: list[Any] = []
            clocked.extend(device.timed(lambda: answers.append(real(self, images, weights)), 1, warmup=0))
            return answers[0]
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        answer = real(self, images, weights)
        after.record()
        pairs.append((before, after))
        return answer

    def milliseconds() -> list[float]:
        device.synchronize()
        return clocked or [before.elapsed_time(after) for before, after in pairs]

    with patch.object(type(box), "scores_and_gradient", timed):
        yield milliseconds


def _side(name: str, sizes: Sizes) -> int:
    return sizes.side if name == FIRST else 224


def _compiled() -> dict[str, int]:
    """Return what the compiler says that it captured: a module that it passed over runs as it was."""
    from torch._dynamo.utils import counters

    return {
        "graphs": int(counters["stats"].get("unique_graphs", 0)),
        "calls": int(counters["stats"].get("calls_captured", 0)),
        "breaks": sum(counters["graph_break"].values()),
    }


def or_error(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measure, or say why not: one mode that fails must not take the others with it."""
    try:
        return measure()
    except Exception as error:
        text = str(error).strip().splitlines()
        return {"failed": f"{type(error).__name__}: {text[0] if text else ''}"[:300]}
