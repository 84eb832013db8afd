"""How memory and time grow with what is varied: a straight line through each round's figures."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DEPARTURE", "MEMORY", "TIME", "departures", "growths", "slopes"]

MEMORY, TIME = 0.05, 0.10
"""The most by which memory may rise along the line from the least to the most of what is varied, and the last tenth of
a run may take longer than the first, where there is to be no growth."""

DEPARTURE = 0.10
"""The most by which figures may depart from the line, of its rise, where growth is to be linear."""

Rows = list[dict[str, Any]]
"""One for each value of what is varied, with the ``runs`` of all rounds; older rows have their median alone."""


def slopes(rows: Rows, varied: str, figure: str) -> list[float]:
    """Return, of each round, by how much a figure rises for one more of what is varied."""
    return [float(np.polyfit(given, found, 1)[0]) for given, found in _rounds(rows, varied, figure)]


def growths(rows: Rows, varied: str, figure: str) -> list[float]:
    """Return, of each round, the rise of the line from the least to the most, over where it begins."""
    rises: list[float] = []
    for given, found in _rounds(rows, varied, figure):
        slope, start = np.polyfit(given, found, 1)
        least = given.min()
        rises.append(float(slope * np.ptp(given) / (start + slope * least)))
    return rises


def departures(rows: Rows, varied: str, figure: str) -> list[float]:
    """Return, of each round, the largest distance from the line, over its rise from the least to the most."""
    found: list[float] = []
    for given, values in _rounds(rows, varied, figure):
        line = np.polyfit(given, values, 1)
        found.append(float(np.abs(values - np.polyval(line, given)).max() / abs(line[0] * np.ptp(given))))
    return found


def _rounds(rows: Rows, varied: str, figure: str) -> list[tuple[Any, Any]]:
    """Return what is varied, and the figure, of each round; nothing where a line would be of fewer than two points."""
    given = np.asarray([row[varied] for row in rows], dtype=float)
    if len(np.unique(given)) < 2:
        return []
    runs = [row.get("runs") or [row] for row in rows]
    whole = min(map(len, runs))
    return [(given, np.asarray([one[turn][figure] for one in runs], dtype=float)) for turn in range(whole)]
