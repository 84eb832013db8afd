"""What a user waits for: one image, and many together; beside the loop that a user would write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.gpu.device import Device, spread
from benchmarks.gpu.modes import FIRST, MODES, box_of, network_of, rounding
from benchmarks.gpu.rates import or_error
from benchmarks.gpu.sizes import Budget, Sizes

__all__ = ["baseline_rate", "whole_calls"]

WHOLE = ("fp32", "TF32, channels-last", "bf16 autocast, channels-last", "TF32, channels-last, CUDA graph")
PRESETS = ("quick", "fast", "thorough")
BASELINE_STEPS = 300


def whole_calls(device: Device, sizes: Sizes, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Time whole calls of `explain`, from images on the host to a result on the host."""
    from blackbox_explain import explain
    from blackbox_explain.methods.mask.mask import Mask

    images = torch.rand(sizes.many, 3, sizes.side, sizes.side, generator=torch.Generator().manual_seed(0)).numpy()
    for mode_name in WHOLE:
        mode, rows = MODES[mode_name], dict[str, Any]()
        if mode.bf16 and not device.cuda:
            yield mode_name, {"skipped": "minutes on a CPU"}
            continue
        with rounding(mode.tf32):
            made = or_error(lambda m=mode: {"box": box_of(device, FIRST, m, sizes.side)})
            for preset in PRESETS if mode_name == WHOLE[1] and device.cuda else ("fast",):
                for count in (1, sizes.many):
                    if "box" not in made or not budget.has(15.0):
                        rows[f"{preset}, {count}"] = made if "box" not in made else {"skipped": "out of time"}
                        continue

                    def call(box: Any = made["box"], preset: Any = preset, count: int = count) -> None:
                        method = Mask(preset, **sizes.settings)
                        explain(box, images[:count], method=method, batch_size=count, progress=False)

                    def row(call: Any = call, count: int = count) -> dict[str, Any]:
                        timed = spread(device.waited(call, sizes.repeats))
                        return {"seconds_per_image": timed["median_ms"] / 1e3 / count, "images": count, **timed}

                    rows[f"{preset}, {count}"] = or_error(row)
        yield mode_name, rows


def baseline_rate(device: Device, sizes: Sizes, budget: Budget) -> dict[str, Any]:
    """Time some steps of the one-image loop, in the types that PyTorch has by itself, and tell what 300 take."""
    from benchmarks.peers.baseline import baseline_mask

    if not budget.has(15.0):
        return {"skipped": "out of time"}
    network, pixels, _ = network_of(FIRST)
    module = network.to(device.name)

    def probabilities(images: torch.Tensor) -> torch.Tensor:
        return torch.softmax(module((images - pixels["mean"]) / pixels["std"]), dim=1)

    image = torch.rand(1, 3, sizes.side, sizes.side, generator=torch.Generator().manual_seed(0)).to(device.name)
    try:
        waited = device.waited(lambda: baseline_mask(probabilities, image, 0, sizes.baseline_steps), sizes.repeats)
    finally:
        network.cpu()
    timed = spread(waited)
    seconds = timed["median_ms"] / 1e3 / sizes.baseline_steps * BASELINE_STEPS
    return {"seconds_per_image": seconds, "steps_timed": sizes.baseline_steps, "steps": BASELINE_STEPS, **timed}
