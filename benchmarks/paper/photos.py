"""The shared photos of the classes that the paper's figures show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.photos import confident_photos
from benchmarks.convergence import LIMIT, TUNED_ON
from benchmarks.paper.each_image import console
from benchmarks.paper.methods import make_maps
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.rules import black_box

__all__ = ["SHOWN", "WORDS", "chosen_on", "classified_right", "maps_made", "photos"]

WORDS = (
    "chocolate_sauce",
    "Pekinese",
    "cliff",
    "street_sign",
    "Komodo_dragon",
    "pickup",
    "CD_player",
    "sunglasses",
    "squirrel_monkey",
)
"""Of fig. 2, in its order."""

SHOWN = (*WORDS, "flute", "stethoscope", "espresso", "maypole", "tiger", "bison")
"""Of all figures."""


TUNED_WITH = "efficientnet-lite0"


def photos(plan: Plan, words: Sequence[str]) -> list[Labelled]:
    """Return photos, as many as the run takes."""
    return [plan.photo(word) for word in words[: plan.size(len(words))]]


def maps_made(plan: Plan, items: Sequence[Labelled], methods: Sequence[str]) -> bool:
    """Make the maps of this process's share; return whether all are there."""
    for some in plan.batches(items):
        for method in methods:
            make_maps(plan, some, method)
        console.print("  " + ", ".join(one.name for one in some))
    return not plan.is_part


def classified_right(plan: Plan, items: Sequence[Labelled]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return of which photos (n,) the class leads: others have hardly any score of it to lose."""
    tops = [int(np.asarray(plan.box.scores(np.asarray(one.image)))[0].argmax()) for one in items]
    return np.asarray([top == one.label for top, one in zip(tops, items, strict=True)])


def chosen_on(items: Sequence[Labelled]) -> str:
    """Say by which of some photos the settings of our own mask were chosen."""
    tuned = confident_photos(black_box(TUNED_WITH, threads=1), "stretch").paths[TUNED_ON][:LIMIT]
    ours = {path.name for path in tuned}
    seen = ", ".join(one.name for one in items if one.name in ours) or "none"
    where = f"with {TUNED_WITH}, on {len(tuned)} of the shared photos"
    return f"Settings of ours (fast) were chosen {where}; of these: {seen}."
