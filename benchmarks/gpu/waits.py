"""Whether the loop makes the host wait for the device: by the profiler, steps against twice as many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.device import Device
from benchmarks.gpu.modes import FIRST, MODES, box_of
from benchmarks.gpu.sizes import Sizes

__all__ = ["WAITS", "waits_of", "waits_of_the_loop"]

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "Memcpy DtoH", "cudaMemcpy ")
"""Beginnings of the names of what the host waits for."""

HOST_READS = ("aten::_local_scalar_dense", "aten::is_nonzero")
"""Where a value comes to the host; the twin has these alone."""


def waits_of_the_loop(device: Device, sizes: Sizes, mode: str = "TF32, channels-last") -> dict[str, Any]:
    """Return how often the host waits in a step, what for, and in a whole call besides."""
    from benchmarks.common.loops import learning_loop
    from blackbox_explain.methods.mask.settings import Settings

    box = box_of(device, FIRST, MODES[mode], sizes.side)
    found: list[Counter[str]] = []
    steps = max(2, sizes.steps)
    for count in (steps, 2 * steps):
        loop, _, _ = learning_loop(box, replace(Settings("fast"), steps=count), sizes.loop_batch)
        loop()
        device.synchronize()
        found.append(waits_of(device, loop))
    # What both have is of the call; the profiler's own is in both.
    by_step = {name: (found[1][name] - found[0][name]) / steps for name in found[1]}
    return {
        "steps": [steps, 2 * steps],
        "events": [dict(one) for one in found],
        "by_step": {name: count for name, count in by_step.items() if count},
        "none_in_the_loop": not any(by_step.values()) if device.cuda else "not measured: this is the twin",
    }


def waits_of(device: Device, call: Any) -> Counter[str]:
    """Count the events of a call that the host waits at, by name."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.cuda else [])]
    with profile(activities=activities) as seen:
        call()
        device.synchronize()
    names = (one.name for one in seen.events() or ())
    return Counter(one for one in names if one.startswith(WAITS) or one in HOST_READS)
