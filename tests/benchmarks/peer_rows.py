"""Rows of peers as a run stores them."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.rows import LEFT, METRICS

__all__ = ["KNOWN", "ours_of", "row_of"]

KNOWN: dict[str, Any] = {"commit": "abc", "versions": {"numpy": "1"}}


def row_of(seconds: list[float], value: float, photos: int = 8, **of_ours: Any) -> dict[str, Any]:
    """Return a row in which every metric is about `value` in each photo."""
    quality = {name: [value + place / 1000 for place in range(photos)] for name in (*METRICS, *LEFT)}
    row = {"all_s": seconds, "queries": [60] * len(seconds), "quality": quality, "commits": ["abc"] * len(seconds)}
    return {**of_ours, **row}


def ours_of(seconds: list[float], value: float, photos: int = 8, together: int = 1) -> dict[str, Any]:
    return row_of(seconds, value, photos, by="PyTorch", together=together)
