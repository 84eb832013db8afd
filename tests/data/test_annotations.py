"""Labels and boxes from CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.common.photos import data_folder
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.annotations import boxes_of, labels_of, photo_size, placed, regions_from_boxes, regions_of
from blackbox_explain.data.images import load_images
from blackbox_explain.errors import ImageError, InputError

NAMES = ("a.jpg", "cats/b.jpg", "dogs/b.jpg")
CLASSES = ("tabby, tabby cat", "flute", "7")

BOTH = """file,label,x0,y0,x1,y1
a.jpg,1,0,0,10,10
a.jpg,1,20,20,30.5,40
cats/b.jpg,tabby,5,5,6,6
dogs/b.jpg,Flute,,,,
elsewhere.jpg,nothing,x,,,
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        path = tmp_path / "known.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_labels_are_indices_or_names_and_boxes_may_be_beside_them(write: Any) -> None:
    path = write(BOTH)
    assert labels_of(path, NAMES, CLASSES) == [1, 0, 1]
    boxes = boxes_of(path, NAMES, [(40, 40)] * 3)
    assert boxes == (((0, 0, 10, 10), (20, 20, 30.5, 40)), ((5, 5, 6, 6),), ())


def test_a_name_that_is_a_number_is_a_name(write: Any) -> None:
    assert labels_of(write("file,label\na.jpg,7\n"), NAMES[:1], CLASSES) == [2]


def test_without_names_labels_are_indices(write: Any) -> None:
    path = write("File, LABEL\na.jpg,12\n\n")
    assert labels_of(path, NAMES[:1]) == [12]
    with pytest.raises(InputError, match=r"line 2: the model lacks this class: .*Got class 12; expected 0 to 9"):
        labels_of(path, NAMES[:1], classes=10)


def test_files_are_found_by_as_much_of_their_path_as_is_given(write: Any) -> None:
    path = write("file,label\n./a.jpg,0\n/data/photos/cats/b.jpg,1\ndogs\\b.jpg,0\nbirds/b.jpg,5\n")
    assert labels_of(path, NAMES, classes=2) == [0, 1, 0]
    assert labels_of(write("file,label\nb.jpg,1\n"), ["x/y/b.jpg"], classes=2) == [1]
    with pytest.raises(InputError, match="line 2 fits several images"):
        labels_of(write("file,label\nb.jpg,1\n"), NAMES, classes=2)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "lacks the column file. Got an empty file"),
        ("file,class\na.jpg,1\n", "lacks the column label. Got file, class; expected a first row with file, label"),
        ("file;label\na.jpg;1\n", "try: commas between the cells"),
        ("file,label\na.jpg,1,2\n", "line 2 has another number of cells. Got 3; expected 2"),
        ("file,label\na.jpg,oboe\n", "line 2: the model lacks this class: There is no such class"),
        ("file,label\na.jpg,3\n", "line 2: the model lacks this class"),
        ("file,label\na.jpg,\n", "line 2: the model lacks this class: The class has no name"),
        ("file,label\na.jpg,1\na.jpg,0\n", "line 3: an image has two true classes. Got a.jpg: classes 1 and 0"),
        ("file,label\n,1\n", "line 2 names no file"),
        ("file,label\nb.jpg,1\n", "does not give each image its true class. Got none for a.jpg"),
        ('file,label\n"a.jpg,1\n', "This is not a CSV file"),
    ],
)
def test_labels_that_do_not_fit_are_an_error(write: Any, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        labels_of(write(text), NAMES[:1], CLASSES)


def test_files_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        labels_of(tmp_path / "none.csv", NAMES, CLASSES)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(InputError, match="not a CSV file"):
        labels_of(tmp_path / "bytes.csv", NAMES, CLASSES)
    (tmp_path / "photo.jpg").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="size of this photo"):
        photo_size(tmp_path / "photo.jpg")


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ("a,0,1,1", "this is not a box. Got x0='a', y0='0', x1='1', y1='1'; expected four numbers"),
        ("0,,1,1", "this is not a box"),
        ("0,0,nan,1", "this is not a box"),
        ("0,0,inf,1", "this is not a box"),
        ("5,0,5,1", "this box is empty"),
        ("0,9,5,1", "this box is empty"),
        ("0,0,42,5", "outside of its photo. .*; expected at most 40 × 20 pixels"),
        ("0,0,5,22", "outside of its photo"),
        ("-2,0,5,5", "outside of its photo"),
        (",,,", "has no box of any of the images. Got none of a.jpg"),
    ],
)
def test_boxes_that_do_not_fit_are_an_error(write: Any, cells: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        boxes_of(write(f"file,x0,y0,x1,y1\na.jpg,{cells}\n"), NAMES[:1], [(40, 20)])


def test_a_box_that_leaves_its_photo_by_a_pixel_is_cut(write: Any) -> None:
    path = write("file,x0,y0,x1,y1\na.jpg,-0.5,0,41,20.9\n")
    assert boxes_of(path, NAMES[:1], [(40, 20)]) == (((0, 0, 40, 20),),)


def test_the_column_of_a_box_must_be_there(write: Any) -> None:
    with pytest.raises(InputError, match="lacks the column y1"):
        boxes_of(write("file,x0,y0,x1\na.jpg,0,0,5\n"), NAMES[:1], [(40, 20)])


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(120, 80), (81, 133), (64, 64), (30, 20), (301, 100)])
def test_a_box_lies_where_the_photo_is_shown(tmp_path: Path, fit: Any, size: tuple[int, int]) -> None:
    spec = InputSpec((1, 56, 64))
    box = (0.3 * size[0], 0.2 * size[1], 0.7 * size[0], 0.9 * size[1])
    left, top, right, bottom = (round(one) for one in box)
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[top:bottom, left:right] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown = load_images([tmp_path / "a.png"], spec, fit=fit)[0, 0]
    mean = pixels.mean() / 255
    if fit == "pad":
        # Beside the photo is its mean colour.
        shown = np.where(np.isclose(shown, mean, atol=0.01), 0, shown)
    drawn = regions_from_boxes([[(left, top, right, bottom)]], [size], spec, fit)[0]
    assert not (shown > 0.6)[~drawn].any()
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    inner = drawn & False
    inner[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]] = True
    # A pixel that the box only touches may be dark, one that it covers may not.
    assert (shown[inner] > 0.4).all()


def test_several_boxes_are_one_region_and_none_is_an_empty_one() -> None:
    spec = InputSpec((3, 8, 8))
    regions = regions_from_boxes([[(0, 0, 2, 2), (1, 1, 3, 4)], []], [(8, 8)] * 2, spec, "stretch")
    assert regions[0].sum() == 4 + 6 - 1
    assert not regions[1].any()


def test_a_box_that_is_cropped_away_is_nowhere() -> None:
    assert not regions_from_boxes([[(0, 0, 5, 5)]], [(40, 10)], InputSpec((3, 8, 8)), "crop").any()
    assert placed((0, 0, 40, 10), (40, 10), (8, 8), "crop") == (-12, 0, 20, 8)
    assert placed((0, 0, 40, 10), (40, 10), (8, 8), "pad") == (0, 3, 8, 5)


def test_a_photo_that_lies_on_its_side_is_measured_upright(tmp_path: Path) -> None:
    photo = Image.fromarray(np.zeros((20, 40), np.uint8))
    tags = Image.Exif()
    tags[0x0112] = 6
    photo.save(tmp_path / "a.jpg", exif=tags)
    assert photo_size(tmp_path / "a.jpg") == (20, 40)
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1\na.jpg,0,20,20,40\n")
    found = regions_of(tmp_path / "boxes.csv", ["a.jpg"], [tmp_path / "a.jpg"], InputSpec((3, 8, 4)), "stretch")
    assert found[0].tolist() == [[False] * 4] * 4 + [[True] * 4] * 4


def test_boxes_are_of_images_and_fits_are_known() -> None:
    with pytest.raises(InputError, match="Boxes are of images"):
        regions_from_boxes([[(0, 0, 1, 1)]], [(8, 8)], InputSpec((1, 8)))
    with pytest.raises(InputError, match="no such fit"):
        regions_from_boxes([[(0, 0, 1, 1)]], [(8, 8)], InputSpec((1, 8, 8)), "squeeze")  # type: ignore[arg-type]


def test_real_annotations_are_read(shared_photos: list[Path]) -> None:
    folder = data_folder() / "ilsvrc_val"
    names = sorted(path.name for path in (folder / "images").glob("*.JPEG"))
    spec = InputSpec((3, 224, 224))
    labels = labels_of(folder / "boxes.csv", names, classes=1000)
    regions = regions_of(folder / "boxes.csv", names, [folder / "images" / name for name in names], spec, "stretch")
    assert len(names) == len(labels) == len(regions) == 650
    assert regions.any(axis=(1, 2)).all()
    assert len(np.unique(labels)) == 471
