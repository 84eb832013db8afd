"""Fig. 5: masks that trigger artefacts of the network, and what takes the artefacts away.

An artefact is what does not carry over: a mask that suppresses the score by the perturbation it was learned with, and
not by another one, or not the score of another network.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.paper.each_image import console
from benchmarks.paper.experiments.learners.joint import Joint, joint_reference, side_by_side
from benchmarks.paper.kept import Arrays
from benchmarks.paper.photos import SHOWN, photos
from benchmarks.paper.pictures import class_name, grid, pixels
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import Compared, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, write
from benchmarks.rules import black_box
from blackbox_explain import BlackBox, MaskExplanation, Top, explain
from blackbox_explain.perturbations.named import OF_PAPER, perturbation_of

FIRST = ("espresso", "maypole")
WORDS = (*FIRST, *(word for word in SHOWN if word not in FIRST))
ALL = ("constant", "noise", "blur")
FOOLED, CARRIED = 0.1, 0.5
"""Scores left, of 1, below which a mask suppresses a network, and below which it carries over to another one."""
PAPER = {"joint": "espresso .9964 to .0000", "constant": "maypole .9568 to .0000"}


@dataclass(frozen=True)
class Variant:
    """How a mask is learned.

    Attributes
    ----------
    label
        In figures.
    kind
        ``"joint"``: constant, noise and blur at once; ``"constant"``: that alone.
    defended
        Whether it is learned with jitter, on 28 × 28 cells and with the total variation of the defaults.
    settings
        Of the mask learner.
    """

    label: str
    kind: str
    defended: bool
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


NAIVE: dict[str, Any] = {"jitter": 0, "mask_shape": (224, 224)}
JOINT: dict[str, Any] = {"learning_rate": 1.0, "area_weight": 1e-5, "tv_weight": 1e-3}
VARIANTS: dict[str, Variant] = {
    "joint, naive": Variant("joint, fig. 5's weights, no defences", "joint", False, {**JOINT, **NAIVE}),
    "joint, fig. 5": Variant("joint, fig. 5's weights, defences", "joint", True, JOINT),
    "joint, defended": Variant("joint, defaults", "joint", True),
    "constant, naive": Variant("constant, no defences", "constant", False, {**NAIVE, "tv_weight": 0.0}),
    "constant, fine": Variant("constant, defaults, a value for each pixel", "constant", False, NAIVE),
    "constant, defended": Variant("constant, defaults", "constant", True),
}


def run(plan: Plan) -> None:
    """Learn masks with and without the defences, and apply them otherwise and to another network."""
    other = black_box("efficientnet-lite0" if plan.model == "googlenet" else "googlenet", threads=1)
    items = photos(plan, WORDS)
    for one in plan.share(items):
        for name in VARIANTS:
            carried(plan, one, name, other)
        console.print(f"  {one.name}")
    if plan.is_part:
        return
    found = {name: [carried(plan, one, name, other) for one in items] for name in VARIANTS}
    values = {name: _values(name, rows) for name, rows in found.items()}
    tests = {
        kind: {
            what: compared(values[f"{kind}, naive"][what], values[f"{kind}, defended"][what])
            for what in ("another way", "other network")
        }
        for kind in ("joint", "constant")
    }
    pictures = [_row(plan, items, found, name, index) for name, index in _shown(items)]
    rows = [
        [VARIANTS[name].label, what, mean_of(column).mean, mean_of(column).error, mean_of(column).images]
        for name, row in values.items()
        for what, column in row.items()
    ]
    write(
        plan.folder("fig5", len(items), len(WORDS)),
        title="Fig. 5: artefacts",
        figure=grid(pictures, size=2.2, cmap="gray"),
        table=Table(("mask", "score left, by the same mask", "mean", "standard error", "photos"), rows),
        claims=[_claim(kind, values, test) for kind, test in tests.items()],
        settings={
            "images": f"{len(items)} shared photos of the classes of the paper's figures; target: their top five",
            "variants": {name: {"label": one.label, **one.settings} for name, one in VARIANTS.items()},
            "another way": "joint: another draw of noise, all three being learned with; constant: blur and noise, mean",
        },
        numbers={
            "queries_per_image": {
                name: np.mean([one["queries"] for one in rows], axis=0) for name, rows in found.items()
            },
            "files": [one.name for one in items],
            "paired": {kind: {what: one.to_dict() for what, one in row.items()} for kind, row in tests.items()},
        },
        notes=[
            "Scores left are p', normalised by the image and the fully perturbed image: 0 where the mask carries over.",
            "The picture of a joint mask is that of blurring by it; the score is the mean of the three perturbations.",
            "Without defences: no jitter, a mask value for each pixel; of the constant perturbation no TV either. The "
            "paper keeps the total variation there, which is the variant between the two.",
        ],
    )


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

    key = hashlib.sha256(json.dumps([name, settings, variant.kind]).encode()).hexdigest()[:10]
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


def _values(name: str, rows: list[Arrays]) -> dict[str, np.ndarray[Any, Any]]:
    learned, own = (np.stack([one[key] for one in rows]) for key in ("learned with", "left 0"))
    there = np.stack([one["left 1"] for one in rows])
    places = {what: place for place, what in enumerate(OF_PAPER)}
    if VARIANTS[name].kind == "joint":
        # All three were learned with; noise is another draw of it.
        return {
            "learned with": learned.mean(axis=1),
            "another way": own[:, places["noise"]],
            "other network": there.mean(1),
        }
    others = [places["blur"], places["noise"]]
    return {
        "learned with": learned[:, places["constant"]],
        "another way": own[:, others].mean(axis=1),
        "other network": there[:, places["constant"]],
    }


def _claim(kind: str, values: dict[str, Any], tests: dict[str, Compared]) -> Claim:
    naive, defended = values[f"{kind}, naive"], values[f"{kind}, defended"]
    appear = mean_of(naive["learned with"]).mean < FOOLED and mean_of(naive["other network"]).mean > CARRIED
    carry = all(mean_of(defended[what]).mean < CARRIED for what in tests)
    told = "; ".join(
        f"{what}: {mean_of(naive[what])} left without defences, {mean_of(defended[what])} with"
        for what in ("learned with", "another way", "other network")
    )
    ps = ", ".join(f"p = {one.p:.2g}" for one in tests.values())
    words = f"{kind}: masks without defences fool this network (p' below {FOOLED}) and not the other one (above "
    words += f"{CARRIED}); with defences they carry over (below {CARRIED}) to it and to another perturbation, p < 0.05"
    holds = verdict(tests.values(), "higher") if appear and carry else False
    return Claim(words, PAPER[kind], f"{told} ({ps})", holds)


def _shown(items: list[Labelled]) -> list[tuple[str, int]]:
    """Return espresso by the joint variants, and the maypole by the constant ones, as far as they are there."""
    return [
        (name, index)
        for index, kind in enumerate(("joint", "constant"))
        if index < len(items)
        for name, one in VARIANTS.items()
        if one.kind == kind
    ]


def _row(
    plan: Plan, items: list[Labelled], found: dict[str, list[Arrays]], name: str, index: int
) -> list[tuple[Any, str]]:
    one, made = items[index], found[name][index]
    title = f"{class_name(plan, one.label)}, top five"
    return [
        (pixels(one.image), f"{title}: {made['scores'][0]:.4f}"),
        (pixels(made["masked"]), f"{made['scores'][1]:.4f}"),
        (made["mask"], VARIANTS[name].label),
    ]
