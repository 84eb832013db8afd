"""Fig. 7: whether regions cut from a mask suppress the score under perturbations it was not learned with (5.2)."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.paper.each_image import Measured, measured, tried
from benchmarks.paper.measured import SIGMAS, deleted, representative
from benchmarks.paper.methods import MASKS, METHODS, map_of
from benchmarks.paper.pictures import framed, shown_mask
from benchmarks.paper.plan import Labelled, Plan
from benchmarks.paper.statistics import against, compared, mean_of, verdict
from benchmarks.paper.written import Claim, Table, costs, write
from blackbox_explain.metrics.representativeness import ALPHAS, simplified
from blackbox_explain.perturbations.named import OF_PAPER

IMAGES, HELD_OUT = 200, 100
SHOWN = (0.2, 0.3, 0.4, 0.6)
AT = 0.3
BELOW = 0.1


def run(plan: Plan) -> None:
    """Choose how far each mask is smoothed on held-out images, and measure the curves on others."""
    held_out = plan.halves[0][: plan.size(HELD_OUT)]
    names = plan.halves[1][: plan.size(IMAGES)]
    held = tried(plan, held_out, MASKS, {sigma: representative(sigma) for sigma in SIGMAS}, "fig7, σ")
    if held is None:
        return
    place = int(np.flatnonzero(np.isclose(ALPHAS, AT))[0])
    height = {mask: {s: float(np.nanmean(held[s][mask]["left"][:, :, place])) for s in SIGMAS} for mask in MASKS}
    sigmas = {mask: min(SIGMAS, key=height[mask].__getitem__) for mask in MASKS}
    found: Measured = {}
    gone: Measured = {}
    for mask in MASKS:
        found |= measured(plan, names, (mask,), representative(sigmas[mask]), "fig7")
        gone |= measured(plan, names, (mask,), deleted(sigmas[mask]), "fig7, deleted")
    if plan.is_part:
        return
    curves = {mask: found[mask]["left"] for mask in MASKS}
    shares = {mask: gone[mask]["share"] for mask in MASKS}
    example = plan.image(names[0])
    write(
        plan.folder("fig7", len(names), IMAGES),
        title="Fig. 7: simplified masks under three perturbations",
        figure=draw(plan, example, curves, sigmas),
        table=_table(curves, shares),
        claims=[_claim(curves[mask], shares[mask][:, place], mask, place) for mask in MASKS],
        settings={
            "images": f"{len(names)} of the claims half, classified right; target: their class",
            "held out": f"{len(held_out)} of the other half, for σ",
            "sigma": sigmas,
            "sigmas tried, mean p' at α = 0.3": height,
            "learned with": "blur alone",
        },
        numbers={
            "costs": costs(plan, [plan.image(name) for name in names], MASKS),
            "files": names,
            "alphas": ALPHAS,
            "curves": {mask: np.nanmean(one, axis=0) for mask, one in curves.items()},
            "paired": {
                f"{METHODS[a].label} - {METHODS[b].label} at α = {AT}, {what}": _gap(curves[a], curves[b], k, place)
                for a, b in (("fast", "paper"), ("fast", "authors"), ("paper", "authors"))
                for k, what in enumerate(OF_PAPER)
            },
        },
        notes=[
            "p' is normalised by the fully perturbed image, as the paper says.",
            "Of a ranking (ours) that is not smoothed α is the share of the image that is deleted; of a mask it is a "
            "value, so that less of the image is deleted at the same α: the table says how much.",
        ],
    )


def _gap(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], way: int, place: int) -> dict[str, Any]:
    return compared(ours[:, way, place], theirs[:, way, place]).to_dict()


def _claim(curves: np.ndarray[Any, Any], shares: np.ndarray[Any, Any], mask: str, place: int) -> Claim:
    columns = curves[:, :, place].T
    told = ", ".join(f"{what} {mean_of(one)}" for what, one in zip(OF_PAPER, columns, strict=True))
    told += f"; {mean_of(shares).mean:.0%} of the image deleted"
    words = f"{METHODS[mask].label}: normalised softmax below {BELOW} by α = {AT} for blur, constant and noise"
    holds = verdict((against(one, BELOW) for one in columns), "lower")
    return Claim(words, "falls swiftly for all three", told, holds)


def _table(curves: dict[str, np.ndarray[Any, Any]], shares: dict[str, np.ndarray[Any, Any]]) -> Table:
    rows: list[list[Any]] = []
    for mask, one in curves.items():
        areas = [mean_of(column).mean for column in shares[mask].T]
        for what, values in zip(OF_PAPER, np.moveaxis(one, 1, 0), strict=True):
            for alpha, area, column in zip(ALPHAS, areas, values.T, strict=True):
                found = mean_of(column)
                rows.append([METHODS[mask].label, what, float(alpha), area, found.mean, found.error, found.images])
    return Table(("mask", "perturbation", "alpha", "share deleted", "mean p'", "standard error", "images"), rows)


def draw(plan: Plan, one: Labelled, curves: dict[str, np.ndarray[Any, Any]], sigmas: dict[str, float]) -> Figure:
    """Draw a mask cut at some α, and below it the curves of all images, as the paper does."""
    figure = plt.figure(figsize=(9, 2 + 2.6 * len(curves)), layout="constrained")
    grid = figure.add_gridspec(len(curves), 8)
    for row, (mask, found) in enumerate(curves.items()):
        learned = map_of(plan, one, mask)
        keeps = simplified(learned["saliency"][None], sigmas[mask])[0]
        pictures = [
            np.moveaxis(np.asarray(one.image[0]), 0, -1),
            shown_mask(learned),
            *(keeps > alpha for alpha in SHOWN),
        ]
        titles = ["image", METHODS[mask].label, *(f"α = {alpha}" for alpha in SHOWN)]
        inner = grid[row, :4].subgridspec(2, 3)
        for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
            axis = figure.add_subplot(inner[divmod(place, 3)])
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title, fontsize=7)
            framed(axis)
        axis = figure.add_subplot(grid[row, 4:])
        for what, values in zip(OF_PAPER, np.moveaxis(found, 1, 0), strict=True):
            means = [mean_of(column) for column in values.T]
            middle, spread = np.asarray([m.mean for m in means]), np.asarray([m.error for m in means])
            (line,) = axis.plot(ALPHAS, middle, label=what)
            axis.fill_between(ALPHAS, middle - spread, middle + spread, alpha=0.2, color=line.get_color())
        axis.axhline(BELOW, color="0.7", lw=0.7)
        axis.axvline(AT, color="0.7", lw=0.7)
        axis.set(xlim=(0, 0.95), xlabel="α", ylabel="mean normalised softmax", title=METHODS[mask].label)
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure
