"""Fig. 6: boxes question a mask, and show whether the score falls where it says, not where another map does."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.methods import MASKS, METHODS, map_of
from benchmarks.paper.photos import WORDS, chosen_on, classified_right, maps_made, photos
from benchmarks.paper.pictures import class_name, grid, pixels, shown_map
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain import interrogate
from blackbox_explain.interrogating import Interrogation
from blackbox_explain.metrics.maps import smoothed
from blackbox_explain.perturbations.deletion import deleted
from blackbox_explain.perturbations.named import perturbation_of

OTHER = "cexc"
AREA = 0.1
"""Share of the image that each box covers: boxes of one size can be compared."""
FIRST = ("chocolate_sauce", "pickup")
WORDS_ASKED = (*FIRST, *(word for word in WORDS if word not in FIRST))
PAPER = "chocolate sauce 0.610 to 0.351 and 0.015; pickup 0.717 to 0.850 and 0.018"


def run(plan: Plan) -> None:
    """Delete, from each photo, boxes of one size where the maps are strongest."""
    items = photos(plan, WORDS_ASKED)
    methods = (*MASKS, OTHER)
    if not maps_made(plan, items, methods):
        return
    rows: list[list[Any]] = []
    pictures: list[list[tuple[Any, str]]] = []
    left = {method: np.zeros(len(items)) for method in methods}
    right = classified_right(plan, items)
    for place, one in enumerate(items):
        maps = {name: map_of(plan, one, name) for name in methods}
        boxes = np.stack([strongest_box(maps[name]["saliency"], AREA) for name in methods])
        found = interrogate(plan.box, one.image, boxes, one.label)
        for index, name in enumerate(methods):
            left[name][place] = found.without[index] / found.score if right[place] else np.nan
            rows.append(_row(one, name, found, index))
        if place < len(FIRST):
            pictures.append(_pictures(plan, one, maps, boxes, found))
    tests = {mask: compared(left[mask], left[OTHER]) for mask in MASKS}
    write(
        plan.folder("fig6", len(items), len(WORDS_ASKED)),
        title="Fig. 6: interrogation by boxes",
        figure=grid(pictures, size=2.1),
        table=Table(("photo", "box of", "score", "without the box", "box alone", "share of the image"), rows),
        claims=[
            Claim(
                f"a box where {METHODS[mask].label} is strongest lowers the score more than one of the same size where "
                "contrastive excitation is",
                PAPER,
                f"{_first(rows, mask, items)}; share left in {right.sum()} photos {mean_of(left[mask])} against "
                f"{mean_of(left[OTHER])}, p = {tests[mask].p:.2g}",
                verdict([tests[mask]], "lower"),
            )
            for mask in MASKS
        ],
        settings={
            "images": f"{len(items)} shared photos of the classes of fig. 2; shares left are of the {right.sum()} "
            "that are classified right",
            "boxes": f"squares of {AREA:.0%} of the image where the mean of the map is largest; blurred",
        },
        numbers={"costs": costs(plan, items, methods), "paired": {m: one.to_dict() for m, one in tests.items()}},
        notes=[
            "The paper chose its boxes by hand, to a map of its own; these are chosen by one rule for all maps.",
            chosen_on(items),
        ],
    )


def strongest_box(saliency: np.ndarray[Any, Any], area: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the square of a share of the image (H, W) in which a map has the largest sum."""
    height, width = saliency.shape
    side = round((area * height * width) ** 0.5)
    total = np.pad(np.maximum(saliency, 0).astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    # Of places that rounding alone tells apart the nearest to the peak of the smoothed sums.
    top, left = np.unravel_index(int(smoothed(sums[None], 1.0)[0].argmax()), sums.shape)
    region = np.zeros(saliency.shape, dtype=bool)
    region[top : top + side, left : left + side] = True
    return region


def _row(one: Labelled, name: str, found: Interrogation, index: int) -> list[Any]:
    numbers = (found.score, found.without[index], found.alone[index], found.share[index])
    return [one.name, METHODS[name].label, *map(float, numbers)]


def _pictures(
    plan: Plan, one: Labelled, maps: dict[str, Any], boxes: np.ndarray[Any, Any], found: Interrogation
) -> list[tuple[Any, str]]:
    image = np.asarray(one.image)
    gone = deleted(image.repeat(len(boxes), axis=0), boxes, perturbation_of("blur"), plan.box.spec)
    overlay = 0.5 * pixels(image) + 0.5 * _coloured(shown_map(maps[MASKS[0]]))
    made = [(overlay, f"{class_name(plan, one.label)}: {found.score:.3f}\n{METHODS[MASKS[0]].label}")]
    for index, name in enumerate(maps):
        picture = pixels(gone[index]).copy()
        edge = boxes[index] & ~(
            np.roll(boxes[index], 3, 0)
            & np.roll(boxes[index], -3, 0)
            & np.roll(boxes[index], 3, 1)
            & np.roll(boxes[index], -3, 1)
        )
        picture[edge] = (1, 0, 0)
        made.append((picture, f"{METHODS[name].label}\n{found.score:.3f} => {found.without[index]:.3f}"))
    return made


def _coloured(one: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import matplotlib.pyplot as plt

    return plt.get_cmap("jet")(one)[..., :3]


def _first(rows: list[list[Any]], mask: str, items: list[Labelled]) -> str:
    told: list[str] = []
    for one in items[: len(FIRST)]:
        own = {row[1]: row for row in rows if row[0] == one.name}
        ours, theirs = own[METHODS[mask].label], own[METHODS[OTHER].label]
        told.append(f"{one.name[15:-5].replace('_', ' ')} {ours[2]:.3f} to {ours[3]:.3f}, theirs {theirs[3]:.3f}")
    return "; ".join(told)
