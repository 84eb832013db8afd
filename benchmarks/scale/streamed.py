"""Memory and time of an audit, which streams files of images: in the process that this module is run in.

Ten thousand images are explained within minutes because the network is a small one, of two convolutions on 64 × 64
pixels, and the mask has few steps.  What streaming may pile up does not depend on that: each file is decoded, explained
by a mask, judged, checked, and written as a row, as with any other network.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.common.backends import Backend, Device
from benchmarks.models.networks import exported
from benchmarks.scale.own_process import held_mib, peak_mib
from blackbox_explain import InputSpec, audit, wrap
from blackbox_explain.auditing.ledger.shards import ShardWriter
from blackbox_explain.auditing.plan import AuditPlan

__all__ = ["BATCH", "STEPS", "streamed"]

BATCH, STEPS = 16, 2

WARM = 256
"""Images of an audit before, which is not counted: libraries and threads take their memory as they are first used."""

PARTS = 10
"""Of a long run, whose times and memory are told one by one."""

PLAN = AuditPlan(methods={"mask": {"preset": "quick", "steps": STEPS}}, batch_size=BATCH)

Seen = list[tuple[float, float]]
"""Of each batch that was explained: the time, and the memory that is held."""


def streamed(backend: Backend, photos: str, images: int, audits: int, device: Device) -> dict[str, Any]:
    """Audit the first images of a folder so many times, after a shorter audit that warms up.

    Returns
    -------
    dict
        ``peak_mib`` of the process, ``before_mib`` that after warming up; ``seconds_per_image``, the median of the
        audits, and of each; of the last audit ``tenths_s`` and ``tenths_mib``: seconds per image and memory held in
        each tenth, where it is long enough to be told in tenths.
    """
    box = _small(backend, device)
    files = sorted(Path(photos).iterdir())
    _audit(box, files[:WARM])
    before = peak_mib()
    seconds, seen = list[float](), Seen()
    for _ in range(audits):
        took, seen = _audit(box, files[:images])
        seconds.append(took / images)
    found: dict[str, Any] = {
        "before_mib": before,
        "peak_mib": peak_mib(),
        "seconds_per_image": float(np.median(seconds)),
        "each_audit_s": seconds,
        **_tenths(seen),
    }
    if backend == "torch" and device == "cuda":
        found["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def _small(backend: Backend, device: Device) -> Any:
    torch.manual_seed(0)
    layers = torch.nn
    network = layers.Sequential(
        layers.Conv2d(3, 8, 3, 2, 1),
        layers.ReLU(),
        layers.Conv2d(8, 16, 3, 2, 1),
        layers.ReLU(),
        layers.AdaptiveAvgPool2d(1),
        layers.Flatten(),
        layers.Linear(16, 10),
    )
    spec = InputSpec((3, 64, 64))
    module = network.eval().requires_grad_(False)
    model: Any = module if backend == "torch" else exported(module, spec.shape)
    return wrap(model, spec=spec, activation="softmax", device=device)


def _audit(box: Any, files: list[Path]) -> tuple[float, Seen]:
    """Return the seconds from the first look on, which is at a fixed number of images, and what was seen on the way."""
    started = [0.0]

    def looked(_look: Any) -> None:
        started[0] = time.monotonic()

    with tempfile.TemporaryDirectory() as folder, _watched() as seen:
        done = audit(box, files, folder, plan=PLAN, rules=0, accept_doubts=True, progress=False, looked=looked)
        took = time.monotonic() - started[0]
    if done.failed or done.done != len(files):
        raise SystemExit(f"{done.failed} of {done.done} images have no explanation; {len(files)} were asked for")
    return took, seen


@contextmanager
def _watched() -> Generator[Seen]:
    """Note the time and the memory held whenever a batch has been explained and goes to the table."""
    real, seen = ShardWriter.add, Seen()

    def add(self: ShardWriter, rows: Iterable[Any]) -> None:
        real(self, rows)
        seen.append((time.monotonic(), held_mib()))

    with patch.object(ShardWriter, "add", add):
        yield seen


def _tenths(seen: Seen) -> dict[str, list[float]]:
    if len(seen) < 2 * PARTS:
        return {}
    times, memory = np.asarray(seen).T
    each = [np.diff(times), memory[1:]]
    seconds, held = ([float(np.median(part)) for part in np.array_split(one, PARTS)] for one in each)
    return {"tenths_s": [one / BATCH for one in seconds], "tenths_mib": held}


if __name__ == "__main__":
    print(json.dumps(streamed(*json.loads(sys.argv[1]))))
