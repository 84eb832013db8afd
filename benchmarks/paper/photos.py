"""The shared photos of the classes that the paper's figures show."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.paper.each_image import console
from benchmarks.paper.methods import make_maps
from benchmarks.paper.plan import Labelled, Plan

__all__ = ["SHOWN", "WORDS", "maps_made", "photos"]

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
