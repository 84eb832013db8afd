"""Table 1: weakly supervised localisation, with α tuned on images that are not measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import measured
from benchmarks.paper.measured import LOCALIZED, THRESHOLDS
from benchmarks.paper.methods import METHODS
from benchmarks.paper.plan import SIDE, Plan
from benchmarks.paper.statistics import Compared, Mean, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, gap_of, write
from blackbox_explain.metrics.marked.localization import ALPHAS, Threshold

IMAGES, HELD_OUT = 200, 100
MASK = "top5"
LISTED = (
    "top5",
    "grad",
    "guid",
    "exc",
    "cexc",
    "gcam",
    "lrpe",
    "lrp",
    "cam",
    "occ",
    "paper",
    "authors",
    "fast",
    "shown",
    "center",
)
OF_PAPER: dict[Threshold, dict[str, float]] = {
    "value": {"top5": 0.10, "grad": 0.25, "guid": 0.05, "exc": 0.15, "occ": 0.30, "gcam": 0.35},
    "energy": {"top5": 0.95, "grad": 0.10, "guid": 0.30, "exc": 0.60, "occ": 0.55, "gcam": 0.65},
    "mean": {"top5": 0.5, "grad": 5.0, "guid": 4.5, "exc": 1.5, "occ": 1.0, "gcam": 1.5},
}
"""Best α by threshold and method."""
BEATEN: dict[Threshold, tuple[str, ...]] = {
    "value": ("grad", "guid", "exc", "gcam", "occ"),
    "energy": ("grad", "guid", "gcam", "occ"),
    "mean": ("lrpe", "cam", "cexc", "gcam", "occ"),
}
"""What the paper's mask has a lower error than."""


def run(plan: Plan) -> None:
    """Measure all methods, by the α that is best on the held-out half."""
    held_out = plan.halves[0][: plan.size(HELD_OUT)]
    names = plan.halves[1][: plan.size(IMAGES)]
    tuning = measured(plan, held_out, LISTED, LOCALIZED, "table1, held out")
    found = measured(plan, names, LISTED, LOCALIZED, "table1")
    if plan.is_part:
        return
    best = {kind: {one: int(tuning[one][kind].mean(axis=0).argmax()) for one in LISTED} for kind in THRESHOLDS}
    errors = {kind: {one: 1 - found[one][kind][:, best[kind][one]] for one in LISTED} for kind in THRESHOLDS}
    means = {kind: {one: mean_of(errors[kind][one]) for one in LISTED} for kind in THRESHOLDS}
    tests = {
        kind: {one: compared(errors[kind][MASK], errors[kind][one], hits=True) for one in LISTED if one != MASK}
        for kind in THRESHOLDS
    }
    whole = mean_of(np.asarray([_of_the_whole(plan, name) for name in names]))
    write(
        plan.folder("table1", len(names), IMAGES),
        title="Table 1: weak localisation",
        figure=draw(means),
        table=_table(best, means, tests),
        claims=[_claim(kind, BEATEN[kind], means[kind], tests[kind]) for kind in THRESHOLDS],
        settings={
            "images": f"{len(names)} of the claims half, classified right; target: their class, of the mask the top 5",
            "held out": f"{len(held_out)} of the other half, for α",
            "error": "no box of the class with an intersection over union of at least 0.5",
            "alpha": {k: {m: ALPHAS[k][best[k][m]] for m in LISTED} for k in THRESHOLDS},
        },
        numbers={
            "costs": costs(plan, [plan.image(name) for name in names], LISTED),
            "files": names,
            "paired": {k: {m: one.to_dict() for m, one in row.items()} for k, row in tests.items()},
        },
        notes=[
            "Our notes of the paper hold its α and its orderings, not its error rates.",
            "The images show one class each, most of them large and near the middle: an easier set than the paper's. "
            f"A box of the whole image is right on {1 - whole.mean:.0%} of them, an error of {whole}.",
        ],
    )


def _of_the_whole(plan: Plan, name: str) -> float:
    """Return the error of a box of the whole image."""
    sides = [np.clip(one.box, 0, SIDE) for one in plan.objects[name]]
    return float(all((right - left) * (bottom - top) < 0.5 * SIDE**2 for left, top, right, bottom in sides))


def _claim(kind: str, beaten: Sequence[str], means: dict[str, Mean], tests: dict[str, Compared]) -> Claim:
    names = ", ".join(METHODS[one].label for one in beaten)
    against = ", ".join(f"{METHODS[one].label} {means[one].mean:.3f} (p = {tests[one].p:.2g})" for one in beaten)
    words = f"{kind} thresholding: the mask's error is below that of {names}"
    told = f"{means[MASK]} against {against}; of a map that is highest in the middle of every image "
    told += f"{means['center'].mean:.3f} (p = {tests['center'].p:.2g})"
    return Claim(words, "so in table 1", told, verdict((tests[one] for one in beaten), "lower"))


def _table(best: dict[str, Any], means: dict[str, Any], tests: dict[str, Any]) -> Table:
    columns = ("threshold", "method", "alpha", "paper's alpha", "error", "standard error", "images")
    rows: list[list[Any]] = []
    for kind in THRESHOLDS:
        for method in LISTED:
            one, test = means[kind][method], tests[kind].get(method)
            row = [kind, METHODS[method].label, ALPHAS[kind][best[kind][method]], OF_PAPER[kind].get(method, "")]
            row += [one.mean, one.error, one.images]
            rows.append([*row, *gap_of(test)])
    return Table((*columns, "mask - method", "p (McNemar)"), rows)


def draw(means: dict[str, dict[str, Mean]]) -> Figure:
    """Draw the errors of all methods by threshold."""
    figure, axes = plt.subplots(1, len(means), figsize=(11, 4.2), layout="constrained", sharey=True)
    for axis, (kind, rows) in zip(axes, means.items(), strict=True):
        labels = [METHODS[one].label for one in rows]
        colours = ["C3" if one == MASK else "C0" for one in rows]
        values, spread = [one.mean for one in rows.values()], [one.error for one in rows.values()]
        axis.barh(np.arange(len(rows)), values, xerr=spread, color=colours)
        axis.set_yticks(np.arange(len(rows)), labels)
        axis.set(title=f"{kind} thresholding", xlabel="localisation error")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    return figure
