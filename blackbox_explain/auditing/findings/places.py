"""Regions at one fixed place: a stamp, a watermark or a patch that a model learned in place of the object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from blackbox_explain.auditing.findings.audited import CELLS, Audited, Booleans
from blackbox_explain.auditing.findings.counting import Clearest
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.report.page.content import Finding

__all__ = ["FixedPlaces"]

Counts = np.ndarray[Any, np.dtype[np.int64]]

LEAST = 5
"""Images of a class from which on it is looked at."""

MOST, ELSEWHERE = 0.6, 0.25
"""A place of a class: at least `MOST` of its images hold it, and at most `ELSEWHERE` of the others.  Of all images: at
least `MOST` hold it, and at most `ELSEWHERE` the median of the places outside of the middle."""

EVERYWHERE = 20
"""Images from which on a place that all classes share is looked for."""

MIDDLE = 0.6
"""Of an image's height and width: objects stand there, so that a place there tells nothing unless other classes lack
it."""

LEVEL = 1e-3
"""Chance would show so clear a place anywhere, of any class, in no more than this share of data sets."""


@dataclass
class _Held:
    """How many regions hold each cell of a grid."""

    images: int = 0
    cells: Counts = field(default_factory=lambda: np.zeros((CELLS, CELLS), dtype=np.int64))

    def add(self, cells: Booleans) -> None:
        self.images += len(cells)
        self.cells += cells.sum(axis=0)


@dataclass
class FixedPlaces:
    """Finds classes whose regions lie at one place that regions of other classes leave out.

    All images are taken in by `add`; then, where `wants_more`, again by `name`, since which place it is that they are
    to be named for was not known before.
    """

    _all: _Held = field(default_factory=_Held)
    _classes: dict[str, _Held] = field(default_factory=dict[str, _Held])
    _found: list[tuple[str | None, tuple[int, int], Finding]] | None = None
    _clearest: dict[str | None, Clearest] = field(default_factory=dict)

    def add(self, images: Audited) -> None:
        """Take in some images."""
        fine, targets = images.texts("outcome") == "ok", images.texts("target")
        cells = images.cells(fine)
        self._all.add(cells[fine])
        for name in np.unique(targets[fine]).tolist():
            self._classes.setdefault(name, _Held()).add(cells[fine & (targets == name)])

    def wants_more(self) -> bool:
        """Return whether there are places whose images are not named yet."""
        if self._found is None:
            names = [name for name, held in sorted(self._classes.items()) if held.images >= LEAST]
            found = [one for name in names if (one := self._of_class(name, len(names)))]
            found += [one] if (one := self._of_all()) else []
            self._found = sorted(found, key=lambda one: (-one[2].share, one[2].title))
            self._clearest = {name: Clearest() for name, _, _ in found}
        return bool(self._found)

    def name(self, images: Audited) -> None:
        """Take in some images again, to name those whose region holds a place that was found."""
        fine, targets = images.texts("outcome") == "ok", images.texts("target")
        places = [(name, place) for name, place, _ in self._found or ()]
        anything = any(name is None for name, _ in places)
        cells = images.cells(fine & (anything | np.isin(targets, [name for name, _ in places if name is not None])))
        for name, (down, across) in places:
            own = fine & cells[:, down, across] & (True if name is None else targets == name)
            self._clearest[name].add(np.zeros(int(own.sum())), images.positions[own])

    def found(self) -> list[Finding]:
        """Return a finding for each place, or one that says that there is none."""
        if self.wants_more():
            return [
                replace(finding, positions=self._clearest[name].positions()) for name, _, finding in self._found or ()
            ]
        about = (
            f"Each class with {LEAST} images or more was looked at against all others, and all images together for a "
            "place outside of the middle."
        )
        title = "No class has its regions at one fixed place"
        if self._all.images < EVERYWHERE and len(self._classes) < 2:
            title = f"Not looked for: less than {EVERYWHERE} images have a region, and all of these are of one class"
        elif all(held.images < LEAST for held in self._classes.values()):
            title = f"Not looked for: no class has {LEAST} images with a region"
        return [Finding("fixed place", title, about, "none")]

    def _of_all(self) -> tuple[None, tuple[int, int], Finding] | None:
        """Find a place outside of the middle that most regions hold, whatever the class."""
        count, here = self._all.images, self._all.cells
        down, across = (np.abs((np.arange(size) + 0.5) / size - 0.5) * 2 for size in here.shape)
        outer = np.maximum(down[:, None], across[None, :]) > MIDDLE
        place = _cell(int(np.where(outer, here, -1).argmax()))
        often = int(here[place])
        # Scattered or large regions hold most cells in most images, and no place stands out.
        if count < EVERYWHERE or often < MOST * count or np.median(here[outer]) > ELSEWHERE * count:
            return None
        title = f"In {often} of {count} images, whatever their class, the region is {_where(place)}"
        about = (
            "Objects are seldom always there: a stamp, a watermark, a border or the way the images were made may "
            "decide."
        )
        interval = clopper_pearson(often, count)
        return None, place, Finding("fixed place of all classes", title, about, "problem", often, count, *interval)

    def _of_class(self, name: str, classes: int) -> tuple[str, tuple[int, int], Finding] | None:
        own = self._classes[name]
        count, rest = own.images, self._all.images - own.images
        here, there = own.cells, self._all.cells - own.cells
        usual = there / rest if rest else np.zeros_like(here, dtype=float)
        gain = np.where((here >= MOST * count) & (usual <= ELSEWHERE), here / count - usual, -1.0)
        place = _cell(int(gain.argmax()))
        if gain[place] < 0 or not rest:
            return None
        often, seldom = int(here[place]), int(there[place])
        from scipy.stats import fisher_exact  # slow to load, and of what commands do only audits need it

        chance: Any = fisher_exact([[often, count - often], [seldom, rest - seldom]], alternative="greater")
        if chance.pvalue * classes * gain.size > LEVEL:
            return None
        title = (
            f"In {often} of {count} images of {name} the region is {_where(place)}; of other classes in "
            f"{seldom} of {rest}"
        )
        about = (
            "The same place in image after image is seldom where the object is: a stamp, a watermark or a patch of one "
            "class may decide."
        )
        interval = clopper_pearson(often, count)
        return name, place, Finding(f"fixed place of {name}", title, about, "problem", often, count, *interval)


def _cell(number: int) -> tuple[int, int]:
    return number // CELLS, number % CELLS


def _where(place: tuple[int, int]) -> str:
    """Return in words where a cell of the grid is."""
    down, across = (int(3 * (one + 0.5) / CELLS) for one in place)
    height, width = ("at the top", "in the middle", "at the bottom")[down], ("left", "", "right")[across]
    return f"{height} {width}".strip()
