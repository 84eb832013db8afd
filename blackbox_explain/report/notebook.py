"""Results in notebooks: a picture with its numbers, and a pandas table."""

from __future__ import annotations

import base64
import html
from typing import Any

from blackbox_explain.errors import BackendMissingError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.summary import name_of, photo_name
from blackbox_explain.report.contact_sheet import sheet
from blackbox_explain.report.figure import figure

__all__ = ["frame_of", "notebook_html", "notebook_png"]

COLUMNS = {"score": "before", "score_region": "region", "score_perturbed": "all", "share": "share"}
"""Numbers of a row and their heads."""


def frame_of(result: Explanation) -> Any:
    """Return one line for each row of a result; see `Explanation.to_frame`."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise BackendMissingError("A table needs pandas, which is not installed", hint="pip install pandas") from error
    rows = result.to_dict()["rows"]
    lines = [
        {
            "photo": photo_name(result, index),
            **{name: value for name, value in row.items() if name not in ("queries", "predictions", "curve")},
            "queries": sum(row["queries"].values()),
            "top_before": row["predictions"]["before"][0]["class"] if row["predictions"]["before"] else None,
            "top_after": row["predictions"]["after"][0]["class"] if row["predictions"]["after"] else None,
        }
        for index, row in enumerate(rows)
    ]
    return pd.DataFrame(lines)


def notebook_png(result: Explanation) -> bytes | None:
    """Return the picture of one row, or a sheet of several; None where every row failed."""
    good = result.good
    if not good:
        return None
    drawing = figure(result, good[0]) if len(result) == 1 else sheet(result)
    return drawing.png()


def notebook_html(result: Explanation) -> str:
    """Return the picture and a table of the numbers; whatever comes from outside is escaped."""
    picture = notebook_png(result)
    parts = (
        []
        if picture is None
        else [f'<img alt="explanation" src="data:image/png;base64,{base64.b64encode(picture).decode()}">']
    )
    heads = ("image", "class", *COLUMNS.values(), "outcome")
    parts.append("<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead><tbody>")
    for row in range(len(result)):
        figures = (f"{getattr(result, name)[row]:.4f}" for name in COLUMNS)
        cells = (name_of(result, row), result.target[row], *figures, str(result.outcome[row]))
        parts.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    parts.append("</tbody></table>")
    parts += [f"<p>{html.escape(doubt)}</p>" for doubt in result.provenance.doubts]
    return "".join(parts)
