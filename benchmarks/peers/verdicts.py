"""What the figures of peers say, photo by photo: who has smaller regions, who is faster and better, and how sure it is.

Photos are paired: Wilcoxon's signed-rank test of each metric, a t-test of the logarithms of speeds.  A claim holds if
each of its comparisons is as claimed beyond chance, and not if one is the other way (Holm).  Who is faster is told by
medians.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.paper.statistics import Compared, Way, against, all_hold, compared, mean_of
from benchmarks.peers.methods import PEERS
from benchmarks.peers.rows import CAP, LEFT, METRICS, REGIONS

__all__ = ["COSTLY", "OURS", "PLAIN", "TOGETHER", "Rows", "Verdict", "complete", "is_ours", "seconds_of", "verdicts"]

OURS = "ours, fast, PyTorch"
"""The default, by the same network that peers are shown."""

QUICK = "ours, quick, PyTorch"

PLAIN = "plain loop, 300 steps"

WANTED = {"PyTorch": 20, "ONNX": 40}
"""Times as fast as the plain loop."""

TOGETHER = 8
"""Photos at once, in the rows that say so."""

COSTLY = 10
"""Photos that peers are given a large budget for."""

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """A claim, whether it holds (None where neither is known), and the figures."""

    claim: str
    holds: bool | None
    told: str


def is_ours(row: dict[str, Any]) -> bool:
    """Tell whether a row is of this package."""
    return "by" in row


def seconds_of(row: dict[str, Any]) -> float:
    """Return the median seconds of an image."""
    return float(np.median(row["all_s"]))


def complete(measured: Rows) -> Rows:
    """Return the rows that hold all photos that they should: as many as the default of ours."""
    photos = len(measured[OURS]["queries"]) if OURS in measured else 0
    return {
        name: row for name, row in measured.items() if 0 < _wanted(name, row, photos) <= len(row.get("queries", ()))
    }


def verdicts(measured: Rows) -> list[Verdict]:
    """Return what can be said of the rows that are complete; nothing where that of the default is missing."""
    rows = complete(measured)
    if OURS not in rows:
        return []
    peers = [name for name, row in rows.items() if not is_ours(row)]
    found = [_smaller(rows, peers, metric) for metric in REGIONS]
    if QUICK in rows:
        found.append(_none_better(rows, [one for one in peers if seconds_of(rows[one]) < seconds_of(rows[QUICK])]))
    found += [_corner(rows, peers, metric) for metric in REGIONS]
    found += [_better(rows, peers, metric) for metric in METRICS if metric not in REGIONS]
    return found + ([_faster(rows, name) for name, row in rows.items() if is_ours(row)] if PLAIN in rows else [])


def _wanted(name: str, row: dict[str, Any], photos: int) -> int:
    if name in PEERS and PEERS[name].costly:
        return min(COSTLY, photos)
    return photos // row.get("together", 1)


def _of(rows: Rows, name: str, metric: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(rows[name]["quality"][metric], np.float64)


def _pair(rows: Rows, ours: str, theirs: str, metric: str) -> Compared:
    """Compare two rows in the photos that both have."""
    one, other = _of(rows, ours, metric), _of(rows, theirs, metric)
    both = min(len(one), len(other))
    return compared(one[:both], other[:both])


def _smaller(rows: Rows, peers: Sequence[str], metric: str) -> Verdict:
    found = _better(rows, peers, metric)
    capped = {name: int((_of(rows, name, metric) >= CAP).sum()) for name in (OURS, *peers)}
    told = "; ".join(f"{name} {count}" for name, count in capped.items() if count)
    return Verdict(found.claim, found.holds, found.told + (f"; photos that count as {CAP}: {told}" if told else ""))


def _better(rows: Rows, peers: Sequence[str], metric: str) -> Verdict:
    way: Way = "higher" if metric.startswith("insertion") else "lower"
    tests = {peer: _pair(rows, OURS, peer, metric) for peer in peers}
    claim = f"{metric}: {OURS} is {way} than every peer"
    told = [f"{mean_of(_of(rows, OURS, metric))}"]
    told += _exceptions({peer: (test, way) for peer, test in tests.items()}, rows, metric)
    return Verdict(claim, all_hold((test, way) for test in tests.values()), "; ".join(told))


def _exceptions(tests: dict[str, tuple[Compared, Way]], rows: Rows, metric: str) -> list[str]:
    """Return the peers that are better beyond chance, and those that nothing is known of, with their means."""
    parts: dict[str, list[str]] = {"better": [], "undecided": []}
    for peer, (test, way) in tests.items():
        ours_is, theirs_is = (test.lower, test.higher) if way == "lower" else (test.higher, test.lower)
        if not ours_is:
            shown = f"{peer} {mean_of(_of(rows, peer, metric))} (p = {test.p:.2g})"
            parts["better" if theirs_is else "undecided"].append(shown)
    return [f"{kind}: {', '.join(some)}" for kind, some in parts.items() if some]


def _none_better(rows: Rows, faster: Sequence[str]) -> Verdict:
    tests = {(peer, metric): _pair(rows, QUICK, peer, metric) for peer in faster for metric in LEFT}
    better = [
        f"{peer} at {metric.removeprefix('score left, ')} (p = {test.p:.2g})"
        for (peer, metric), test in tests.items()
        if test.higher
    ]
    even = [f"{peer} at {metric.removeprefix('score left, ')}" for (peer, metric), test in tests.items() if _even(test)]
    told = [f"faster: {', '.join(faster) or 'none'}"]
    told += [f"{what}: {'; '.join(some)}" for what, some in (("better", better), ("undecided", even)) if some]
    holds = all_hold((test, "lower") for test in tests.values()) if faster else True
    return Verdict(f"No peer that is faster than {QUICK} is better at any deleted share", holds, "; ".join(told))


def _even(test: Compared) -> bool:
    return not test.lower and not test.higher


def _corner(rows: Rows, peers: Sequence[str], metric: str) -> Verdict:
    """Tell whether our presets alone bound the good corner: by PyTorch, which peers are shown, and one at a time."""
    ours = [name for name, row in rows.items() if row.get("by") == "PyTorch" and row["together"] == 1]
    beside: dict[str, list[str]] = {"none is": [], "undecided": []}
    for peer in peers:
        faster = [own for own in ours if seconds_of(rows[own]) < seconds_of(rows[peer])]
        tests = [_pair(rows, own, peer, metric) for own in faster]
        if not any(test.lower for test in tests):
            beside["none is" if all(test.higher for test in tests) else "undecided"].append(peer)
    told = "; ".join(f"{what}: {', '.join(some)}" for what, some in beside.items() if some)
    claim = f"{metric} against seconds: a preset by PyTorch is both faster and smaller than each peer"
    return Verdict(claim, False if beside["none is"] else None if told else True, told)


def _faster(rows: Rows, name: str) -> Verdict:
    """Tell by how much one of ours is faster than the loop that a user would write, and whether it deletes better."""
    step = rows[name]["together"]
    own = np.asarray(rows[name]["all_s"])
    plain = np.asarray(rows[PLAIN]["all_s"])[: len(own) * step].reshape(-1, step).mean(axis=1)
    times = plain / own[: len(plain)]
    wanted = WANTED[rows[name]["by"]]
    fast: tuple[Compared, Way] = against(np.log(times), float(np.log(wanted))), "higher"
    left = {metric: _pair(rows, name, PLAIN, metric) for metric in LEFT}
    deletes = all_hold((test, "lower") for test in left.values())
    low, high = np.quantile(times, (0.25, 0.75))
    told = f"{np.median(times):.1f} times (quartiles {low:.1f} to {high:.1f})"
    if deletes:
        told += "; less of the score is left at every deleted share"
    elif short := [metric.removeprefix("score left, ") for metric, test in left.items() if not test.lower]:
        told += f"; not less of the score is left at {'; '.join(short)}"
    claim = f"{name}: at least {wanted} times as fast as the {PLAIN}, at a better table of deletions"
    every: list[tuple[Compared, Way]] = [fast, *((test, "lower") for test in left.values())]
    return Verdict(claim, all_hold(every), told)
