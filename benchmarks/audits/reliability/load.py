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

__all__ = ["loaded"]

IMAGES, SMALL = 2000, (100, 10_000)

ROUNDS = 2
"""Audit and bare loop take turns, and the faster of each counts: others may use the machine too."""

THREADS = 2

BARE = """
import json, sys, time
import blackbox_explain as bx
from pathlib import Path
box = bx.wrap("efficientnet-lite0", threads=THREADS)
paths = sorted(Path(sys.argv[1]).iterdir())
started = time.monotonic()
for first in range(0, len(paths), 16):
    bx.explain(box, bx.load_images(paths[first : first + 16], box.spec), preset="quick", progress=False)
print(json.dumps({"seconds": time.monotonic() - started}))
"""
"""Explains the same images by the same batches, without threads that decode, certificates or tables."""

AUDITED = """
import json, resource, sys, time
import blackbox_explain as bx
from blackbox_explain.auditing.plan import AuditPlan
box = bx.wrap("efficientnet-lite0", threads=THREADS)
started = [0.0]
def looked(look):
    started[0] = time.monotonic()
bx.audit(box, sys.argv[1], sys.argv[2], plan=AuditPlan(methods={"mask": {"preset": "quick"}}), progress=False,
         accept_doubts=True, rules=0, looked=looked)
print(json.dumps({"seconds": time.monotonic() - started[0]}))
"""

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
    images = max(32, round(scale * IMAGES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", images)
        bare, audited = [], []
        for turn in range(ROUNDS):
            bare.append(_said(BARE, folder / "photos")["seconds"])
            audited.append(_said(AUDITED, folder / "photos", folder / f"out-{turn}")["seconds"])
    found: dict[str, Any] = {
        "images": images,
        "images_per_second_explained": images / min(bare),
        "images_per_second_audited": images / min(audited),
        "ratio": min(bare) / min(audited),
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


def _said(code: str, *arguments: Path) -> dict[str, float]:
    told = code.replace("THREADS", str(THREADS))
    command = [sys.executable, "-c", told, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
