"""What the figures of peers say, photo by photo: who has smaller regions, and who is faster and better."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.statistics import compared
from benchmarks.peers.rows import LEFT

__all__ = ["PLAIN", "REGION", "Summary", "summary", "verdicts"]

REGION = "smallest region at 95 %"

PLAIN = "plain loop, 300 steps"

Summary = dict[str, Any]


def summary(measured: dict[str, Any]) -> dict[str, Summary]:
    """Return median seconds, mean queries and mean quality of each row that was measured in all photos."""
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
    """Return what can be said of them, in sentences."""
    told = summary(measured)
    judged = {name: row for name, row in told.items() if row["quality"]}
    peers = [name for name in judged if not name.startswith("ours")]
    ours = [name for name in judged if name.startswith("ours")]
    if not peers or not ours:
        return []
    best = min(ours, key=lambda name: judged[name]["quality"][REGION])
    smaller = [one for one in peers if judged[one]["quality"][REGION] < judged[best]["quality"][REGION]]
    near = min(peers, key=lambda name: judged[name]["quality"][REGION])
    test = compared(*(np.asarray(measured[name]["quality"][REGION]) for name in (best, near)))
    lines = [
        f"Smallest region: {best}, {judged[best]['quality'][REGION]:.3f}; of the peers {near}, "
        f"{judged[near]['quality'][REGION]:.3f} (p = {test.p:.2g}).",
        f"Peers with a smaller one: {', '.join(smaller) or 'none'}.",
    ]
    quick = [name for name in ours if ", quick" in name]
    for own in quick:
        better = [
            f"{peer} ({', '.join(at)})"
            for peer in peers
            if judged[peer]["seconds"] < judged[own]["seconds"]
            and (at := [one for one in LEFT if judged[peer]["quality"][one] < judged[own]["quality"][one]])
        ]
        lines.append(f"Faster than {own}, and better at some deleted share: {'; '.join(better) or 'none'}.")
    if PLAIN in judged:
        lines += _against_plain(told)
    return lines


def _against_plain(told: dict[str, Summary]) -> list[str]:
    """Return by how much each of ours is faster than the loop that a user would write."""
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
