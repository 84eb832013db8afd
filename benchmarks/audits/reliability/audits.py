"""The audits that are killed, starved and filled up: photos for them, and a process that each runs in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from blackbox_explain import read_audit
from blackbox_explain.samples import CAT, COFFEE

__all__ = ["BEGUN", "CODE", "command", "left_over", "make_photos", "run", "same_rows"]

BEGUN = "begun"
"""What an audit prints before the first image."""

CODE = """
import sys
import blackbox_explain as bx
from blackbox_explain.auditing import auditor
from blackbox_explain.auditing.plan import AuditPlan
auditor.SECONDS = 1.0
plan = AuditPlan(methods={"mask": {"preset": "quick", "steps": 2}}, batch_size=8)
box = bx.wrap("efficientnet-lite0")
print("begun", flush=True)
done = bx.audit(box, sys.argv[1], sys.argv[2], plan=plan, resume=True, progress=False, accept_doubts=True, rules=0)
sys.exit(2 if done.unexplained() else 0)
"""
"""Two steps: what is measured is what is kept, not what is found.  The exit status is that of the command line."""


def make_photos(folder: Path, count: int) -> None:
    """Write photos that differ: parts of the two samples."""
    from PIL import Image

    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    samples = [Image.open(path).convert("RGB") for path in (CAT, COFFEE)]
    for index in range(count):
        photo = samples[index % 2]
        left, top = (int(draw.integers(0, size // 3)) for size in photo.size)
        part = photo.crop((left, top, left + photo.width // 2, top + photo.height // 2))
        part.save(folder / f"{index:04d}.jpg", quality=85)


def command(photos: Path, out: Path, code: str = CODE) -> list[str]:
    """Return what runs, or resumes, an audit in a process of its own."""
    return [sys.executable, "-c", code, str(photos), str(out)]


def run(photos: Path, out: Path, code: str = CODE) -> subprocess.CompletedProcess[str]:
    """Run or resume an audit to its end."""
    return subprocess.run(command(photos, out, code), capture_output=True, text=True, check=False)


def same_rows(one: Path, other: Path) -> bool:
    """Return whether two audits found the same, to the last bit."""
    return bool(read_audit(one, to="arrow").equals(read_audit(other, to="arrow")))


def left_over(out: Path) -> list[str]:
    """Return the files that an audit did not finish."""
    known = (".parquet", ".json")
    return sorted(path.name for path in out.iterdir() if path.suffix not in known and path.name != ".lock")
