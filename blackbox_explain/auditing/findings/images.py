"""What images are like: misread with confidence, nearly the same twice, or without any explanation."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, counted
from blackbox_explain.report.page.content import Finding

__all__ = ["confident_mistakes", "failures", "near_duplicates"]

CONFIDENT = 0.8
"""A score from which on a model is sure of a class."""

BITS = 3
"""Most bits in which the hashes of near duplicates differ; chance alone makes half of 64 differ."""

BAND = 16
"""Bits of a quarter of a hash: of hashes that differ in three bits, one quarter is the same."""


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
    looks = [int(one) for one in audited.table.column("look").to_pylist()]
    seen = np.asarray(audited.texts("sha256") != "") & (np.asarray(looks, dtype=np.uint64) != 0)
    group = np.arange(len(looks))
    partner = np.zeros(len(looks), dtype=bool)
    for place in range(0, 64, BAND):
        bands: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(seen).tolist():
            bands[(looks[row] >> place) & (2**BAND - 1)].append(row)
        for rows in bands.values():
            for at, one in enumerate(rows):
                for other in rows[at + 1 :]:
                    if (looks[one] ^ looks[other]).bit_count() <= BITS:
                        partner[[one, other]] = True
                        group[other] = group[one] = min(group[one], group[other])
    return counted(
        audited,
        "near duplicate",
        partner,
        seen,
        "{count} of {total} images look like another one of the data set",
        "Accuracy on images that were also trained on, or are counted twice, says little.",
        group.astype(float),
        serious=False,
    )


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
