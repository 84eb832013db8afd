"""What images are like: misread with confidence, nearly the same twice, or without any explanation."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, Booleans, Floats
from blackbox_explain.auditing.findings.counting import Clearest, Question
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.report.page.content import Finding

__all__ = ["CONFIDENT_MISTAKE", "FAILED", "NearDuplicates"]

CONFIDENT = 0.8
"""A score from which on a model is sure of a class."""

BITS = 3
"""Most bits in which the hashes of near duplicates differ; chance alone makes half of 64 differ."""

BANDS = (*(2**13 - 1 << 13 * band for band in range(4)), 2**12 - 1 << 52)
"""Of bits of a hash: where three bits differ, two of the five bands at least are the same.  Single bands are shared by
all images with a plain sky."""


WINDOW = 500_000
"""Images that are compared with each other: those that follow one another in the table, so that memory does not grow
with the data set."""


def _mistaken(images: Audited) -> tuple[Booleans, Booleans, Floats]:
    label, target, score = (images.numbers(name) for name in ("label", "target_index", "score"))
    among = images.explained & ~np.isnan(label) & ~np.isnan(target)
    return (label != target) & (score >= CONFIDENT), among, -score


def _failed(images: Audited) -> tuple[Booleans, Booleans, Floats]:
    return ~images.explained, np.ones(len(images), dtype=bool), np.zeros(len(images))


CONFIDENT_MISTAKE = Question(
    "confident mistake",
    f"{{count}} of {{total}} images with labels are misread with a score of {CONFIDENT:g} or more",
    "Their regions show what the model takes for the other class; or the label is wrong.",
    _mistaken,
    missing="no labels were given",
)

FAILED = Question(
    "failed",
    "{count} of {total} images could not be explained",
    "The file cannot be read, or the model fails on it; the table has the reason of each.",
    _failed,
)


@dataclass
class NearDuplicates:
    """Finds images that look like another one of the data set."""

    count: int = 0
    total: int = 0
    _groups: int = 0
    _clearest: Clearest = field(default_factory=Clearest)
    _looks: list[np.ndarray[Any, np.dtype[np.uint64]]] = field(default_factory=list)
    _positions: list[np.ndarray[Any, np.dtype[np.int64]]] = field(default_factory=list)

    def add(self, images: Audited) -> None:
        """Take in some images; those that could not be decoded do not count."""
        looks = np.asarray([int(one or 0) for one in images.table.column("look").to_pylist()], dtype=np.uint64)
        seen = (images.texts("sha256") != "") & (looks != 0)
        self._looks.append(looks[seen])
        self._positions.append(images.positions[seen])
        if sum(map(len, self._looks)) >= WINDOW:
            self._compare()

    def found(self) -> Finding:
        """Return how many images of those so far look like another one."""
        self._compare()
        title = f"{self.count} of {self.total} images look like another one of the data set"
        if self.total > WINDOW:
            title += f" (only among each {WINDOW:,} that follow one another)"
        about = "Accuracy on images that were also trained on, or are counted twice, says little."
        if not self.total:
            return Finding("near duplicate", "Not looked for: no image could be read", about, "none")
        interval = clopper_pearson(self.count, self.total)
        severity: Literal["notice", "none"] = "notice" if self.count else "none"
        positions = self._clearest.positions()
        return Finding("near duplicate", title, about, severity, self.count, self.total, *interval, positions)

    def _compare(self) -> None:
        if not self._looks:
            return
        looks, positions = np.concatenate(self._looks), np.concatenate(self._positions)
        self._looks.clear()
        self._positions.clear()
        group = _groups(looks)
        partner = np.bincount(group, minlength=len(group))[group] > 1
        self.count += int(partner.sum())
        self.total += len(looks)
        # Those that look alike stand together.
        self._clearest.add((self._groups + group)[partner].astype(float), positions[partner])
        self._groups += len(looks)


def _groups(looks: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the number of the group of each image: those that differ in few bits, from one to the next, share one."""
    from scipy.sparse import coo_array  # slow to load, and of what commands do only audits need it
    from scipy.sparse.csgraph import connected_components

    found, same = np.unique(looks, return_inverse=True)
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for one, other in combinations(BANDS, 2):
        keys = found & np.uint64(one | other)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order][:1]))
        ends = np.append(starts[1:], len(order))
        for many in np.flatnonzero(ends - starts > 1):
            pairs.append(_alike(found, order[starts[many] : ends[many]]))
    joined = np.concatenate(pairs)
    graph = coo_array((np.ones(len(joined)), joined.T), shape=(len(found), len(found)))
    return connected_components(graph, directed=False)[1][same].astype(np.int64)


def _alike(looks: np.ndarray[Any, np.dtype[np.uint64]], rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the pairs (P, 2) of some images whose hashes differ in few bits."""
    found: list[np.ndarray[Any, Any]] = []
    for at, one in enumerate(rows[:-1]):
        others = rows[at + 1 :]
        near = others[_bits(looks[others] ^ looks[one]) <= BITS]
        found.append(np.stack([np.full(len(near), one), near], axis=1))
    return np.concatenate(found)


def _bits(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, Any]:
    return np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
