"""Audits of many images: as fast as explaining them without an audit, and in memory that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.audits.reliability.audits import make_photos
from blackbox_explain import read_audit

__all__ = ["loaded"]

IMAGES, SMALL = 2000, (100, 10_000)

LEGS = 4
"""The audit is interrupted and resumed this often, and the bare loop takes the same images in turn with it: a machine
that is slower for a while is slower for both."""

BATCH = 16

THREADS = 2

BARE = """
import json, sys, time
import blackbox_explain as bx
from pathlib import Path
box = bx.wrap("efficientnet-lite0", threads=THREADS)
paths = sorted(Path(sys.argv[1]).iterdir())[int(sys.argv[2]) : int(sys.argv[3])]
started = time.monotonic()
for first in range(0, len(paths), BATCH):
    bx.explain(box, bx.load_images(paths[first : first + BATCH], box.spec), preset="quick", progress=False)
print(json.dumps({"seconds": time.monotonic() - started}))
"""
"""Explains the same images by the same batches, without threads that decode, certificates or tables."""

AUDITED = """
import json, resource, sys, time
import blackbox_explain as bx
from blackbox_explain.auditing.plan import AuditPlan
box = bx.wrap("efficientnet-lite0", threads=THREADS)
started = [time.monotonic()]
def looked(look):
    started[0] = time.monotonic()
bx.audit(box, sys.argv[1], sys.argv[2], plan=AuditPlan(methods={"mask": {"preset": "quick"}}, batch_size=BATCH),
         limit=int(sys.argv[3]), resume=True, progress=False, accept_doubts=True, rules=0, looked=looked)
seconds = time.monotonic() - started[0]
print(json.dumps({"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
"""One leg; the first look, which is at 32 images whatever their number, is not timed."""

FLAT = """
import json, resource, sys
sys.path.insert(0, ".")
import blackbox_explain as bx
from blackbox_explain.auditing.plan import AuditPlan
from tests.auditing.stamped import StampModel
done = bx.audit(StampModel(), sys.argv[1], sys.argv[2], plan=AuditPlan(methods={"center": {}}), progress=False,
                accept_doubts=True, rules=0)
audited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
done.findings()
found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peak_mib": audited, "peak_mib_with_findings": found}))
"""
"""A model that costs next to nothing, so that ten thousand images do not take hours."""


def loaded(scale: float) -> dict[str, Any]:
    """Measure images a second with and without an audit, and the peak of memory of audits of few and many images."""
    leg = max(BATCH, round(scale * IMAGES / LEGS / BATCH) * BATCH)
    images = LEGS * leg
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", images)
        bare, audited = [], []
        for first in range(0, images, leg):
            bare.append(_said(BARE, folder / "photos", first, first + leg))
            audited.append(_said(AUDITED, folder / "photos", folder / "out", first + leg))
        rows = len(read_audit(folder / "out", to="arrow"))
    if rows != images:
        raise SystemExit(f"{rows} rows of {images} images")
    seconds = [[one["seconds"] for one in legs] for legs in (bare, audited)]
    found: dict[str, Any] = {
        "images": images,
        "images_per_second_explained": images / sum(seconds[0]),
        "images_per_second_audited": images / sum(seconds[1]),
        "ratio": sum(seconds[0]) / sum(seconds[1]),
        "ratio_of_legs": [own / other for own, other in zip(*seconds, strict=True)],
        "peak_mib_of_legs": [one["peak_mib"] for one in audited],
    }
    return found | {"memory": {str(count): _memory(count) for count in (SMALL[0], max(200, round(scale * SMALL[1])))}}


def _memory(count: int) -> dict[str, float]:
    from tests.auditing.stamped import make_photos as make_small

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_small(folder / "photos", count)
        started = time.monotonic()
        told = _said(FLAT, folder / "photos", folder / "out")
        return told | {"seconds": time.monotonic() - started}


def _said(code: str, *arguments: Path | int) -> dict[str, float]:
    told = code.replace("THREADS", str(THREADS)).replace("BATCH", str(BATCH))
    command = [sys.executable, "-c", told, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
