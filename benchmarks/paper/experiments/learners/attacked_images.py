"""What is measured of an image before and after an attack: maps of both, and what brings the label back (5.5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.paper.experiments.learners.telling_apart import described
from benchmarks.paper.kept import Arrays
from benchmarks.paper.learned import disc_of, gone_of, masked_by
from benchmarks.paper.measured import Asked, Measurement
from benchmarks.paper.methods import MASKS, METHODS, map_of
from benchmarks.paper.plan import Labelled, Plan
from blackbox_explain import Explanation, attack, recover
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.data.images import LoadedImages

__all__ = ["BLURRED", "BOTH", "CONTROLS", "REACH", "RECOVERED", "STEPS", "attacked"]

REACH, STEPS = 8, 10
"""How far the attack moves a value, in 255ths, and in how many steps of one of them; both are the authors' of it."""

TOP = 5
RECOVERED = ("original label leads", "original label in the top five")
BLURRED = 2.0
"""Pixels, σ of a blur of the whole image: changes of single pixels may not stand it."""
CONTROLS = (
    "mask",
    "mask, moved by half of the image",
    "disc in the middle, of its area",
    "whole image, slightly blurred",
)
"""What an attacked image is masked by: a label that comes back by the others too is not brought back by the mask."""
SMALLEST = 1e-6
"""Of scores, for their log-odds."""


def attacked(plan: Plan, clean: Labelled) -> Labelled:
    """Return the attacked image, with the class that the network sees in it."""

    def make() -> dict[str, Any]:
        found = attack(plan.box, np.asarray(clean.image), clean.label, epsilon=REACH / 255, steps=STEPS)
        return {"image": found.images, "top": found.top_attacked, "queries": found.queries}

    found = plan.kept.get(f"{plan.model}/attacked, {REACH} of 255 in {STEPS} steps/{clean.name}", make)
    return Labelled(clean.name, LoadedImages(found["image"], clean.image.photos), int(found["top"][0]))


def _both(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del oracle
    plan, clean = asked.plan, asked.one
    after = attacked(plan, clean)
    learned = map_of(plan, after, method)
    found: dict[str, Any] = {"label": np.asarray(after.label)}
    for which, maps in (("clean", explanation.saliency), ("attacked", learned["saliency"][None])):
        found |= {f"{which} {key}": rows[0] for key, rows in described(maps).items()}
    if method not in MASKS:
        return found
    scores = np.asarray(plan.box.scores(np.concatenate([clean.image, after.image])))
    own = np.clip(scores[[0, 1], [clean.label, after.label]], SMALLEST, 1 - SMALLEST)
    again = recover(plan.box, _masked(plan, after, method, learned), [clean.label] * len(CONTROLS))
    back = np.stack([again.leads, again.among(TOP)], axis=1)
    return {**found, "scores": np.log(own / (1 - own)), "recovered": back}


def _masked(plan: Plan, one: Labelled, method: str, learned: Arrays) -> np.ndarray[Any, Any]:
    """Return an image (4, *shape) as each of `CONTROLS` has it."""
    image, masked = np.asarray(one.image), learned["masked_image"][None].astype(np.float32)
    gone = gone_of(learned)
    height, width = gone.shape
    moved = np.roll(gone, (height // 2, width // 2), (0, 1)).astype(np.float32)
    disc = disc_of(float(gone.mean()), gone.shape).astype(np.float32)
    others = masked_by(plan.box, METHODS[method].called(plan), image, 1 - np.stack([moved, disc]))
    return np.concatenate([masked, others, ndimage.gaussian_filter(image, (0, 0, BLURRED, BLURRED))])


BOTH = Measurement("told-apart-and-brought-back", _both, silent=True)
"""The ``label`` of the attacked image, what is `described` of the maps of the clean and of the attacked image, and of
masks the log-odds of the ``scores`` (2,) that were explained, and what is ``recovered`` (4, 2): `RECOVERED` by
`CONTROLS`."""
