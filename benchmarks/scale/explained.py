"""Peak memory of one call of `explain`, in the process that this module is run in."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.common.backends import Backend, Device, box_of
from benchmarks.scale.own_process import peak_mib
from blackbox_explain import explain

__all__ = ["explained"]


def explained(backend: Backend, batch: int, steps: int, images: int, device: Device) -> dict[str, Any]:
    """Explain noise after a batch that warms up; return peak memory, on a GPU that of PyTorch too, and time."""
    box = box_of(backend, device)
    before = peak_mib()
    noise = np.random.default_rng(0).random((images, *box.spec.shape), dtype=np.float32)
    explain(box, noise[:batch], steps=1, batch_size=batch, progress=False)
    started = time.monotonic()
    explain(box, noise, steps=steps, batch_size=batch, progress=False)
    found = {
        "before_mib": before,
        "peak_mib": peak_mib(),
        "seconds_per_image": (time.monotonic() - started) / images,
    }
    if backend == "torch" and device == "cuda":
        import torch

        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


if __name__ == "__main__":
    print(json.dumps(explained(*json.loads(sys.argv[1]))))
