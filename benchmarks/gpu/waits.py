"""Whether the loop makes the host wait for the device: by the profiler, steps against twice as many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.device import Device
from benchmarks.gpu.modes import MODES, box_of, rounding
from benchmarks.gpu.networks import FIRST
from benchmarks.gpu.sizes import Sizes, or_error

__all__ = ["WAITS", "per_step", "waits_of", "waits_of_the_loop"]

SYNCHRONIZED = "cudaDeviceSynchronize"
"""What the measurement itself waits by: a profiler that has not seen it sees nothing."""

WAITS = frozenset(
    {SYNCHRONIZED, "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy", "cudaFree"}
    | {"cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize"}
)
"""Calls that the host waits in."""

TO_HOST = "Memcpy DtoH"
"""What copies to the host begin with; then the kind of memory is told."""

HOST_READS = ("aten::_local_scalar_dense", "aten::is_nonzero")
"""Where a value comes to the host.  Of values on the host that is no wait, but the twin has these alone."""

MODE = "TF32, channels-last"

BY_CHANNEL: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "channels": "RGB"}
"""Of the usual networks: numbers for each channel, which have to lie on the device."""


def waits_of_the_loop(device: Device, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """Tell how often the host waits in a step, and what for; under ``failed`` where that is more than is meant."""
    from blackbox_explain.methods.mask.solver import WINDOW

    steps = max(2, sizes.steps)
    yield "fast", or_error(partial(_row, device, sizes, "fast", steps, None, 0.0))
    yield "fast, mean and std by channel", or_error(partial(_row, device, sizes, "fast", steps, BY_CHANNEL, 0.0))
    # It looks at the objective once in so many steps, by one copy that it waits for.
    yield "paper", or_error(partial(_row, device, sizes, "paper", 2 * WINDOW, None, 1 / WINDOW))


def _row(
    device: Device, sizes: Sizes, preset: Any, steps: int, pixels: dict[str, Any] | None, meant: float
) -> dict[str, Any]:
    from benchmarks.common.loops import learning_loop
    from blackbox_explain.methods.mask.settings import Settings

    mode = MODES[MODE]
    seen: list[Counter[str]] = []
    with rounding(mode.tf32):
        box = box_of(device, FIRST, mode, sizes.side, pixels=pixels)
        for count in (steps, 2 * steps):
            loop, _, _ = learning_loop(box, replace(Settings(preset), steps=count), sizes.loop_batch)
            loop()
            device.synchronize()
            seen.append(waits_of(device, loop))
    found: dict[str, Any] = {
        "steps": [steps, 2 * steps],
        "events": [dict(one) for one in seen],
        "by_step": per_step(seen[0], seen[1], steps),
        "meant": meant,
    }
    if device.cuda:
        if not all(one[SYNCHRONIZED] for one in seen):
            found["failed"] = "the profiler saw no wait at all, not even that of the measurement"
        more = {name: count for name, count in found["by_step"].items() if name not in HOST_READS and count > meant}
        if more:
            found["failed"] = f"the host waits in a step: {more}"
    return found


def per_step(fewer: Counter[str], more: Counter[str], steps: int) -> dict[str, float]:
    """Return how often a step has each event, of runs that differ by `steps`: what both have is of the call."""
    counts = {name: (more[name] - fewer[name]) / steps for name in (*more, *fewer)}
    return {name: count for name, count in counts.items() if count}


def waits_of(device: Device, call: Any) -> Counter[str]:
    """Count the events of a call that the host waits at, by name, and one wait more for the end of it."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.cuda else [])]
    with profile(activities=activities) as seen:
        call()
        device.synchronize()
    names = (one.name for one in seen.events() or ())
    return Counter(one for one in names if one in WAITS or one in HOST_READS or one.startswith(TO_HOST))
