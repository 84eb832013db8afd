"""Objects from CSV files and from the XML files of PASCAL VOC, and files that hold none."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackbox_explain.data.objects import Object, read_objects
from blackbox_explain.errors import InputError

XML = """<annotation><folder>VOC2007</folder><filename>{name}</filename><object><name>{label}</name>
<bndbox><xmin>{left}</xmin><ymin>20</ymin><xmax>48</xmax><ymax>60</ymax></bndbox></object></annotation>"""


def written(folder: Path, text: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_objects_from_csv(tmp_path: Path) -> None:
    rows = "file,x0,y0,x1,y1,label\n./a/cat.jpg,1,2,3.5,4,tabby\na/cat.jpg,0,0,1,1,dog\nnone.jpg,,,,,\n"
    assert read_objects(written(tmp_path, rows)) == {
        "cat.jpg": (Object((1, 2, 3.5, 4), "tabby"), Object((0, 0, 1, 1), "dog")),
        "none.jpg": (),
    }
    assert read_objects(written(tmp_path, "file,x0,y0,x1,y1\ncat.jpg,1,2,3,4\n")) == {
        "cat.jpg": (Object((1, 2, 3, 4)),)
    }


def test_objects_from_a_folder_of_xml_count_from_one(tmp_path: Path) -> None:
    (tmp_path / "first.xml").write_text(XML.format(name="000001.jpg", label="cat", left=10))
    (tmp_path / "second.xml").write_text(XML.format(name="", label="dog", left=48))
    assert read_objects(tmp_path) == {
        "000001.jpg": (Object((9, 19, 48, 60), "cat"),),
        "second": (Object((47, 19, 48, 60), "dog"),),
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file,x0,y0,x1\n", "lacks the column y1"),
        ("file,x0,y0,x1,y1\n,1,2,3,4\n", "line 2 names no file"),
        ("file,x0,y0,x1,y1\na.jpg,1,2,x,4\n", "line 2: this is not a box"),
        ("file,x0,y0,x1,y1\na.jpg,3,2,1,4\n", "this box is empty"),
        ("file,x0,y0,x1,y1\na/c.jpg,1,2,3,4\nb/c.jpg,1,2,3,4\n", "two photos have one name. Got a/c.jpg and b/c.jpg"),
        ("file,x0,y0,x1,y1\na.jpg,,,,\n", "There are no objects"),
    ],
)
def test_csv_files_that_do_not_do(rows: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_objects(written(tmp_path, rows))


def test_folders_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no XML files"):
        read_objects(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_objects(tmp_path / "missing.csv")
    path = tmp_path / "a.xml"
    path.write_text("<annotation>")
    with pytest.raises(InputError, match="XML file cannot be read"):
        read_objects(tmp_path)
    for left in ("", "49"):
        path.write_text(XML.format(name="a.jpg", label="cat", left=left))
        with pytest.raises(InputError, match="not a box"):
            read_objects(tmp_path)
    path.write_text(XML.format(name="a.jpg", label="cat", left=1))
    (tmp_path / "b.xml").write_text(path.read_text())
    with pytest.raises(InputError, match="two files are about one photo"):
        read_objects(tmp_path)
