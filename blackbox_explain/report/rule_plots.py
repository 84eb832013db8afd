"""Pictures of learned rules: the error against θ with its band, joint regions, and images that broke a rule."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.box.class_names import shown_name
from blackbox_explain.errors import InputError
from blackbox_explain.report.text_layout import WARNING
from blackbox_explain.rules.measuring.faithfulness import percent
from blackbox_explain.rules.measuring.joint_region import JointRegion
from blackbox_explain.rules.measuring.rule_family import Counterexample
from blackbox_explain.rules.measuring.search import MostInformative
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.statements.invariance import apply

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["counterexamples_figure", "curve_figure", "mark_doubted", "region_figure"]

SHOWN = 6
"""Counterexamples in a strip."""


def curve_figure(found: MostInformative) -> Figure:
    """Draw the error of a rule against its θ, with a band that holds at every θ at once if the error grows with θ."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6.4, 3.8), layout="constrained", facecolor="white")
    axes = drawing.subplots()
    theta, looked_at = [one for one, _ in found.curve], [one for _, one in found.curve]
    low, error, high = (
        100 * np.asarray([getattr(one, name) for one in looked_at]) for name in ("low", "error", "high")
    )
    if len(theta) > 1:
        # Between two levels the error is that of neither: not below the lower one's, nor above the upper one's.
        steps, below = np.repeat([0.0, *theta], 2)[1:-1], np.concatenate([[0.0], low[:-1]])
        band = np.repeat(below, 2), np.repeat(high, 2)
        axes.fill_between(steps, *band, color="C0", alpha=0.2, linewidth=0, label="interval")
        axes.plot(theta, error, "o-", color="C0", markersize=4, label="wrong")
    else:
        # One strength is no curve.
        spread = [error - low, high - error]
        axes.errorbar(theta, error, yerr=spread, fmt="o", color="C0", capsize=4, clip_on=False, label="wrong, interval")
    axes.axhline(
        100 * found.max_error, color="0.4", linestyle="--", linewidth=1, label=f"allowed, {percent(found.max_error)} %"
    )
    unit = f" in {found.relation.unit.strip()}" if found.relation.unit else ""
    axes.set(ylabel="% of images", xlim=(0, None if len(theta) > 1 else 2 * theta[0]), ylim=(0, None))
    if found.relation.limit == found.relation.step:  # it has no strength
        axes.set(xlabel=found.relation.name, xticks=[])
    else:
        axes.set_xlabel(f"{found.relation.name}: θ{unit}")
        if found.theta and len(theta) > 1:
            axes.axvline(found.theta, color="C3", linewidth=1, label=f"θ = {found.theta:g}{found.relation.unit}")
    axes.set_title("\n".join(textwrap.wrap(found.sentence, 84)), fontsize=9, parse_math=False)
    axes.legend(frameon=False, fontsize=8)
    return drawing


def region_figure(found: JointRegion) -> Figure:
    """Draw the outline of a joint region, and every pair that was looked at."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(5.2, 4.4), layout="constrained", facecolor="white")
    axes = drawing.subplots()
    first, second = found.relations
    if len(found.outline):
        corners = sorted(found.outline.tolist())
        across, up = [0.0], [corners[0][1]]
        for x, y in corners:
            across += [across[-1], x]
            up += [y, y]
        across.append(across[-1])
        up.append(0.0)
        axes.fill([*across, 0.0], [*up, 0.0], color="C0", alpha=0.2, linewidth=0)
        axes.plot(across, up, color="C0", label=f"wrong for at most {percent(found.max_error)} %")
    for one, pair in zip(found.looked_at, found.pairs, strict=True):
        good = one.high <= found.max_error
        axes.plot(*pair, "o" if good else "x", color="C0" if good else "C3", markersize=5, clip_on=False)
    axes.set(xlabel=_label(first), ylabel=_label(second), xlim=(0, None), ylim=(0, None))
    if len(found.outline):
        axes.legend(frameon=False, fontsize=8)
    return drawing


def mark_doubted(drawing: Figure, doubt: str) -> None:
    """Say below a picture that the model may not see the images as it should."""
    width = max(40, int(14 * drawing.get_figwidth()))
    drawing.supxlabel("\n".join(textwrap.wrap(f"to be doubted: {doubt}", width)), fontsize=8, color=WARNING)


def counterexamples_figure(found: MostInformative, questions: Questions, shown: int = SHOWN) -> Figure:
    """Draw images that took the least of a transformation to change their response, before above after.

    Raises
    ------
    InputError
        If there are none, or the images are no pictures.
    """
    from matplotlib.figure import Figure

    nearest = found.nearest[:shown]
    spec = questions.samples.spec
    if not nearest:
        raise InputError("No response changed", got=f"no counterexample to {found.relation.name}")
    if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
        raise InputError("These images are no pictures", got=f"shape {spec.shape}")
    rows = np.asarray([one.row for one in nearest])
    before = questions.samples.batch(rows)
    after = apply(found.relation, before, [one.amount for one in nearest], questions, rows)
    scores = [questions.original(rows), questions.oracle.scores(after)]
    drawing = Figure(figsize=(1.75 * max(len(nearest), 3), 4.4), layout="constrained", facecolor="white")
    grid = drawing.subplots(2, max(len(nearest), 3), squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    low, high = spec.bounds
    for place, one in enumerate(nearest):
        for line, (images, of) in enumerate(zip((before, after), scores, strict=True)):
            top = int(of[place].argmax())
            name = shown_name(top, spec.class_names)
            title = f"{textwrap.shorten(name, 20, placeholder='…')}\n{of[place, top]:.3f}"
            _draw(
                grid[line, place], (images[place] - low) / (high - low), title + (_amount(found, one) if line else "")
            )
    drawing.suptitle(f"{found.relation.name}: the least that changed the response", fontsize=10)
    return drawing


def _draw(axes: Axes, image: np.ndarray[Any, Any], title: str) -> None:
    axes.imshow(np.clip(np.moveaxis(image, 0, -1), 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=7, parse_math=False)


def _amount(found: MostInformative, one: Counterexample) -> str:
    return (
        f" at {one.amount:+g}{found.relation.unit}"
        if found.relation.signed
        else f" at {one.amount:g}{found.relation.unit}"
    )


def _label(relation: Any) -> str:
    return f"{relation.name}: θ" + (f" in {relation.unit.strip()}" if relation.unit else "")
