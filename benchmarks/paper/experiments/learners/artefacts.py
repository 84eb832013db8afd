"""Masks with and without defences against artefacts, applied otherwise and to another network (fig. 5)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.paper.experiments.learners.joint import Joint, joint_reference, side_by_side
from benchmarks.paper.kept import Arrays
from benchmarks.paper.learned import disc_of
from benchmarks.paper.plan import Labelled, Plan
from blackbox_explain import BlackBox, MaskExplanation, Top, explain
from blackbox_explain.box.targets import resolve
from blackbox_explain.perturbations.named import OF_PAPER, perturbation_of

__all__ = ["VARIANTS", "carried", "of_a_disc"]

ALL = ("constant", "noise", "blur")


@dataclass(frozen=True)
class Variant:
    """How a mask is learned.

    Attributes
    ----------
    label
        In figures.
    kind
        ``"joint"``: constant, noise and blur at once; ``"constant"``: that alone.
    settings
        Of the mask learner.
    """

    label: str
    kind: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


NAIVE: dict[str, Any] = {"jitter": 0, "mask_shape": (224, 224)}
JOINT: dict[str, Any] = {"learning_rate": 1.0, "area_weight": 1e-5, "tv_weight": 1e-3}
VARIANTS: dict[str, Variant] = {
    "joint, naive": Variant("joint, fig. 5's weights, total variation alone", "joint", {**JOINT, **NAIVE}),
    "joint, fig. 5": Variant("joint, fig. 5's weights, all three defences", "joint", JOINT),
    "joint, defended": Variant("joint, defaults, all three defences", "joint"),
    "constant, naive": Variant("constant, total variation alone", "constant", NAIVE),
    "constant, bare": Variant("constant, no defence", "constant", {**NAIVE, "tv_weight": 0.0}),
    "constant, jitter": Variant("constant, jitter alone", "constant", {**NAIVE, "jitter": 4, "tv_weight": 0.0}),
    "constant, cells": Variant("constant, 28 × 28 cells alone", "constant", {"jitter": 0, "tv_weight": 0.0}),
    "constant, defended": Variant("constant, all three defences", "constant"),
}
"""The paper keeps the total variation where its constant masks have artefacts."""


def carried(plan: Plan, one: Labelled, name: str, other: BlackBox) -> Arrays:
    """Return the mask of a variant (H, W), its scores, and p' of it under all perturbations in two networks."""
    variant = VARIANTS[name]
    settings: dict[str, Any] = {"preset": "paper", **variant.settings}
    if plan.steps is not None:
        settings["steps"] = plan.steps

    def make() -> Arrays:
        spec, image = plan.box.spec, np.asarray(one.image)
        if variant.kind == "joint":
            gone = joint_reference(image, ALL, spec)
            box, images = Joint(plan.box, len(ALL)), side_by_side(image, len(ALL))
            found = explain(box, images, Top(5), perturbation=gone, progress=False, **settings)
        else:
            found = explain(plan.box, image, Top(5), perturbation="constant", progress=False, **settings)
        assert isinstance(found, MaskExplanation)
        keeps = 1 - found.saliency[0]
        made: dict[str, Any] = {"mask": keeps, "queries": found.queries[0], "scores": found.scores[0]}
        for key, asked, draw in (("learned with", plan.box, 0), ("left 0", plan.box, 1), ("left 1", other, 1)):
            made[key] = np.asarray([_left(asked, image, keeps, found.weights, what, draw) for what in OF_PAPER])
        shown = "blur" if variant.kind == "joint" else "constant"
        made["masked"] = _mixed(image, keeps, shown, plan.box, 0)[0].astype(np.float16)
        return made

    key = hashlib.sha256(json.dumps([settings, variant.kind]).encode()).hexdigest()[:10]
    return plan.kept.get(f"{plan.model}/fig5/{key}/{one.name}", make)


def _mixed(
    image: np.ndarray[Any, Any], keeps: np.ndarray[Any, Any], what: str, box: BlackBox, draw: int
) -> np.ndarray[Any, Any]:
    """Return the masked image; draw 0 of noise is the one that a joint mask is learned with."""
    gone = np.asarray(perturbation_of(what).levels(image, box.spec, draw)[0])
    return (keeps * image + (1 - keeps) * gone).astype(image.dtype)


def _left(
    box: BlackBox,
    image: np.ndarray[Any, Any],
    keeps: np.ndarray[Any, Any],
    weights: np.ndarray[Any, Any],
    what: str,
    draw: int,
) -> float:
    gone = np.zeros_like(keeps)
    every = np.concatenate([image, *(_mixed(image, one, what, box, draw) for one in (keeps, gone))])
    whole, left, none = (np.asarray(box.scores(every)) * weights).sum(axis=1)
    return float((left - none) / (whole - none))


def of_a_disc(plan: Plan, one: Labelled, name: str, other: BlackBox) -> float:
    """Return p' in the other network of a disc in the middle that deletes as much as a mask, in the same way."""
    made = carried(plan, one, name, other)
    keeps, kind = made["mask"], VARIANTS[name].kind
    image = np.asarray(one.image)
    weights = resolve(Top(5), np.asarray(plan.box.scores(image)), plan.box.spec.class_names)[0]
    disc = 1 - disc_of(1 - float(keeps.mean()), keeps.shape).astype(keeps.dtype)
    ways = OF_PAPER if kind == "joint" else ("constant",)
    return float(np.mean([_left(other, image, disc, weights, what, 1) for what in ways]))
