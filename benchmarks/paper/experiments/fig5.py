"""Fig. 5: masks that trigger artefacts of the network, and what takes the artefacts away.

An artefact is what does not carry over: a mask that suppresses the score by the perturbation it was learned with, and
not by another one, or not the score of another network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.each_image import console
from benchmarks.paper.experiments.learners.artefacts import VARIANTS, carried, of_a_disc
from benchmarks.paper.kept import Arrays
from benchmarks.paper.photos import SHOWN, photos
from benchmarks.paper.pictures import class_name, grid, pixels
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import Compared, Way, against, all_hold, compared, mean_of
from benchmarks.paper.written import Claim, Table, write
from benchmarks.rules import black_box
from blackbox_explain.perturbations.named import OF_PAPER

FIRST = ("espresso", "maypole")
WORDS = (*FIRST, *(word for word in SHOWN if word not in FIRST))
FOOLED, CARRIED = 0.1, 0.5
"""Scores left, of 1, below which a mask suppresses a network, and below which it carries over to another one."""
PAPER = {"joint": "espresso .9964 to .0000", "constant": "maypole .9568 to .0000"}

COMPARED = {
    "joint": ("joint, naive", "joint, fig. 5"),
    "constant": ("constant, naive", "constant, defended"),
}
"""Without and with two defences, jitter and 28 × 28 cells, and otherwise the same."""

DISC = "disc - with, other network"
ANOTHER = {"joint": "another draw of noise", "constant": "blur and noise"}
"""What is asked besides the perturbation that a mask was learned with."""

Tested = tuple[Compared, Way]


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
    areas = {name: np.asarray([1 - one["mask"].mean() for one in rows]) for name, rows in found.items()}
    discs = {
        kind: np.asarray([of_a_disc(plan, one, defended, other) for one in items])
        for kind, (_, defended) in COMPARED.items()
    }
    tests = {kind: _tests(values[naive], values[defended], discs[kind]) for kind, (naive, defended) in COMPARED.items()}
    pictures = [_row(plan, items, found, name, index) for name, index in _shown(items)]
    rows = [
        [VARIANTS[name].label, what, mean_of(column).mean, mean_of(column).error, mean_of(column).images]
        for name, row in values.items()
        for what, column in (*row.items(), ("share of the image deleted", areas[name]))
    ]
    for kind, one in discs.items():
        found_by_disc = mean_of(one)
        row = [f"disc of the area of: {VARIANTS[COMPARED[kind][1]].label}", "other network"]
        rows.append([*row, found_by_disc.mean, found_by_disc.error, found_by_disc.images])
    write(
        plan.folder("fig5", len(items), len(WORDS)),
        title="Fig. 5: artefacts",
        figure=grid(pictures, size=2.2, cmap="gray"),
        table=Table(("mask", "score left by the same mask, or share", "mean", "standard error", "photos"), rows),
        claims=[one for kind, test in tests.items() for one in _claims(kind, values, areas, discs[kind], test)],
        settings={
            "images": f"{len(items)} shared photos of the classes of the paper's figures; target: their top five",
            "variants": {name: {"label": one.label, **one.settings} for name, one in VARIANTS.items()},
            "another way": "; ".join(f"{kind}: {what}" for kind, what in ANOTHER.items()),
        },
        numbers={
            "queries_per_image": {
                name: np.mean([one["queries"] for one in rows], axis=0) for name, rows in found.items()
            },
            "files": [one.name for one in items],
            "paired": {kind: {what: one.to_dict() for what, (one, _) in row.items()} for kind, row in tests.items()},
        },
        notes=[
            "Scores left are p', normalised by the image and the fully perturbed image: 0 where the mask carries over.",
            "The picture of a joint mask is that of blurring by it; its score is the mean of the three perturbations.",
            "There are three defences: jitter, 28 × 28 cells, and the total variation, which the paper keeps "
            "where its masks have artefacts. Masks by the constant perturbation are also learned with none of them, "
            "and with each alone.",
            "Masks with defences delete more of the image, which suppresses any network: what they do to the other one "
            "is compared with what a disc in the middle does that deletes as much. A disc deletes wholly what it "
            "covers, and most of these photos show their object in the middle.",
        ],
    )


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


def _tests(naive: dict[str, Any], defended: dict[str, Any], disc: np.ndarray[Any, Any]) -> dict[str, Tested]:
    """Return what the claim is made of: each comparison, and which way it is to be."""
    ways = ("another way", "other network")
    return {
        "without, this network": (against(naive["learned with"], FOOLED), "lower"),
        "without, other network": (against(naive["other network"], CARRIED), "higher"),
        **{f"with, {what}": (against(defended[what], CARRIED), "lower") for what in ways},
        **{f"without - with, {what}": (compared(naive[what], defended[what]), "higher") for what in ways},
        DISC: (compared(disc, defended["other network"]), "higher"),
    }


def _claims(
    kind: str,
    values: dict[str, Any],
    areas: dict[str, np.ndarray[Any, Any]],
    disc: np.ndarray[Any, Any],
    tests: dict[str, Tested],
) -> list[Claim]:
    naive, defended = (values[one] for one in COMPARED[kind])
    own = [one for name, one in tests.items() if name != DISC]
    words = f"{kind}: masks without jitter and cells fool this network (p' below {FOOLED}) and not the other one "
    words += (
        f"(above {CARRIED}); with both they carry over (below {CARRIED}) to it and to {ANOTHER[kind]}, and further "
    )
    words += "than without"
    told = "; ".join(
        f"{what}: {mean_of(naive[what])} left without, {mean_of(defended[what])} with"
        for what in ("learned with", "another way", "other network")
    )
    told += f"; largest p {max(one.p for one, _ in own):.2g}"
    further = (
        f"{kind}: masks with jitter and cells carry over to the other network further than a disc that deletes as "
    )
    further += "much"
    shares = [mean_of(areas[one]).mean for one in COMPARED[kind]]
    by_area = f"{mean_of(defended['other network'])} left; {mean_of(disc)} by a disc, p = {tests[DISC][0].p:.2g}; "
    by_area += f"masks delete {shares[0]:.0%} without, {shares[1]:.0%} with both"
    return [
        Claim(words, PAPER[kind], told, all_hold(own)),
        Claim(further, "not asked", by_area, all_hold([tests[DISC]])),
    ]


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
        (
            pixels(made["masked"]),
            f"{made['scores'][1]:.4f}{', mean of three' if VARIANTS[name].kind == 'joint' else ''}",
        ),
        (made["mask"], VARIANTS[name].label),
    ]
