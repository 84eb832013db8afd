"""How many images a second: of the bare model in each mode, and of the learner's loop beside it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.gpu.device import Device, quartiles_of
from benchmarks.gpu.modes import MODES, Mode, bare, box_of, compilation, rounding
from benchmarks.gpu.networks import FIRST, flops_of, side_of
from benchmarks.gpu.sizes import Budget, Sizes, or_error

__all__ = ["COMPILING", "SWEPT", "bare_rates", "loop_rates", "peaks"]

Found = Iterator[tuple[str, Any]]

SWEPT = ("fp32", "TF32, channels-last")
"""Modes in which the loop is measured at several batches."""

COMPILING = 90.0
"""Seconds that must be left where something is compiled for the device first."""

LEAST = 8.0
"""Seconds that must be left for any other row."""


def peaks(device: Device, sizes: Sizes) -> Found:
    """Measure what the card can do: products of large matrices of noise, and a copy from its memory to its memory."""
    for unit, kind in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        yield unit, or_error(partial(_product, device, kind, unit == "tf32", sizes))
    yield "copy", or_error(partial(_copy, device, sizes))


def _product(device: Device, kind: torch.dtype, tf32: bool, sizes: Sizes) -> dict[str, Any]:
    side = sizes.peak_side
    first, second = (torch.randn(side, side, device=device.name).to(kind) for _ in range(2))
    with rounding(tf32):
        timed = quartiles_of(device.timed(lambda: first @ second, sizes.repeats))
    return {**timed, "tflops": 2 * side**3 / timed["median_ms"] / 1e9}


def _copy(device: Device, sizes: Sizes) -> dict[str, Any]:
    block = torch.empty(sizes.peak_side**2 * 4, device=device.name)
    other = torch.empty_like(block)
    timed = quartiles_of(device.timed(lambda: other.copy_(block), sizes.repeats))
    return {**timed, "gb_per_s": 2 * block.numel() * 4 / timed["median_ms"] / 1e6}


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
        for batch in (sizes.loop_batch,) if mode.compiled else sizes.batches:
            rows[str(batch)] = or_error(partial(_bare_row, device, name, mode, batch, sizes, budget, peak))
            device.free()
        yield mode_name, rows


def _bare_row(
    device: Device, name: str, mode: Mode, batch: int, sizes: Sizes, budget: Budget, peak: dict[str, Any]
) -> dict[str, Any]:
    budget.need(COMPILING if mode.compiled and device.cuda else LEAST)
    side = side_of(name, sizes.side)
    made: list[Callable[[], Any]] = []

    def make() -> None:
        made.append(bare(device, name, mode, batch, side))
        made[0]()

    with rounding(mode.tf32), compilation(mode) as told:
        memory = device.peak_gib(make)
        timed = quartiles_of(device.timed(made[0], sizes.repeats))
        compiled = told()
    rate = batch / timed["median_ms"] * 1e3
    used = flops_of(name, side) * rate / 1e12
    # Where the card's own peak could not be measured, there is no share of it.
    most = peak.get(mode.unit, {}).get("tflops")
    share = {} if most is None else {"of_peak": used / most}
    return {"images_per_s": rate, "tflops": used, **share, "peak_gib": memory, **compiled, **timed}


def loop_rates(device: Device, name: str, sizes: Sizes, budget: Budget) -> Found:
    """Time the steps of `fast` and the bare model in turns: its share of the time, and what is left of its rate."""
    for mode_name, mode in MODES.items():
        if name != FIRST and mode_name not in SWEPT:
            continue
        rows: dict[str, Any] = {}
        for batch in sizes.loop_batches if mode_name in SWEPT else (sizes.loop_batch,):
            rows[str(batch)] = or_error(partial(_loop_row, device, name, mode, batch, sizes, budget))
            device.free()
        yield mode_name, rows


def _loop_row(device: Device, name: str, mode: Mode, batch: int, sizes: Sizes, budget: Budget) -> dict[str, Any]:
    from benchmarks.common.loops import learning_loop
    from blackbox_explain.methods.mask.settings import Settings

    budget.need(COMPILING if mode.compiled and device.cuda else LEAST)
    side = side_of(name, sizes.side)
    with rounding(mode.tf32), compilation(mode) as told:
        box = box_of(device, name, mode, side, batch)
        loop, _, _ = learning_loop(box, replace(Settings("fast"), steps=sizes.steps), batch)
        memory = device.peak_gib(loop)
        compiled = told()
        alone = bare(device, name, mode, batch, side)

        def as_many() -> None:
            for _ in range(sizes.steps):
                alone()

        once = sum(device.waited(call, 1)[0] for call in (loop, as_many)) / 1e3
        budget.need(once * (sizes.repeats + 3))
        with _inside(device, box) as inside:
            whole, beside = device.in_turns([loop, as_many], sizes.repeats)
            model = inside()[-sizes.repeats * sizes.steps :]  # without the runs for warming up
    timed, model_alone = (quartiles_of([one / sizes.steps for one in times]) for times in (whole, beside))
    return {
        "images_per_s": batch / timed["median_ms"] * 1e3,
        "of_bare_rate": float(np.median(np.divide(beside, whole))),
        "share_in_model": sum(model) / sum(whole),
        "peak_gib": memory,
        "steps": sizes.steps,
        **compiled,
        **timed,
        "bare": model_alone,
    }


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
