"""What images are like: misread with confidence, nearly the same twice, or without any explanation."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, counted
from blackbox_explain.report.page.content import Finding

__all__ = ["confident_mistakes", "failures", "near_duplicates"]

CONFIDENT = 0.8
"""A score from which on a model is sure of a class."""

BITS = 3
"""Most bits in which the hashes of near duplicates differ; chance alone makes half of 64 differ."""

BANDS = (*(2**13 - 1 << 13 * band for band in range(4)), 2**12 - 1 << 52)
"""Of bits of a hash: where three bits differ, two of the five bands at least are the same.  Single bands are shared by
all images with a plain sky."""


def confident_mistakes(audited: Audited) -> Finding:
    """Find images that the model is sure of, and wrong."""
    label, target, score = (audited.numbers(name) for name in ("label", "target_index", "score"))
    among = audited.explained & ~np.isnan(label) & ~np.isnan(target)
    return counted(
        audited,
        "confident mistake",
        (label != target) & (score >= CONFIDENT),
        among,
        "{count} of {total} images with labels are misread with a score of " + f"{CONFIDENT:g} or more",
        "Their regions show what the model takes for the other class; or the label is wrong.",
        -score,
        missing="no labels were given",
    )


def near_duplicates(audited: Audited) -> Finding:
    """Find images that look like another one of the data set."""
    looks = np.asarray([int(one) for one in audited.table.column("look").to_pylist()], dtype=np.uint64)
    seen = (audited.texts("sha256") != "") & (looks != 0)
    group = _groups(looks[seen])
    partner, first = np.zeros(len(looks), dtype=bool), np.zeros(len(looks))
    partner[seen] = np.bincount(group, minlength=len(group))[group] > 1
    first[seen] = group
    return counted(
        audited,
        "near duplicate",
        partner,
        seen,
        "{count} of {total} images look like another one of the data set",
        "Accuracy on images that were also trained on, or are counted twice, says little.",
        first,
        serious=False,
    )


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
        for rows in np.split(order, starts[1:]):
            if len(rows) > 1:
                pairs.append(_alike(found, rows))
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


def failures(audited: Audited) -> Finding:
    """Find images that there is nothing of."""
    return counted(
        audited,
        "failed",
        ~audited.explained,
        np.ones(len(audited), dtype=bool),
        "{count} of {total} images could not be explained",
        "The file cannot be read, or the model fails on it; the table has the reason of each.",
    )
