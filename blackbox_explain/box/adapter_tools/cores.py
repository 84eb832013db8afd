"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from blackbox_explain.errors import InputError

__all__ = ["THREADS", "cores", "limited_cores"]

THREADS = "BLACKBOX_EXPLAIN_THREADS"
"""Variable of the environment that says so, for several processes on one machine."""

CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return how many cores this process may use: all of the machine, unless `limited_cores` are fewer.

    Raises
    ------
    InputError
        As `limited_cores`.
    """
    return limited_cores() or os.cpu_count() or 1


def limited_cores() -> int | None:
    """Return how many cores this process may use where that is fewer than the machine has; None where it is all.

    What `THREADS` says counts first; then the cores that the process is bound to, and the time that its container may
    use: frameworks look at the former at most, and start a thread for each core of a machine of which they get two.

    Raises
    ------
    InputError
        If `THREADS` is no positive number.
    """
    if told := os.environ.get(THREADS):
        if not told.isdecimal() or int(told) < 1:
            raise InputError(f"{THREADS} is no number of threads", got=repr(told), expected="1 or more")
        return int(told)
    there = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    least = min(bound, *_quotas(), there)
    return least if least < there else None


def _quotas() -> list[int]:
    """Return the cores' worth of time that a container may use, by either version of control groups."""
    texts = [_read(CGROUPS / "cpu.max").split()]
    texts.append([_read(CGROUPS / "cpu" / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")])
    pairs = [one for one in texts if len(one) == 2 and all(number.isdecimal() for number in one)]
    return [max(1, math.ceil(int(quota) / int(period))) for quota, period in pairs if int(period) > 0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
