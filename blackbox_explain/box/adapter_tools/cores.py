"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

from blackbox_explain.errors import InputError

__all__ = ["THREADS", "cores", "limited_cores"]

THREADS = "BLACKBOX_EXPLAIN_THREADS"
"""Variable of the environment that says so, for several processes on one machine."""

SYSTEM = Path("/sys")
OWN_GROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """Return how many cores this process may use: all of the machine, unless `limited_cores` says otherwise.

    Raises
    ------
    InputError
        As `limited_cores`.
    """
    return limited_cores() or os.cpu_count() or 1


def limited_cores() -> int | None:
    """Return how many threads a framework should use at most; None where its own choice is right.

    What `THREADS` says counts first; then the cores that the process is bound to, and the time that its container may
    use: frameworks look at the former at most, and start a thread for each core of a machine of which they get two.
    Two threads of one core count as one, as frameworks have it.

    Raises
    ------
    InputError
        If `THREADS` is no positive number.
    """
    if told := os.environ.get(THREADS, "").strip():
        if not told.isdecimal() or int(told) < 1:
            raise InputError(f"{THREADS} is no number of threads", got=repr(told), expected="1 or more")
        return int(told)
    every = set(range(os.cpu_count() or 1))
    bound = set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    there = _physical(every)
    least = min(_physical(bound), *_quotas(), there)
    return least if least < there else None


def _physical(processors: set[int]) -> int:
    """Return of how many cores some processors are."""
    topology = SYSTEM / "devices" / "system" / "cpu"
    return len({_read(topology / f"cpu{k}" / "topology" / "thread_siblings_list") or str(k) for k in processors})


def _quotas() -> list[int]:
    """Return the cores' worth of time of each group that this process is in, by either version of control groups."""
    texts: list[list[str]] = []
    for line in _read(OWN_GROUPS).splitlines() or ["0::/", "0:cpu:/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = SYSTEM / "fs" / "cgroup" / ("cpu" if controllers else "")
        # Each group is within those above it; in a container its own is the root.
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            folder = root / str(group).lstrip("/")
            texts.append(_read(folder / "cpu.max").split())
            texts.append([_read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")])
    pairs = [one for one in texts if len(one) == 2 and all(number.isdecimal() for number in one)]
    return [max(1, math.ceil(int(quota) / int(period))) for quota, period in pairs if int(period) > 0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
