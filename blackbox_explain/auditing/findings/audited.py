"""Images of an audit as arrays: some of them at a time, of the first class of each by one method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.auditing.ledger.columns import CERTIFICATES, arrow
from blackbox_explain.report.picture_files import map_of

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CELLS", "COLUMNS", "Audited", "Booleans", "Floats", "Texts"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Texts = np.ndarray[Any, np.dtype[np.str_]]

COLUMNS = (
    "position", "method", "rank", "sha256", "look", "label", "target", "target_index", "score", "outcome", "share",
    "region", "inside_boxes", "boxes_share", "at_border", "error", *CERTIFICATES,
)  # fmt: skip
"""Of the table, those that are looked at."""

CELLS = 14
"""Rows and columns of the grid that regions are compared on."""

COVERED = 0.25
"""A region holds a cell of which it covers at least this share."""


@dataclass(frozen=True, eq=False)
class Audited:
    """One line for each of some images of an audit.

    Attributes
    ----------
    table
        Columns of the audit's table; images that have no explanation are among them.
    """

    table: pyarrow.Table

    @classmethod
    def of(cls, table: pyarrow.Table, method: str = "") -> Audited:
        """Take from a table what a method says of the first class of each image; "" is the only one."""
        compute = arrow("compute")
        keep = compute.equal(table.column("rank"), 0)
        if method:
            # Images that could not be read have a row of no method.
            ours = compute.is_in(table.column("method"), value_set=arrow().array(["", method]))
            keep = compute.and_(keep, ours)
        return cls(table.filter(keep))

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

    @property
    def positions(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(N,) places in the data set."""
        return np.asarray(self.table.column("position").to_pylist(), dtype=np.int64)

    def cells(self, wanted: Booleans) -> Booleans:
        """Return (N, 14, 14) whether the region of each image that is wanted holds the cells of a grid."""
        found = np.zeros((len(self), CELLS, CELLS), dtype=bool)
        pngs = self.table.column("region")
        for row in np.flatnonzero(wanted).tolist():
            png = pngs[row].as_py()
            if png is not None:
                found[row] = _coarse(map_of(png))
        return found


def _coarse(region: Booleans) -> Booleans:
    from PIL import Image

    whole = Image.fromarray(region.astype(np.float32))
    return np.asarray(whole.resize((CELLS, CELLS), Image.Resampling.BOX)) >= COVERED
