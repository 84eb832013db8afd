"""What a figure must be read with: hardware, versions, commit; and the folder of results that are of this machine."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = [
    "CACHE",
    "RESULTS",
    "documented",
    "file_of",
    "folder_of",
    "gpu",
    "machine",
    "memory",
    "processor",
    "record",
    "recorded",
]

RESULTS = Path(__file__).parents[1] / "results"

CACHE = RESULTS / "cache"
"""Where runs keep what they may need again; none of it is a result."""

DOCUMENTED = "amd-epyc-2-cores"
"""The folder of the machine whose results README and docs show."""

PACKAGES = (
    *("blackbox-explain", "numpy", "torch", "onnxruntime", "onnxruntime-gpu", "tensorflow", "tensorflow-cpu", "keras"),
    *("captum", "grad-cam", "shap", "lime", "dianna", "xplique", "scikit-image", "scikit-learn"),
)
"""Whose versions are recorded, where they are installed."""


def machine(commit: str | None = None) -> dict[str, Any]:
    """Return hardware, versions and commit; of an accelerator where PyTorch is loaded and has one.

    Parameters
    ----------
    commit
        Of the sources, where they are no repository.
    """
    versions: dict[str, str] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    found: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count(), "memory_gib": memory()}
    card = gpu()
    if card:
        found["gpu"] = card
    return {**found, "versions": versions, "commit": commit or _commit()}


def folder_of(known: dict[str, Any], results: Path = RESULTS) -> Path:
    """Return the folder of results of a machine that `machine` told of: named by its GPU, else processor and cores."""
    named = known["gpu"]["name"] if "gpu" in known else f"{known['processor']} {known['cores']} cores"
    words = re.sub(r"\((r|tm)\)|processor|cpu|@.*?ghz", "", named.lower())
    return results / re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def record(
    name: str,
    settings: dict[str, Any],
    measured: dict[str, Any],
    results: Path = RESULTS,
    commit: str | None = None,
    known: dict[str, Any] | None = None,
) -> Path:
    """Write what was measured so far, with machine, settings and date, to the machine's folder.

    Parameters
    ----------
    name
        Of the benchmark.
    settings
        That it was run with.
    measured
        Part by part; every timing with all of its repetitions.
    results
        Folder of the folders of machines.
    commit
        As in `machine`.
    known
        What `machine` returned before, where a run writes several times.
    """
    told = known or machine(commit)
    folder = folder_of(told, results)
    folder.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    whole = {"benchmark": name, "date": date, "machine": told, "settings": settings, "measured": measured}
    path = folder / file_of(name, settings)
    # By way of another file: a run that is killed while it writes leaves what was there.
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def file_of(name: str, settings: dict[str, Any]) -> str:
    """Return the name of a benchmark's file: runs on a GPU, and those that only show that it works, have another."""
    on_gpu = settings.get("device") == "cuda" and name != "gpu"
    short = settings.get("quick") or settings.get("tiny")
    return f"{name}{'-cuda' if on_gpu else ''}{'-quick' if short else ''}.json"


def recorded(name: str, results: Path = RESULTS, settings: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Return what `record` wrote of a benchmark on this machine, with such settings; None where it has not."""
    return _read(folder_of(machine(), results) / file_of(name, settings or {}))


def documented(name: str) -> dict[str, Any] | None:
    """Return what was written of a benchmark on the machine whose results the docs show; None where nothing was."""
    return _read(RESULTS / DOCUMENTED / f"{name}.json")


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def gpu() -> dict[str, Any] | None:
    """Return what PyTorch says of the first CUDA device; None where it is not loaded, or has none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    told = torch.cuda.get_device_properties(0)
    return {
        "name": told.name,
        "memory_gib": round(told.total_memory / 2**30, 1),
        "multiprocessors": told.multi_processor_count,
        "capability": f"{told.major}.{told.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> float | None:
    """Return the memory of the machine in GiB; None where it does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _commit() -> str:
    """Return the commit, ``-dirty`` where files are changed that are not results of benchmarks."""
    head = _git("describe", "--always")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)benchmarks/results")
    return f"{head}-dirty" if head and changed else head or "unknown"


def _git(*words: str) -> str:
    try:
        asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    except FileNotFoundError:  # no git
        return ""
    return asked.stdout.strip()
