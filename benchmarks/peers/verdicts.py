"""What the figures of peers say, photo by photo: who has smaller regions, who is faster and better, and how sure it is.

Photos are paired: Wilcoxon's signed-rank test of each metric, a t-test of the logarithms of speeds.  A claim holds if
each of its comparisons is as claimed beyond chance, and not if one is the other way (Holm); it is undecided as long as
peers or photos are missing.  Who is faster is told by medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.paper.statistics import SURE, Compared, Way, against, all_hold, compared, mean_of
from benchmarks.peers.methods import PEERS
from benchmarks.peers.rows import CAP, LEFT, METRICS, REGIONS

__all__ = [
    "COSTLY",
    "OURS",
    "PHOTOS",
    "PLAIN",
    "QUICK",
    "TOGETHER",
    "Rows",
    "Verdict",
    "complete",
    "is_ours",
    "photos_of",
    "seconds_of",
    "times_of",
    "verdicts",
]

OURS = "ours, fast, PyTorch"
"""The default, by the same network that peers are shown."""

QUICK = "ours, quick, PyTorch"

THOROUGH = "ours, thorough, PyTorch"
"""What ours is at any cost, as peers are with a large budget."""

PLAIN = "plain loop, 300 steps"

WANTED = {"PyTorch": 20, "ONNX": 40}
"""Times as fast as the plain loop."""

TOGETHER = 8
"""Photos at once, in the rows that say so."""

PHOTOS = 40
"""Of a whole run."""

COSTLY = 10
"""Photos of peers that take very many images."""

MARGIN = 0.02
"""Of the score: who leaves more than a peer by less than this leaves as little."""

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


def photos_of(row: dict[str, Any]) -> int:
    """Return how many photos a row is of so far."""
    return len(row.get("queries", ())) * int(row.get("together", 1))


def complete(measured: Rows) -> Rows:
    """Return the rows that hold all photos that they should: as many as the default of ours."""
    photos = _photos(measured)
    return {
        name: row for name, row in measured.items() if 0 < _wanted(name, row, photos) <= len(row.get("queries", ()))
    }


def verdicts(measured: Rows, photos: int = PHOTOS) -> list[Verdict]:
    """Return what can be said of the rows that are complete; nothing where that of the default is missing.

    Parameters
    ----------
    measured
        Rows by name.
    photos
        Of a whole run: of fewer, no claim holds yet.
    """
    rows = complete(measured)
    if OURS not in rows:
        return []
    peers = [name for name, row in rows.items() if not is_ours(row) and name in PEERS]
    found = [_smaller(rows, peers, metric, ours) for ours in (OURS, THOROUGH) if ours in rows for metric in REGIONS]
    if QUICK in rows:
        found.append(_none_better(rows, _faster_than(rows, QUICK, peers)))
    found += [_corner(rows, peers, metric) for metric in REGIONS]
    found += [_better(rows, peers, metric) for metric in METRICS if metric not in REGIONS]
    missing = ", ".join(name for name in PEERS if name not in rows)
    if missing:
        found = [_not_yet(one, f"not among them: {missing}") for one in found]
    if PLAIN in rows:
        found += [_times(rows, by, own) for by in WANTED if (own := [one for one in rows if rows[one].get("by") == by])]
    if _photos(measured) < photos:
        found = [_not_yet(one, f"so far of {_photos(measured)} of {photos} photos") for one in found]
    return found


def _not_yet(one: Verdict, why: str) -> Verdict:
    return replace(one, holds=one.holds and None, told=f"{one.told}; {why}".removeprefix("; "))


def _photos(measured: Rows) -> int:
    return photos_of(measured.get(OURS, {}))


def _wanted(name: str, row: dict[str, Any], photos: int) -> int:
    if name in PEERS and PEERS[name].costly:
        return min(COSTLY, photos)
    return photos // row.get("together", 1)


def _faster_than(rows: Rows, ours: str, peers: Iterable[str]) -> list[str]:
    return [peer for peer in peers if seconds_of(rows[peer]) < seconds_of(rows[ours])]


def _of(rows: Rows, name: str, metric: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(rows[name]["quality"][metric], np.float64)


def _pair(rows: Rows, ours: str, theirs: str, metric: str) -> Compared:
    """Compare two rows in the photos that both have."""
    one, other = _of(rows, ours, metric), _of(rows, theirs, metric)
    both = min(len(one), len(other))
    return compared(one[:both], other[:both])


def _smaller(rows: Rows, peers: Sequence[str], metric: str, ours: str) -> Verdict:
    found = _better(rows, peers, metric, ours)
    capped = {name: int((_of(rows, name, metric) >= CAP).sum()) for name in (ours, *peers)}
    told = "; ".join(f"{name} {count}" for name, count in capped.items() if count)
    return Verdict(found.claim, found.holds, found.told + (f"; photos that count as {CAP}: {told}" if told else ""))


def _better(rows: Rows, peers: Sequence[str], metric: str, ours: str = OURS) -> Verdict:
    way: Way = "higher" if metric.startswith("insertion") else "lower"
    tests = {peer: _pair(rows, ours, peer, metric) for peer in peers}
    claim = f"{metric}: {ours} is {way} than every peer"
    told = [f"{mean_of(_of(rows, ours, metric))}, of {len(peers)} peer{'s' * (len(peers) != 1)}"]
    told += _exceptions({peer: (test, way) for peer, test in tests.items()}, rows, metric)
    return Verdict(claim, all_hold((test, way) for test in tests.values()), "; ".join(told))


def _exceptions(tests: dict[str, tuple[Compared, Way]], rows: Rows, metric: str) -> list[str]:
    """Return the peers that are better beyond chance, and those that nothing is known of, with their means."""
    parts: dict[str, list[str]] = {"better": [], "undecided": []}
    photos = photos_of(rows[OURS])
    for peer, (test, way) in tests.items():
        ours_is, theirs_is = (test.lower, test.higher) if way == "lower" else (test.higher, test.lower)
        if not ours_is:
            few = f", ours {test.difference:+.3f} on the same {test.images}" if test.images < photos else ""
            shown = f"{peer} {mean_of(_of(rows, peer, metric))} (p = {test.p:.2g}{few})"
            parts["better" if theirs_is else "undecided"].append(shown)
    return [f"{kind}: {', '.join(some)}" for kind, some in parts.items() if some]


def _none_better(rows: Rows, faster: Sequence[str]) -> Verdict:
    """Tell whether a faster peer leaves less of the score by more than matters.

    It holds if the one-sided 95 % interval of what `QUICK` leaves more ends below `MARGIN` at each share, and does not
    if one begins above it (Bonferroni).
    """
    tests = {(peer, metric): _pair(rows, QUICK, peer, metric) for peer in faster for metric in LEFT}
    told = [f"faster: {', '.join(faster) or 'none'}"]
    for peer in faster:
        ahead = [
            f"{metric.removeprefix('score left, ')} by {test.difference:.3f} (p = {test.p:.2g})"
            for metric in LEFT
            if (test := tests[peer, metric]).difference > MARGIN
        ]
        told += [f"{peer} leaves less in the mean at {'; '.join(ahead)}"] if ahead else []
    beyond = any(test.difference - _half(test, SURE / len(tests)) > MARGIN for test in tests.values())
    within = all(test.difference + _half(test, SURE) < MARGIN for test in tests.values())
    holds = False if beyond else within or None
    claim = f"No peer that is faster than {QUICK} leaves less of the score, by {MARGIN:g} or more, at any deleted share"
    return Verdict(claim, holds, "; ".join(told))


def _half(test: Compared, level: float) -> float:
    """Return how far a one-sided interval of a mean difference reaches."""
    return float(stats.t.ppf(1 - level, max(1, test.images - 1))) * test.error


def _corner(rows: Rows, peers: Sequence[str], metric: str) -> Verdict:
    """Tell whether our presets alone bound the good corner: by PyTorch, which peers are shown, and one at a time."""
    ours = [name for name, row in rows.items() if row.get("by") == "PyTorch" and row["together"] == 1]
    pairs = [(own, peer) for own in ours for peer in _faster_than(rows, own, peers)]
    tests = {pair: _pair(rows, *pair, metric) for pair in pairs}
    told = [
        f"{peer}, faster than {own.split(', ')[1]}, is {'smaller' if test.higher else 'undecided'} (p = {test.p:.2g})"
        for (own, peer), test in tests.items()
        if not test.lower
    ]
    claim = f"{metric} against seconds: no peer is both faster and smaller than a preset by PyTorch"
    return Verdict(claim, all_hold((test, "lower") for test in tests.values()), "; ".join(told))


def _times(rows: Rows, by: str, own: Sequence[str]) -> Verdict:
    """Tell whether a preset by a backend is so much faster than the loop that a user would write, and deletes better.

    One row is enough: p-values of speeds are multiplied by the number of rows, and those of what is left by the number
    of rows that are fast enough, since no other could hold.
    """
    wanted, held, told = WANTED[by], list[bool | None](), list[str]()
    times_by = {name: times_of(rows, name) for name in own}
    speeds = {
        name: _one_of(against(np.log(times), float(np.log(wanted))), len(own)) for name, times in times_by.items()
    }
    enough = sum(one.higher for one in speeds.values())
    for name, times in times_by.items():
        left = {metric: _one_of(_pair(rows, name, PLAIN, metric), max(1, enough)) for metric in LEFT}
        every: list[tuple[Compared, Way]] = [(speeds[name], "higher"), *((test, "lower") for test in left.values())]
        held.append(all_hold(every))
        short = [metric.removeprefix("score left, ") for metric, test in left.items() if not test.lower]
        what = f"not less is left at {'; '.join(short)}" if short else "less is left at every share"
        told.append(f"{name.removeprefix('ours, ')}: {np.median(times):.1f} times, {what}")
    holds = True if any(held) else False if all(one is False for one in held) else None
    claim = (
        f"A preset by {by}, of one photo or {TOGETHER} at once: per photo at least {wanted} times as fast as the "
        f"{PLAIN}, which takes one, at a better table of deletions"
    )
    return Verdict(claim, holds, "; ".join(told))


def _one_of(test: Compared, count: int) -> Compared:
    """Return a comparison that is one of several, any of which is enough (Bonferroni)."""
    return replace(test, p=min(1.0, test.p * count))


def times_of(rows: Rows, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how many times as fast a row of ours is as the plain loop: a figure for each call."""
    step, own, plain = rows[name]["together"], np.asarray(rows[name]["all_s"]), np.asarray(rows[PLAIN]["all_s"])
    groups = min(len(own), len(plain) // step)
    return plain[: groups * step].reshape(groups, step).mean(axis=1) / own[:groups]
