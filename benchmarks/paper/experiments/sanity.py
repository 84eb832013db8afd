"""Sanity: do maps change when the network is replaced, layer by layer, by a random one (Adebayo et al., 2018).

The paper has no such experiment; the literature after it asks for it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import measured
from benchmarks.paper.kept import Arrays
from benchmarks.paper.measured import Asked, Measurement
from benchmarks.paper.methods import MASKS, METHODS
from benchmarks.paper.plan import Plan
from benchmarks.paper.statistics import against, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain import Explanation
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.by_name import method_of
from blackbox_explain.metrics.randomization import Randomization

IMAGES = 20
SHARES = (0.25, 0.5, 0.75, 1.0)
LISTED = (*MASKS, "guid", "grad", "gcam", "exc")
AT_MOST = 0.2


def run(plan: Plan) -> None:
    """Explain the same images to ever more random networks."""
    names = plan.halves[1][: plan.size(IMAGES)]
    found = measured(plan, names, LISTED, RANDOM, "sanity")
    if plan.is_part:
        return
    curves = {method: found[method]["curve"] for method in LISTED}
    # A map that is the same everywhere has no correlation, which is told as 0.
    sizes = {method: np.where(one == 0, np.nan, np.abs(one)) for method, one in curves.items()}
    last = {method: one[:, -1] for method, one in sizes.items()}
    tests = {mask: compared(last[mask], last["guid"]) for mask in MASKS}
    rows = [
        [METHODS[method].label, share, *_row(size, signed)]
        for method in LISTED
        for share, size, signed in zip(SHARES, sizes[method].T, curves[method].T, strict=True)
    ]
    claims = [
        Claim(
            f"{METHODS[mask].label}: its map is another one once all layers are random: size of the rank correlation "
            f"below {AT_MOST}, or no mask at all",
            "not in the paper",
            _told(last[mask]),
            verdict([against(np.nan_to_num(last[mask]), AT_MOST)], "lower"),
        )
        for mask in MASKS
    ]
    claims += [
        Claim(
            f"guided backprop's stays higher than that of {METHODS[mask].label}",
            "in the literature: it hardly changes",
            f"{mean_of(last['guid'])} against {_told(last[mask])}"
            + (f", p = {tests[mask].p:.2g}" if tests[mask].images else ": nothing to compare"),
            verdict([tests[mask]], "lower"),
        )
        for mask in MASKS
    ]
    write(
        plan.folder("sanity", len(names), IMAGES),
        title="Sanity: random networks",
        figure=draw(sizes),
        table=Table(
            (
                "method",
                "share of layers random",
                "size of rank correlation",
                "standard error",
                "with its sign",
                "maps the same everywhere",
                "images",
            ),
            rows,
        ),
        claims=claims,
        settings={
            "images": f"{len(names)} of the claims half; a mask of the paper is learned five times for each",
            "layers": "from the output towards the input; drawn from the normal distribution of their own parameters, "
            "for each image anew",
        },
        numbers={
            "costs": costs(plan, [plan.image(name) for name in names], LISTED),
            "explanations_per_image": 2 + len(SHARES),
            "files": names,
            "paired": {mask: one.to_dict() for mask, one in tests.items()},
        },
        notes=[
            "A random network gives each class about the same probability, so that there is no score to delete, and "
            "masks of eq. 4 end where the area costs nothing: a mask that deletes nothing is another one, and has no "
            "correlation with any. Means are over the images with a map that is not the same everywhere.",
        ],
    )


def _row(sizes: np.ndarray[Any, Any], signed: np.ndarray[Any, Any]) -> list[Any]:
    there, size = np.isfinite(sizes), mean_of(sizes)
    return [size.mean, size.error, mean_of(signed[there]).mean, float(1 - there.mean()), size.images]


def _told(last: np.ndarray[Any, Any]) -> str:
    known = np.isfinite(last)
    none = f"no mask in {(~known).mean():.0%} of the images"
    return none if not known.any() else str(mean_of(last)) if known.all() else f"{mean_of(last)}; {none}"


def _randomised(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    # The box itself, which can be randomised, rather than what stands in for it.
    del oracle
    entry, plan = METHODS[method], asked.plan
    seed = int.from_bytes(hashlib.sha256(asked.one.name.encode()).digest()[:4], "big")
    metric = Randomization(SHARES, seed=seed, method=method_of(entry.method, entry.called(plan)))
    return {"curve": metric.measure(Oracle.of(plan.box, 1), explanation)[0]}


RANDOM = Measurement("random", _randomised)
"""The ``curve`` of correlations with the maps of random networks, one for each of `SHARES`; each image has its own."""


def draw(sizes: dict[str, np.ndarray[Any, Any]]) -> Figure:
    """Draw the correlation against the share of layers that are random, where half of the images have one."""
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for method, one in sizes.items():
        means = [mean_of(column) for column in one.T]
        heights = [m.mean if 2 * m.images >= len(one) else np.nan for m in means]
        style = "o-" if method in MASKS else "s--"
        label = METHODS[method].label + ("" if np.isfinite(heights).any() else ": deletes nothing in most images")
        axis.errorbar(SHARES, heights, yerr=[m.error for m in means], fmt=style, label=label, capsize=2)
    axis.axhline(AT_MOST, color="0.7", lw=0.7)
    axis.set(
        xticks=SHARES, xlabel="share of the layers that are random", ylabel="size of the rank correlation with the map"
    )
    axis.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    axis.spines[["top", "right"]].set_visible(False)
    return figure
