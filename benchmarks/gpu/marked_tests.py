"""The tests that need a GPU, and what came of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import Device
from benchmarks.gpu.sizes import Budget, Sizes

__all__ = ["files_with_marked_tests", "marked_tests"]

ROOT = Path(__file__).parents[2]

OPTIONS = ("-m", "gpu", "-rs", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=short")

LENIENT = ("-W", "default")
"""Other versions of packages warn of other things, which is no failure on a device."""

KINDS = ("passed", "failed", "skipped")

SOUND = (0, 5)
"""What pytest ends with where nothing failed: all is well, or no test was chosen."""


def files_with_marked_tests() -> list[Path]:
    """Return the files of tests that name the mark; others need not even be imported."""
    return sorted(one for one in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in one.read_text(encoding="utf-8"))


def marked_tests(
    device: Device, sizes: Sizes, budget: Budget, files: Sequence[Path] | None = None, *, cwd: Path = ROOT
) -> dict[str, Any]:
    """Run the tests marked gpu, and return the outcome of each, and under ``failed`` what speaks against them.

    The twin shows them no GPU, so that they skip themselves.

    Parameters
    ----------
    device, sizes, budget
        Of the run.
    files
        With tests; None is those of this project.
    cwd
        Folder that they are run in.
    """
    from benchmarks.gpu.outcomes import FILE, outcomes_in  # needs pytest

    chosen = [str(one) for one in (files_with_marked_tests() if files is None else files)]
    seconds = max(1.0, min(sizes.test_seconds, budget.left))
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "outcomes.jsonl"
        command = [sys.executable, "-m", "pytest", *chosen, *OPTIONS, *LENIENT, "-p", "benchmarks.gpu.outcomes"]
        path = os.pathsep.join(one for one in (str(ROOT), *sys.path) if one)
        environment = {**os.environ, "PYTHONPATH": path, FILE: str(written)}
        if not device.cuda:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        try:
            done = subprocess.run(
                command, cwd=cwd, capture_output=True, text=True, check=False, timeout=seconds, env=environment
            )
            status, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            status, output = None, _text(late.stdout) + _text(late.stderr)
        tests = outcomes_in(written)
    counts = {kind: sum(one["outcome"] == kind for one in tests.values()) for kind in KINDS}
    found = {
        "files": len(chosen),
        "status": status,
        "counts": counts,
        "tests": tests,
        "output": output.strip().splitlines()[-20:],
    }
    problem = _problem(status, counts, seconds, device)
    return {**found, "failed": problem} if problem else found


def _problem(status: int | None, counts: dict[str, int], seconds: float, device: Device) -> str:
    """Return what speaks against a run of tests; nothing that was not seen to pass counts as passed."""
    if status is None:
        return f"the tests were stopped after {seconds:.0f} s"
    if counts["failed"]:
        return f"{counts['failed']} failed"
    if status not in SOUND:
        return f"pytest ended with status {status}"
    if not any(counts.values()):
        return "no test was run"
    return "each test was skipped" if device.cuda and not counts["passed"] else ""


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
