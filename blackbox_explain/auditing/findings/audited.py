"""The table of an audit as arrays, of the first class of each image by the first method."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blackbox_explain.report.page.content import Finding
from blackbox_explain.report.picture_files import map_of
from blackbox_explain.rules.measuring.intervals import clopper_pearson

if TYPE_CHECKING:
    import pyarrow

__all__ = ["OFTEN", "Audited", "counted", "most_often"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Texts = np.ndarray[Any, np.dtype[np.str_]]

OFTEN = 0.05
"""What is true of more of the images than this, with confidence, is a problem; of fewer, worth knowing."""

CELLS = 14
"""Rows and columns of the grid that regions are compared on."""

COVERED = 0.25
"""A region holds a cell of which it covers at least this share."""


@dataclass(frozen=True, eq=False)
class Audited:
    """One line for each image of an audit.

    Attributes
    ----------
    table
        All columns; rows that have no explanation are among them.
    """

    table: pyarrow.Table

    @classmethod
    def of(cls, table: pyarrow.Table, method: str = "") -> Audited:
        """Take from a table what a method says of the first class of each image; "" is the only one, or the mask."""
        methods = sorted({one for one in table.column("method").to_pylist() if one}, key=lambda name: name != "mask")
        first = method or (methods[0] if methods else "")
        keep = [
            (method in ("", first)) and rank == 0
            for method, rank in zip(table.column("method").to_pylist(), table.column("rank").to_pylist(), strict=True)
        ]
        return cls(table.filter(np.asarray(keep, dtype=bool)) if keep else table)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.table.num_rows

    def numbers(self, name: str) -> Floats:
        """Return a column of numbers, NaN where it is null."""
        return np.asarray([np.nan if one is None else one for one in self.table.column(name).to_pylist()], dtype=float)

    def texts(self, name: str) -> Texts:
        """Return a column of texts, "" where it is null."""
        return np.asarray([one or "" for one in self.table.column(name).to_pylist()], dtype=np.str_)

    @property
    def explained(self) -> Booleans:
        """(N,) whether there is an explanation."""
        return self.texts("error") == ""

    def cells(self) -> Booleans:
        """Return (N, 14, 14) whether the region of each image holds the cells of a grid; nowhere without one."""
        found = np.zeros((len(self), CELLS, CELLS), dtype=bool)
        for row, png in enumerate(self.table.column("region").to_pylist()):
            if png is not None:
                found[row] = _coarse(map_of(png))
        return found

    def positions(self, rows: Any) -> tuple[int, ...]:
        """Return the places in the data set of some rows (numbers, or (N,) booleans)."""
        return tuple(self.numbers("position")[rows].astype(int).tolist())


def counted(
    audited: Audited,
    name: str,
    true: Booleans,
    among: Booleans,
    title: str,
    about: str,
    order: Floats | None = None,
    serious: bool = True,
    missing: str = "there is no image with an explanation",
) -> Finding:
    """Return what is true of some images as a finding.

    Parameters
    ----------
    audited
        The table.
    name, about
        As in `Finding`.
    true, among
        (N,) of which images it is true, and which were looked at.
    title
        With ``{count}`` and ``{total}``.
    order
        (N,) the clearest first: the lowest numbers.
    serious
        Whether it is a problem where it is true of many.
    missing
        Why it was not looked for, where no image could be looked at.
    """
    rows = np.flatnonzero(true & among)
    count, total = len(rows), int(among.sum())
    if not total:
        return Finding(name, f"Not looked for: {missing}", about, "none")
    low, high = clopper_pearson(count, total)
    if order is not None:
        rows = rows[np.argsort(order[rows], kind="stable")]
    severity: Literal["problem", "notice", "none"] = "notice" if count else "none"
    if count and serious and low > OFTEN:
        severity = "problem"
    told = title.replace("{count}", str(count)).replace("{total}", str(total))
    return Finding(name, told, about, severity, count, total, low, high, audited.positions(rows))


def most_often(names: Texts, true: Booleans, among: Booleans, least: int = 2) -> str:
    """Return in words which classes something is true of most often: "most often: tench (4 of 5)"; "" of none."""
    have, are = Counter(names[among].tolist()), Counter(names[true & among].tolist())
    order = sorted((one for one in are if are[one] >= least), key=lambda one: (-are[one] / have[one], -are[one], one))
    words = [f"{one} ({are[one]} of {have[one]})" for one in order[:3]]
    return f"; most often: {', '.join(words)}" if words else ""


def _coarse(region: Booleans) -> Booleans:
    from PIL import Image

    whole = Image.fromarray(region.astype(np.float32))
    return np.asarray(whole.resize((CELLS, CELLS), Image.Resampling.BOX)) >= COVERED
