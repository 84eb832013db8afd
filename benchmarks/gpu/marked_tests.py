"""The tests that need a GPU, and what came of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import Device
from benchmarks.gpu.sizes import Budget, Sizes

__all__ = ["files_with_marked_tests", "marked_tests"]

ROOT = Path(__file__).parents[2]


def files_with_marked_tests() -> list[Path]:
    """Return the files of tests that name the mark; others need not even be imported."""
    return sorted(one for one in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in one.read_text(encoding="utf-8"))


def marked_tests(device: Device, sizes: Sizes, budget: Budget) -> dict[str, Any]:
    """Run the tests marked gpu, and return the outcome of each; the twin only collects them.

    A file that cannot be imported is an outcome too.
    """
    files = [str(one) for one in files_with_marked_tests()]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-m", "gpu", "-q", "-rs", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=short"]
        if not device.cuda:
            options.append("--collect-only")
        command = [sys.executable, "-m", "pytest", *files, *options, f"--junitxml={report}"]
        seconds = max(1.0, min(sizes.test_seconds, budget.left))
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
            )
        except subprocess.TimeoutExpired as late:
            told = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
            return {"files": len(files), "stopped_after_s": seconds, "output": told.strip().splitlines()[-20:]}
        outcomes = outcomes_of(report.read_text(encoding="utf-8")) if report.is_file() else {}
    counts = {
        kind: sum(one["outcome"] == kind for one in outcomes.values()) for kind in ("passed", "failed", "skipped")
    }
    lines = (done.stdout + done.stderr).strip().splitlines()
    return {"files": len(files), "status": done.returncode, **counts, "tests": outcomes, "output": lines[-20:]}


def outcomes_of(report: str) -> dict[str, dict[str, Any]]:
    """Read a report in JUnit's format: the outcome of each test, with the first line of its message."""
    found: dict[str, dict[str, Any]] = {}
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        problem = next((one for one in case if one.tag in ("failure", "error", "skipped")), None)
        outcome = "passed" if problem is None else "skipped" if problem.tag == "skipped" else "failed"
        told = "" if problem is None else (problem.get("message") or "").strip().partition("\n")[0]
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        found[name] = {"outcome": outcome, "seconds": float(case.get("time", 0)), **({"message": told} if told else {})}
    return found
