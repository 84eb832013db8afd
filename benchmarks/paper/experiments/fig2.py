"""Fig. 2: the mask beside other saliency methods."""

from __future__ import annotations

import numpy as np

from benchmarks.paper.methods import MASKS, METHODS, map_of
from benchmarks.paper.photos import WORDS, chosen_on, maps_made, photos
from benchmarks.paper.pictures import class_name, grid, pixels, shown_map
from benchmarks.paper.plan import Plan
from benchmarks.paper.statistics import compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain.metrics.maps import rank_correlation

METHODS_SHOWN = (*MASKS, "grad", "guid", "cexc", "gcam", "occ")


def run(plan: Plan) -> None:
    """Draw the maps of all methods, and measure which is most like the mask: the paper says contrastive excitation."""
    items = photos(plan, WORDS)
    if not maps_made(plan, items, METHODS_SHOWN):
        return
    found = {name: [map_of(plan, one, name) for one in items] for name in METHODS_SHOWN}
    maps = {name: [one["saliency"] for one in rows] for name, rows in found.items()}
    pictures = [
        [
            (pixels(one.image), class_name(plan, one.label)),
            *((shown_map(found[name][row]), METHODS[name].label if row == 0 else "") for name in METHODS_SHOWN),
        ]
        for row, one in enumerate(items)
    ]
    others = [name for name in METHODS_SHOWN if name not in MASKS]
    alike = {
        mask: {
            other: np.asarray([rank_correlation(a, b) for a, b in zip(maps[mask], maps[other], strict=True)])
            for other in others
        }
        for mask in MASKS
    }
    rows = [
        [METHODS[mask].label, METHODS[other].label, mean_of(values).mean, mean_of(values).error, mean_of(values).images]
        for mask, row in alike.items()
        for other, values in row.items()
    ]
    tests = {
        mask: {other: compared(row["cexc"], row[other]) for other in others if other != "cexc"}
        for mask, row in alike.items()
    }
    nearest = {mask: max(row, key=lambda other, row=row: float(np.nanmean(row[other]))) for mask, row in alike.items()}
    write(
        plan.folder("fig2", len(items), len(WORDS)),
        title="Fig. 2: the mask beside other methods",
        figure=grid(pictures),
        table=Table(("mask", "method", "rank correlation", "standard error", "photos"), rows),
        claims=[
            Claim(
                f"{METHODS[mask].label}: of the other maps, contrastive excitation's is most like it",
                "most similar, by eye",
                f"{METHODS[nearest[mask]].label}, rank correlation {mean_of(alike[mask][nearest[mask]])}; contrastive "
                f"excitation {mean_of(alike[mask]['cexc'])}",
                verdict(tests[mask].values(), "higher"),
            )
            for mask in MASKS
        ],
        settings={"images": f"{len(items)} shared photos of the classes of fig. 2, stretched; no boxes are known"},
        numbers={
            "costs": costs(plan, items, METHODS_SHOWN),
            "paired": {mask: {other: one.to_dict() for other, one in row.items()} for mask, row in tests.items()},
        },
        notes=[
            "What is negative in a contrastive map counts as nothing, as in its paper; such pixels are ranked equal.",
            chosen_on(items),
        ],
    )
