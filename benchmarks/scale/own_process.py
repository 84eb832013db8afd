"""What one process used: run in a new one, and asked for its peak of memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["asked_of", "held_mib", "peak_mib"]


def asked_of(module: str, *arguments: Any) -> dict[str, Any]:
    """Run a module with arguments (as JSON) in a new process; return the JSON of the last line that it prints.

    Raises
    ------
    SystemExit
        If that process fails, with what it said.
    """
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{module} {arguments} failed: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib() -> float:
    """Return the peak of this process: what getrusage tells on Linux counts that of the process that began it too."""
    told = _status("VmHWM:")
    if told is not None:
        return told
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def held_mib() -> float:
    """Return what this process holds now; its peak so far where the system does not tell."""
    told = _status("VmRSS:")
    return peak_mib() if told is None else told


def _status(name: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) / 2**10
