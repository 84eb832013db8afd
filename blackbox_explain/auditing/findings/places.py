"""Regions at one fixed place: a stamp, a watermark or a patch that a model learned in place of the object."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited
from blackbox_explain.report.page.content import Finding
from blackbox_explain.rules.measuring.intervals import clopper_pearson

__all__ = ["fixed_places"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]

LEAST = 5
"""Images of a class from which on it is looked at."""

MOST, ELSEWHERE = 0.6, 0.25
"""Of the images of the class at least so many hold the place, and of the others at most so many."""

EVERYWHERE = 20
"""Images from which on a place that all classes share is looked for."""

MIDDLE = 0.6
"""Of an image's height and width: objects stand there, so that a place there tells nothing unless other classes lack
it."""

LEVEL = 1e-3
"""Chance would show so clear a place anywhere, of any class, in no more than this share of data sets."""


def fixed_places(audited: Audited) -> list[Finding]:
    """Find classes whose regions lie at one place that regions of other classes leave out; one finding for each."""
    fine, targets = audited.texts("outcome") == "ok", audited.texts("target")
    cells = audited.cells()
    names = [name for name in np.unique(targets[fine]).tolist() if (fine & (targets == name)).sum() >= LEAST]
    found = [one for name in names if (one := _of_class(audited, name, targets, fine, cells, len(names)))]
    found += [one] if (one := _of_all(audited, fine, cells)) else []
    if found:
        return sorted(found, key=lambda one: (-one.share, one.title))
    about = (
        f"Each class with {LEAST} images or more was looked at against all others, and all images together for a "
        "place outside of the middle."
    )
    title = "No class has its regions at one fixed place"
    if fine.sum() < EVERYWHERE and len(np.unique(targets[fine])) < 2:
        title = f"Not looked for: less than {EVERYWHERE} images have a region, and all of these are of one class"
    elif not names:
        title = f"Not looked for: no class has {LEAST} images with a region"
    return [Finding("fixed place", title, about, "none")]


def _of_all(audited: Audited, fine: Booleans, cells: Booleans) -> Finding | None:
    """Find a place outside of the middle that most regions hold, whatever the class."""
    count = int(fine.sum())
    here = cells[fine].sum(axis=0)
    down, across = (np.abs((np.arange(size) + 0.5) / size - 0.5) * 2 for size in here.shape)
    outer = np.maximum(down[:, None], across[None, :]) > MIDDLE
    place = np.unravel_index(int(np.where(outer, here, -1).argmax()), here.shape)
    often = int(here[place])
    if count < EVERYWHERE or often < MOST * count:
        return None
    return Finding(
        "fixed place of all classes",
        f"In {often} of {count} images, whatever their class, the region is {_where(place, here.shape)}",
        "Objects are seldom always there: a stamp, a watermark, a border or the way the images were made may decide.",
        "problem",
        often,
        count,
        *clopper_pearson(often, count),
        positions=audited.positions(np.flatnonzero(fine & cells[:, place[0], place[1]])),
    )


def _of_class(
    audited: Audited, name: str, targets: Any, fine: Booleans, cells: Booleans, classes: int
) -> Finding | None:
    own, other = fine & (targets == name), fine & (targets != name)
    count, rest = int(own.sum()), int(other.sum())
    here = cells[own].sum(axis=0)
    there = cells[other].sum(axis=0)
    usual = there / rest if rest else np.zeros_like(here, dtype=float)
    gain = np.where((here >= MOST * count) & (usual <= ELSEWHERE), here / count - usual, -1.0)
    place = np.unravel_index(int(gain.argmax()), gain.shape)
    if gain[place] < 0 or not rest:
        return None
    often, seldom = int(here[place]), int(there[place])
    from scipy.stats import fisher_exact  # slow to load, and of what commands do only audits need it

    chance: Any = fisher_exact([[often, count - often], [seldom, rest - seldom]], alternative="greater")
    if chance.pvalue * classes * gain.size > LEVEL:
        return None
    rows = np.flatnonzero(own & cells[:, place[0], place[1]])
    return Finding(
        f"fixed place of {name}",
        f"In {often} of {count} images of {name} the region is {_where(place, gain.shape)}; of other classes in "
        f"{seldom} of {rest}",
        "The same place in image after image is seldom where the object is: a stamp, a watermark or a patch of one "
        "class may decide.",
        "problem",
        often,
        count,
        *clopper_pearson(often, count),
        positions=audited.positions(rows),
    )


def _where(place: Any, shape: tuple[int, ...]) -> str:
    """Return in words where a cell of a grid is."""
    down, across = (int(3 * (one + 0.5) / size) for one, size in zip(place, shape, strict=True))
    height, width = ("at the top", "in the middle", "at the bottom")[down], ("left", "", "right")[across]
    return f"{height} {width}".strip()
