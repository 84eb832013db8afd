"""Fig. 3: gradient saliency is diffuse, with strong answers where nothing is to be seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.paper.methods import MASKS, METHODS, map_of
from benchmarks.paper.photos import SHOWN, chosen_on, maps_made, photos
from benchmarks.paper.pictures import class_name, grid, pixels, shown_map
from benchmarks.paper.plan import Plan
from benchmarks.paper.statistics import compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, gap_of, write
from blackbox_explain.metrics.maps import smoothed

FIRST = "stethoscope"
WORDS = (FIRST, *(word for word in SHOWN if word != FIRST))
PICTURES = 3
LISTED = ("grad", *MASKS)
TENTH = 0.1


def run(plan: Plan) -> None:
    """Draw gradients, and measure over which part of the image they are spread."""
    items = photos(plan, WORDS)
    if not maps_made(plan, items, LISTED):
        return
    found = {name: [map_of(plan, one, name) for one in items] for name in LISTED}
    # Where the strongest tenth of the pixels reaches, as a share of the image: 1 where it is in every corner.
    reach = {name: np.asarray([spread(one["saliency"]) for one in rows]) for name, rows in found.items()}
    pictures = [
        [
            (pixels(one.image), class_name(plan, one.label)),
            *((shown_map(found[name][row]), METHODS[name].label if row == 0 else "") for name in LISTED),
        ]
        for row, one in enumerate(items[:PICTURES])
    ]
    tests = {mask: compared(reach["grad"], reach[mask]) for mask in MASKS}
    rows = [
        [METHODS[name].label, one.mean, one.error, one.images, *gap_of(tests.get(name))]
        for name, one in ((name, mean_of(reach[name])) for name in LISTED)
    ]
    write(
        plan.folder("fig3", len(items), len(WORDS)),
        title="Fig. 3: gradients are diffuse",
        figure=grid(pictures, size=2.0),
        table=Table(("method", "spread", "standard error", "photos", "gradient - method", "p (Wilcoxon)"), rows),
        claims=[
            Claim(
                f"the strongest tenth of the gradient is spread wider than that of {METHODS[mask].label}",
                "strong response in apparently non-relevant regions, by eye",
                f"share of 16 × 16 places that hold some of it: {mean_of(reach['grad'])} against "
                f"{mean_of(reach[mask])}, p = {tests[mask].p:.2g}",
                verdict([tests[mask]], "higher"),
            )
            for mask in MASKS
        ],
        settings={
            "images": f"{len(items)} shared photos of the classes of the paper's figures",
            "spread": "share of 16 × 16 places of the image with at least one pixel of the strongest tenth",
        },
        numbers={"costs": costs(plan, items, LISTED), "paired": {m: one.to_dict() for m, one in tests.items()}},
        notes=[chosen_on(items)],
    )


def spread(saliency: np.ndarray[Any, Any], places: int = 16) -> float:
    """Return the share of places (places, places) of a map with at least one of its strongest tenth of the pixels."""
    # Equal pixels are told apart by their surroundings.
    order = saliency + 1e-9 * np.ptp(saliency) * smoothed(saliency[None], 2.0)[0]
    strong = order >= np.quantile(order, 1 - TENTH)
    rows, columns = np.nonzero(strong)
    height, width = saliency.shape
    return (
        len(set(zip((rows * places // height).tolist(), (columns * places // width).tolist(), strict=True))) / places**2
    )
