"""The columns of an audit's table, and what one row holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.errors import BackendMissingError, install_hint

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CERTIFICATES", "KEY", "Row", "arrow", "as_text", "schema_of", "table_of"]

Row = dict[str, Any]
"""By the names of the columns; what is missing is null."""

KEY = ("position", "method", "rank")
"""What tells rows apart, and the order in which they are read."""

PREDICTIONS = "top_predictions"

CERTIFICATES = ("transfer_blur", "transfer_constant", "transfer_noise")
"""How much of the suppression stays under each perturbation; null for those of the kind that a region was found with.
"""


def arrow(part: str = "") -> Any:
    """Return pyarrow, or a module of it.

    Raises
    ------
    BackendMissingError
        If it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{part}" if part else "pyarrow")
    except ImportError as error:
        raise BackendMissingError(
            "Audits are kept in Parquet files, which pyarrow writes and reads",
            hint=install_hint("audit"),
        ) from error


def schema_of(grid: Sequence[int], shares: int) -> pyarrow.Schema:
    """Return the columns of an audit whose maps have `grid` cells, and whose curves have so many shares.

    The columns
    -----------
    path, sha256, position
        Of the image: where it is, what it holds, and its place in the data set.
    width, height, look
        Pixels of the upright photo, and a hash that photos share which look alike.
    label, label_name
        Its true class, where that was given.
    method, rank, target, target_index
        By which method, which of several classes of the image (0 for the first), and which class that is; no index
        where the target is none.
    top_predictions
        Names and scores of the leading classes.
    score, score_region, score_perturbed
        Of the target in the image, without the region (preservation: with nothing but it), in the perturbed image.
    outcome, message
        ok, weak or failed, and what to say about it.
    suppression, share
        How much of what perturbing takes away the region takes, or keeps; and the share of the pixels that it is.
    curve
        Target scores without the most salient share of the pixels, at the shares that the manifest tells.
    mask
        (grid) how much each cell of the image matters, from 0 to 1.
    ranking, region
        PNG files of the model's input: the number of shares of the curve that a pixel is not yet deleted at; and
        white where the region is.
    transfer_blur, transfer_constant, transfer_noise
        How much of the suppression stays when the region is blurred, or replaced by the mean colour, or by noise; null
        for the kind that the region was found with (a plain colour is of the kind of the mean colour).
    inside_boxes, boxes_share
        Share of the region that lies in boxes of the class, and the share of the image that they are, 0 where none of
        them lies in what the model reads; null where there are none.
    boxes
        Left, top, right and bottom of each of these boxes, one after the other, as shares of the photo's width and
        height; null where there are none, or one lies outside of its photo.
    at_border
        Share of the region in the outer sixteenth of the image, on each side.
    center_x, center_y
        Of the region, from 0 to 1.
    queries, gradients
        Images that the model was run on: for scores alone, and with gradient.
    error
        Why there is nothing; null where there is.
    """
    pa = arrow()
    text, number, whole = pa.string(), pa.float32(), pa.int32()
    leading = pa.list_(pa.struct([("name", text), ("score", number)]))
    columns = {
        "path": text, "sha256": text, "position": pa.int64(), "width": whole, "height": whole, "look": pa.uint64(),
        "label": whole, "label_name": text,
        "method": text, "rank": pa.int16(), "target": text, "target_index": whole, PREDICTIONS: leading,
        "score": number, "score_region": number, "score_perturbed": number, "outcome": text, "message": text,
        "suppression": number, "share": number, "curve": pa.list_(number, shares),
        "mask": pa.list_(pa.float16(), int(np.prod(grid))), "ranking": pa.binary(), "region": pa.binary(),
        **dict.fromkeys(CERTIFICATES, number), "inside_boxes": number, "boxes_share": number,
        "boxes": pa.list_(number), "at_border": number,
        "center_x": number, "center_y": number, "queries": whole, "gradients": whole, "error": text,
    }  # fmt: skip
    return pa.schema(list(columns.items()))


def table_of(rows: Sequence[Mapping[str, Any]], schema: pyarrow.Schema) -> pyarrow.Table:
    """Return rows as a table; a number that is not finite is null."""
    pa = arrow()
    columns: list[Any] = []
    for field in schema:
        values = [_plain(row.get(field.name)) for row in rows]
        columns.append(pa.array(values, type=field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def as_text(name: str) -> str:
    """Return a name as the table holds it: bytes of a file's name that are no text are written out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist() if value.dtype != np.float16 else value
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return as_text(value) if isinstance(value, str) else value
