"""Stored results of whole runs, machine by machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common.hardware import CACHE

__all__ = ["heading", "whole_runs"]


def whole_runs(results: Path, files: str) -> list[tuple[Path, dict[str, Any]]]:
    """Return files whose name fits a pattern, without runs that only show that a command works."""
    paths = [path for path in sorted(results.glob(f"*/{files}.json")) if path.parent.name != CACHE.name]
    every = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    # Old files of rankings have a setting by that name which is no switch.
    return [one for one in every if not any(one[1]["settings"].get(short) is True for short in ("quick", "tiny"))]


def heading(path: Path, stored: dict[str, Any]) -> str:
    """Return what a file's figures must be read with: machine, date, commit and versions."""
    told = stored["machine"]
    versions = ", ".join(f"{name} {one}" for name, one in told["versions"].items())
    card = f", {told['gpu']['name']}" if "gpu" in told else ""
    where = f"{told['processor']}, {told['cores']} cores{card}"
    return f"### {path.parent.name}, {path.stem}\n\n{where}; {stored['date']} at {told['commit']}; {versions}."
