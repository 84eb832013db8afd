"""Points that people marked in photos, each on a part such as an eye: from CSV files."""

from __future__ import annotations

import math
from pathlib import Path

from blackbox_explain.data.csv_lines import CsvLine, photo_lines
from blackbox_explain.errors import InputError

__all__ = ["Point", "read_points"]

Point = tuple[float, float]
"""x and y from the corner of the photo, in its pixels: the centre of the first pixel is at 0.5."""

PLACE = ("x", "y")


def read_points(path: str | Path) -> dict[str, dict[str, tuple[Point, ...]]]:
    """Read the points of photos.

    Parameters
    ----------
    path
        A CSV file with the columns ``file``, ``part``, ``x`` and ``y``, in pixels of the upright photo; one row for
        each point, and one without part and numbers for a photo without points.

    Returns
    -------
    dict
        By the names of the photos' files, without folders, the points by the part that they are of.

    Raises
    ------
    InputError
        If the file cannot be read or lacks something, a point is none, two photos have one name, or there is no point.
    """
    found: dict[str, dict[str, list[Point]]] = {}
    for name, line in photo_lines(path, ("part", *PLACE)):
        own = found.setdefault(name, {})
        if any(line.cells[cell] for cell in ("part", *PLACE)):
            own.setdefault(_part(line), []).append(_place(line))
    if not any(found.values()):
        raise InputError("There are no points", got=str(path), expected="points, and the files that they are in")
    return {name: {part: tuple(points) for part, points in own.items()} for name, own in found.items()}


def _part(line: CsvLine) -> str:
    if not line.cells["part"]:
        raise InputError(f"{line.place} does not say of what the point is", expected="a name in the column part")
    return line.cells["part"]


def _place(line: CsvLine) -> Point:
    try:
        x, y = (float(line.cells[name]) for name in PLACE)
    except ValueError:
        x = y = math.nan
    if not (0 <= x < math.inf and 0 <= y < math.inf):
        got = ", ".join(line.cells[name] for name in PLACE)
        raise InputError(f"{line.place}: this is not a point", got=got, expected="x and y in pixels of the photo")
    return x, y
