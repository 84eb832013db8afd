"""Doubts about a run: told from several of its photos at once, however few are learned together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import ModelError, OutOfMemoryError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.outcome import kind_of, status_of
from blackbox_explain.explanation.preprocessing_doubts import look
from blackbox_explain.methods.mask.settings import PresetName, make_perturbation, settings_for
from blackbox_explain.perturbations.perturbation import Perturbation

__all__ = ["LOOKED_AT", "doubts_of_run", "judged"]

LOOKED_AT = 16
"""Photos of a run that its doubts are told from."""

SCORES = ("score_original", "score_masked", "score_region", "score_perturbed", "target_weights")


def doubts_of_run(
    box: BlackBox, images: np.ndarray[Any, Any], perturbation: str | Perturbation, preset: PresetName, seed: int
) -> list[str] | None:
    """Return the doubts about some photos of a run; None where the model fails on one, so that each tells its own."""
    made = make_perturbation(perturbation, settings_for(preset, {}))
    try:
        return look(box, images, made, seed)
    except (ModelError, OutOfMemoryError):
        return None


def judged(result: Explanation, doubts: Sequence[str]) -> Explanation:
    """Return a result with the doubts of its whole run in place of those about the photos it was learned with."""
    game, *learned = (result.settings[name] for name in ("game", "preset", "perturbation"))
    status = tuple(
        before
        if kind_of(before) == "failed"
        else status_of({name: getattr(result, name)[row] for name in SCORES}, game, doubts, *learned)
        for row, before in enumerate(result.status)
    )
    return replace(result, settings={**result.settings, "doubts": list(doubts)}, status=status)
