"""Fig. 8: the smallest box that suppresses the score (5.3), and the smallest region, which the paper does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import Measured, measured
from benchmarks.paper.measured import SUPPRESSION, SUPPRESSIONS
from benchmarks.paper.methods import MASKS, METHODS
from benchmarks.paper.plan import Plan
from benchmarks.paper.statistics import Compared, Mean, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, gap_of, write

IMAGES = 200
COMPARED = ("cexc", "exc", "grad", "guid", "gcam", "occ")
"""Those that the paper's mask is compared with in fig. 8."""
FURTHER = ("lrp", "cam", "center")
JUDGED = (*MASKS, "shown")
MEASURES = {"box": "minimal box", "region": "smallest region"}


def run(plan: Plan) -> None:
    """Measure all methods, and compare each mask with each other method at each suppression."""
    names = plan.halves[1][: plan.size(IMAGES)]
    methods = (*JUDGED, *COMPARED, *FURTHER)
    found = measured(plan, names, methods, SUPPRESSION, "fig8")
    if plan.is_part:
        return
    means = {kind: {one: [mean_of(v) for v in found[one][kind].T] for one in methods} for kind in MEASURES}
    tests = {
        kind: {mask: {one: _tests(found, kind, mask, one) for one in methods if one != mask} for mask in JUDGED}
        for kind in MEASURES
    }
    pixels = float(np.prod(plan.box.spec.spatial))
    images = [plan.image(name) for name in names]
    write(
        plan.folder("fig8", len(names), IMAGES),
        title="Fig. 8: minimal boxes and smallest regions",
        figure=draw(means, pixels),
        table=_table(means, tests, pixels),
        claims=[_claim(means, tests, mask, kind) for kind in MEASURES for mask in JUDGED],
        settings={
            "images": f"{len(names)} of the claims half, classified right; target: their class",
            "thresholds": "h in [0 : 0.1 : 1] of the map scaled to 0 to 1 (box); shares up to a half (region)",
            "perturbation": "blur, σ 10 at 224 pixels",
            "tuned": "nothing",
        },
        numbers={
            "costs": costs(plan, images, methods),
            "files": names,
            "means": {k: {m: [vars(v) for v in row] for m, row in rows.items()} for k, rows in means.items()},
            "paired": {
                k: {mask: {m: at_each(row) for m, row in rows.items()} for mask, rows in masks.items()}
                for k, masks in tests.items()
            },
        },
        notes=[
            "A region that no map found up to half of the image counts as half, a box then as the whole image.",
            "All masks were learned by blurring, which boxes and regions are deleted by too; ours, rankings, by the "
            "score left at shares of 2 to 50 %, which is close to what the smallest region measures. Whether what they "
            "find carries over to other perturbations is fig. 7.",
        ],
    )


def _tests(found: Measured, kind: str, mask: str, other: str) -> list[Compared]:
    return [compared(ours, theirs) for ours, theirs in zip(found[mask][kind].T, found[other][kind].T, strict=True)]


def at_each(tests: Sequence[Compared]) -> dict[str, Any]:
    """Return comparisons by the suppression that they are at, for JSON."""
    return {f"{suppress:.0%}": one.to_dict() for suppress, one in zip(SUPPRESSIONS, tests, strict=True)}


def _claim(means: dict[str, Any], tests: dict[str, Any], mask: str, kind: str) -> Claim:
    # The paper's claim is about its six methods.
    judged = COMPARED if kind == "box" else (*COMPARED, *FURTHER)
    told = standing(tests[kind][mask], judged)
    if kind == "box":
        told += f"; of others, {standing(tests[kind][mask], FURTHER)}"
    others = [means[kind][one] for one in judged]
    least = [
        f"{suppress:.0%}"
        for place, suppress in enumerate(SUPPRESSIONS)
        if all(means[kind][mask][place].mean < one[place].mean for one in others)
    ]
    told = f"smallest mean at {', '.join(least) or 'none'}; {told}"
    ours = ", ".join(f"{one.mean:.3f}" for one in means[kind][mask])
    of_paper = "smallest of seven methods" if kind == "box" else "not measured"
    among = "that of each of the paper's six methods" if kind == "box" else "every method's"
    words = f"{METHODS[mask].label}: {MEASURES[kind]} smaller than {among} at 80, 90, 95 and 99 %"
    holds = verdict((test for one in judged for test in tests[kind][mask][one]), "lower")
    return Claim(words, of_paper, f"{ours} of the image; {told}", holds)


def standing(tests: Mapping[str, Sequence[Compared]], methods: Sequence[str]) -> str:
    """Return which methods a mask is above, or neither above nor below, at which suppression, in words."""
    words = {"larger than": [], "undecided against": []}
    for one in methods:
        found = list(zip(SUPPRESSIONS, tests[one], strict=True))
        above = [f"{suppress:.0%}" for suppress, test in found if test.higher]
        neither = [f"{suppress:.0%}" for suppress, test in found if not test.higher and not test.lower]
        for kind, at in zip(words, (above, neither), strict=True):
            if at:
                words[kind].append(f"{METHODS[one].label}'s ({', '.join(at)})")
    told = [f"{kind} {'; '.join(those)}" for kind, those in words.items() if those]
    return "; ".join(told) or "below each, p < 0.05"


def _table(means: dict[str, Any], tests: dict[str, Any], pixels: float) -> Table:
    columns = ("measure", "method", "suppression", "mean share", "standard error", "mean pixels", "images")
    columns += tuple(f"{name} {METHODS[mask].label}" for mask in JUDGED for name in ("difference of", "p against"))
    rows: list[list[Any]] = []
    for kind in MEASURES:
        for method, values in means[kind].items():
            for place, suppress in enumerate(SUPPRESSIONS):
                one: Mean = values[place]
                row = [MEASURES[kind], METHODS[method].label, suppress, one.mean, one.error, one.mean * pixels]
                row.append(one.images)
                for mask in JUDGED:
                    test = tests[kind][mask].get(method)
                    row += gap_of(test and test[place])
                rows.append(row)
    return Table(columns, rows)


def draw(means: dict[str, dict[str, list[Mean]]], pixels: float) -> Figure:
    """Draw groups of bars at each suppression, as the paper does, with standard errors."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 7.5), layout="constrained", sharex=True)
    for kind, axis in zip(MEASURES, axes, strict=True):
        methods = means[kind]
        width = 0.85 / len(methods)
        for place, (method, values) in enumerate(methods.items()):
            where = np.arange(len(SUPPRESSIONS)) + (place - (len(methods) - 1) / 2) * width
            heights = [one.mean * pixels for one in values]
            errors = [one.error * pixels for one in values]
            colour = plt.get_cmap("tab20")(place)
            axis.bar(
                where, heights, width, yerr=errors, label=METHODS[method].label, color=colour, error_kw={"lw": 0.8}
            )
        axis.set_ylabel(f"mean {MEASURES[kind]} (pixels²)")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(ncols=4, frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes[1].set_xticks(range(len(SUPPRESSIONS)), [f"{one:.0%}" for one in SUPPRESSIONS])
    axes[1].set_xlabel("suppression of the normalised softmax score")
    return figure
