"""Points from CSV files, and files that hold none."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_explain.data.points import read_points
from blackbox_explain.errors import InputError


def written(folder: Path, text: str) -> Path:
    path = folder / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_points_by_photo_and_part(tmp_path: Path) -> None:
    rows = "file,part,x,y\n./a/cat.jpg,eyes,1,2.5\na/cat.jpg,eyes,3,4\na/cat.jpg,feet,0,9\nnone.jpg,,,\n"
    assert read_points(written(tmp_path, rows)) == {
        "cat.jpg": {"eyes": ((1, 2.5), (3, 4)), "feet": ((0, 9),)},
        "none.jpg": {},
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file,x,y\n", "lacks the column part"),
        ("file,part,x,y\n,eyes,1,2\n", "line 2 names no file"),
        ("file,part,x,y\na.jpg,,1,2\n", "line 2 does not say of what the point is"),
        ("file,part,x,y\na.jpg,eyes,1,\n", "line 2: this is not a point. Got 1, ;"),
        ("file,part,x,y\na.jpg,eyes,-1,2\n", "this is not a point"),
        ("file,part,x,y\na.jpg,eyes,nan,2\n", "this is not a point"),
        ("file,part,x,y\na/c.jpg,eyes,1,2\nb/c.jpg,eyes,1,2\n", "two photos have one name. Got a/c.jpg and b/c.jpg"),
        ("file,part,x,y\na.jpg,,,\n", "There are no points"),
    ],
)
def test_files_without_points(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_points(written(tmp_path, rows))
