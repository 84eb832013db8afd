"""Results that version 0.1 saved, read as those of today: masks alone, a status in words, one mapping of settings."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.explanation.outcome import Outcome

__all__ = ["from_format_1"]

NAMES = {"target_weights": "weights", "score_original": "score", "evaluations": "queries"}
"""Arrays that have another name now."""

SUPPRESS = 0.5
"""Share of the score that version 0.1 asked a region to take away, at least."""

OF_RUN = ("seed", "batch_size", "gradients", "activation", "assumptions", "doubts", "notes", "versions", "model")
"""Settings that are no settings of the method."""


def from_format_1(arrays: dict[str, Any], meta: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the rest of a file of today.

    Parameters
    ----------
    arrays, meta
        What was read of a file of format 1.

    Raises
    ------
    KeyError
        If something is missing.
    """
    told = dict(meta.pop("settings"))
    arrays = {NAMES.get(name, name): array for name, array in arrays.items()}
    arrays.setdefault("region_images", arrays["masked_images"])
    arrays.setdefault("score_region", arrays["score_masked"])
    region = arrays["saliency"] > 0.5
    count = len(region)
    arrays |= {
        "region": region,
        "share": np.where(np.isfinite(arrays["score"]), region.reshape(count, -1).mean(axis=1), np.nan),
        "curve": np.zeros((count, 0)),
    }
    notes = list(told.get("notes", ()))
    why = next((note.partition(": ")[2] for note in notes if note.startswith("the gradient is estimated")), "")
    provenance = {name: told.pop(name) for name in OF_RUN if name in told}
    provenance["notes"] = [note for note in notes if not note.startswith("the gradient is estimated")]
    provenance |= {
        "method": told.pop("method", "mask"),
        "reading": told.pop("input", {"bounds": [0.0, 1.0]}),
        "why_estimated": why,
        "model_fingerprint": meta.pop("model_fingerprint", ""),
    }
    statuses = [Outcome.read(one.replace("soft: ", "weak: ", 1)) for one in meta.pop("status")]
    return arrays, {
        **meta,
        "type": "MaskExplanation",
        "method": "mask",
        "game": told["game"],
        "perturbation": told["perturbation"],
        "learns": "mask",
        "curve_shares": [],
        "suppress": SUPPRESS,
        "outcome": [[one.kind, one.message] for one in statuses],
        "provenance": {**provenance, "settings": told},
    }
