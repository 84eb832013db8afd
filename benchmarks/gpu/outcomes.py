"""A plugin of pytest that writes each outcome as it comes, so that a run that is ended keeps what it knew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FILE", "outcomes_in"]

FILE = "BLACKBOX_EXPLAIN_OUTCOMES"
"""The environment variable with the path of the file: an object of JSON a line."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write the outcome of a test, and of what goes wrong before or after it."""
    if report.when == "call" or not report.passed:
        _write(report, report.duration)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Write of a file that cannot be imported, or leaves itself out."""
    if not report.passed:
        _write(report, 0.0)


def outcomes_in(file: Path) -> dict[str, dict[str, Any]]:
    """Read the outcome of each test, with seconds and message; the last that was written of a test counts."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    found = [json.loads(line) for line in lines]
    return {one.pop("test"): one for one in found}


def _write(report: pytest.TestReport | pytest.CollectReport, seconds: float) -> None:
    told: dict[str, Any] = {"test": report.nodeid, "outcome": report.outcome, "seconds": round(seconds, 3)}
    if report.longrepr:
        told["message"] = _message(report)[:300]
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skip, or the line where it failed."""
    told: Any = report.longrepr
    if isinstance(told, tuple):
        return str(told[2])
    crash = getattr(told, "reprcrash", None)
    return (crash.message.partition("\n")[0] if crash else str(told).strip().rpartition("\n")[2]).strip()
