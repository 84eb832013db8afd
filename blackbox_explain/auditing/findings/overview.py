"""The numbers at the head of a report and the mean map of each class, counted while the table of an audit passes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, Booleans, Floats

if TYPE_CHECKING:
    import pyarrow

__all__ = ["OVERVIEW", "Overview"]

OVERVIEW = (
    "position", "method", "rank", "label", "label_name", "top_predictions", "outcome", "share", "target", "mask",
    "error",
)  # fmt: skip
"""Of the table, the columns that are looked at."""

BINS = 10_000
"""Of the histogram of shares: the median is exact to a hundredth of a percent of the image."""


@dataclass
class _Class:
    first: int
    images: int
    total: Floats


@dataclass
class Overview:
    """Numbers of all images of an audit, by its first method.

    Attributes
    ----------
    method
        Whose rows count; of images that could not be read there is one of no method.
    grid
        Rows and columns of the maps.
    rows, images, good, labelled, right, fine
        How many rows there are; images; of these with an explanation; with a label and predictions; of these with the
        right class first; and with a region that does what was asked.
    last
        The last place in the data set.
    """

    method: str
    grid: Sequence[int]
    rows: int = 0
    images: int = 0
    good: int = 0
    labelled: int = 0
    right: int = 0
    fine: int = 0
    last: int = 0
    _shares: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    _classes: dict[str, _Class] = field(default_factory=dict[str, _Class])

    def add(self, table: pyarrow.Table) -> None:
        """Take in some rows."""
        images = Audited.of(table, self.method)
        self.rows += table.num_rows
        self.images += len(images)
        self.last = max(self.last, *table.column("position").to_pylist(), 0)
        explained, fine = images.explained, images.texts("outcome") == "ok"
        self.good += int(explained.sum())
        leading = images.table.column("top_predictions").to_pylist()
        first = np.asarray([one[0]["name"] if one else "" for one in leading], dtype=np.str_)
        labelled = explained & ~np.isnan(images.numbers("label")) & (first != "")
        self.labelled += int(labelled.sum())
        self.right += int((labelled & (first == images.texts("label_name"))).sum())
        self.fine += int(fine.sum())
        self._shares += np.histogram(images.numbers("share")[fine], BINS, (0, 1))[0]
        self._add_maps(images, explained)

    def median_share(self) -> float:
        """Return the median of how much of the image a region is that does what was asked; NaN without one."""
        if not self.fine:
            return float("nan")
        bin_of_median = int(np.searchsorted(self._shares.cumsum(), self.fine / 2))
        return (bin_of_median + 0.5) / BINS

    def classes(self, most: int) -> list[tuple[str, int, Floats]]:
        """Return the classes that most images were explained for, each with the mean (h, w) of its maps."""
        several = [(name, one) for name, one in self._classes.items() if one.images > 1]
        order = sorted(several, key=lambda pair: (-pair[1].images, pair[1].first))[:most]
        return [(name, one.images, (one.total / one.images).reshape(*self.grid)) for name, one in order]

    def _add_maps(self, images: Audited, explained: Booleans) -> None:
        rows = np.flatnonzero(explained)
        if not len(rows):
            return
        masks = images.table.column("mask").combine_chunks().take(rows)
        maps = masks.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
        names, which = np.unique(images.texts("target")[rows], return_inverse=True)
        for number, name in enumerate(names.tolist()):
            own = which == number
            first, total = int(images.positions[rows][own].min()), maps[own].sum(axis=0, dtype=np.float64)
            known = self._classes.setdefault(name, _Class(first, 0, np.zeros_like(total)))
            known.first, known.images = min(first, known.first), known.images + int(own.sum())
            known.total += total
