"""What the figures of peers say, photo by photo: who has smaller regions, and who is faster and better."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.statistics import compared
from benchmarks.peers.rows import LEFT, METRICS

__all__ = ["PLAIN", "REGION", "Summary", "summary", "verdicts"]

REGION = "smallest region at 95 %"

OURS = "ours, fast, PyTorch"
"""The default, by the same network that peers are shown."""

QUICK = ("ours, quick, PyTorch", "ours, quick, ONNX")

PLAIN = "plain loop, 300 steps"

Summary = dict[str, Any]


def summary(measured: dict[str, Any]) -> dict[str, Summary]:
    """Return median seconds, mean queries and mean quality of each row that did not fail."""
    return {
        name: {
            "seconds": float(np.median(row["all_s"])),
            "queries": float(np.mean(row["queries"])),
            "photos": len(row["all_s"]),
            "quality": {metric: float(np.nanmean(values)) for metric, values in row.get("quality", {}).items()},
        }
        for name, row in measured.items()
        if row.get("all_s") and "failed" not in row
    }


def verdicts(measured: dict[str, Any]) -> list[str]:
    """Return what can be said of rows of as many photos as ours, in sentences; nothing where ours is missing."""
    told = summary(measured)
    if OURS not in told:
        return []
    judged = {name: row for name, row in told.items() if row["quality"] and row["photos"] == told[OURS]["photos"]}
    peers = [name for name in judged if not name.startswith("ours")]
    lines: list[str] = []
    for metric in METRICS:
        better = _better(measured, judged, peers, OURS, [metric])
        lines.append(f"Better than {OURS}, by the mean of {metric}: {'; '.join(better) or 'none'}.")
    for own in QUICK:
        if own in judged:
            faster = [one for one in peers if judged[one]["seconds"] < judged[own]["seconds"]]
            better = _better(measured, judged, faster, own, LEFT)
            lines.append(f"Faster than {own}, and better once some share is blurred: {'; '.join(better) or 'none'}.")
    beside = [one for one in peers if not _beaten(judged, one)]
    lines.append(f"No preset is both faster and has a smaller region than: {', '.join(beside) or 'none'}.")
    return lines + (_against_plain(told) if PLAIN in judged else [])


def _beaten(judged: dict[str, Summary], peer: str) -> bool:
    theirs = judged[peer]
    return any(
        own["seconds"] < theirs["seconds"] and own["quality"][REGION] < theirs["quality"][REGION]
        for name, own in judged.items()
        if name.startswith("ours")
    )


def _better(
    measured: dict[str, Any], judged: dict[str, Summary], peers: list[str], own: str, metrics: Any
) -> list[str]:
    """Return who has a better mean by some of the metrics, with p of the paired comparison."""
    found: list[str] = []
    for peer in peers:
        at: list[str] = []
        for metric in metrics:
            ours, theirs = (judged[one]["quality"][metric] for one in (own, peer))
            if theirs > ours if metric.startswith("insertion") else theirs < ours:
                test = compared(*(np.asarray(measured[one]["quality"][metric]) for one in (peer, own)))
                at.append(f"{metric} {theirs:.3f} against {ours:.3f}, p = {test.p:.2g}")
        if at:
            found.append(f"{peer} ({'; '.join(at)})")
    return found


def _against_plain(told: dict[str, Summary]) -> list[str]:
    """Return by how much each of ours is faster than the loop that a user would write, by median seconds."""
    plain = told[PLAIN]
    lines: list[str] = []
    for name, row in told.items():
        if not name.startswith("ours"):
            continue
        times = f"{name}: {plain['seconds'] / row['seconds']:.1f} times as fast as the plain loop"
        if row["quality"]:
            worse = [one for one in LEFT if row["quality"][one] >= plain["quality"][one]]
            times += f"; not better at {', '.join(worse)}" if worse else "; better at every deleted share"
        lines.append(f"{times}.")
    return lines
