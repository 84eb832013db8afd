"""What people know about photos: true classes and the boxes of the objects, from CSV files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.csv_lines import CsvLine, csv_lines
from blackbox_explain.data.photos import FITS, Fit, part_read
from blackbox_explain.errors import ImageError, InputError, TargetError

__all__ = [
    "BOX",
    "Box",
    "ImageNames",
    "box_in",
    "boxes_of",
    "cut_to_photo",
    "known_labels",
    "labels_of",
    "photo_size",
    "placed",
    "regions_from_boxes",
    "regions_of",
]

BOX = ("x0", "y0", "x1", "y1")

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the upright photo, from its corner: the first pixel reaches from 0 to 1."""

SLACK = 1.0
"""Pixels by which a box may leave the photo, as boxes do that count from one or were rounded; it is cut there."""

ALMOST = 1e-6
"""Of a pixel: what a box reaches into by less is rounding."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def labels_of(
    path: str | Path, names: Sequence[str], class_names: Sequence[str] | None = None, classes: int | None = None
) -> list[int]:
    """Read the true class of each image.

    Parameters
    ----------
    path
        A CSV file with the columns ``file`` and ``label``: an index from 0, or a name of the class or one of its
        synonyms.  Further columns, several rows of one file (if they agree) and rows of other files do no harm.
    names
        (N,) of the images: paths within their folder, of which a CSV file may leave out the beginning or give more.
    class_names
        K names of the classes, or None, where labels are indices.
    classes
        K, where there are no names; None if it is not known, when `Classification` tells labels that are too large.

    Returns
    -------
    list of int
        (N,) class indices.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a label is no class of the model, an image has no label or two
        different ones, or a file's name fits several images.
    """
    found = known_labels(path, names, class_names, classes)
    missing = [name for row, name in enumerate(names) if row not in found]
    if missing:
        got = f"none for {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        raise InputError(f"{path} does not give each image its true class", got=got, expected=f"{len(names)} labels")
    return [found[row] for row in range(len(names))]


def known_labels(
    path: str | Path, names: Sequence[str], class_names: Sequence[str] | None = None, classes: int | None = None
) -> dict[int, int]:
    """Read the true classes of those images that a file knows: class indices by the place of the image in `names`.

    Parameters and errors are those of `labels_of`, but for images without a label.
    """
    known = len(class_names) if class_names is not None else classes
    found: dict[int, int] = {}
    images = ImageNames(names)
    for line in csv_lines(path, ("file", "label")):
        row = images.row(line)
        if row is None:
            continue
        try:
            # Without names or K, no index is too large.
            label = class_index(
                line.cells["label"], known if known is not None else np.iinfo(np.int64).max, class_names
            )
        except TargetError as error:
            raise InputError(f"{line.place}: the model lacks this class: {str(error).removesuffix('.')}") from error
        if found.setdefault(row, label) != label:
            got = f"{names[row]}: classes {found[row]} and {label}"
            raise InputError(f"{line.place}: an image has two true classes", got=got, expected="one for each image")
    return found


def boxes_of(path: str | Path, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> tuple[tuple[Box, ...], ...]:
    """Read the boxes of the objects in each image.

    Parameters
    ----------
    path
        A CSV file with the columns ``file``, ``x0``, ``y0``, ``x1`` and ``y1``, in pixels of the upright photo; one row
        for each box.  A row without numbers is an image without a box; other columns and other files do no harm.
    names
        (N,) as in `labels_of`.
    sizes
        (N,) width and height of the upright photos.

    Returns
    -------
    tuple
        For each image its boxes, none if it has no row.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a box is not four numbers, empty or outside of its photo, a
        file's name fits several images, or no image has a box.
    """
    found: list[list[Box]] = [[] for _ in names]
    images = ImageNames(names)
    for line in csv_lines(path, ("file", *BOX)):
        row = images.row(line)
        if row is not None and any(line.cells[name] for name in BOX):
            found[row].append(_box(line, sizes[row]))
    if not any(found):
        got = f"none of {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        raise InputError(f"{path} has no box of any of the images", got=got, expected="their names in the column file")
    return tuple(tuple(one) for one in found)


def regions_from_boxes(
    boxes: Sequence[Sequence[Box]], sizes: Sequence[tuple[int, int]], spec: InputSpec, fit: Fit = "crop"
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Draw the boxes of each photo where the photo lies in the model's input.

    Parameters
    ----------
    boxes
        For each of N photos, its boxes in pixels of the upright photo.
    sizes
        (N,) width and height of the upright photos.
    spec
        Of the black box: (C, H, W).
    fit
        As in `load_images`, and the same that the photos were loaded with.

    Returns
    -------
    ndarray
        (N, H, W) True on each pixel that a box reaches into; nowhere, if the photo has none or they were cropped away.

    Raises
    ------
    InputError
        If the model does not read images, or `fit` is unknown.
    """
    if len(spec.shape) != 3:
        raise InputError("Boxes are of images", got=f"shape {spec.shape}", expected="(C, H, W)")
    if fit not in FITS:
        raise InputError("There is no such fit", got=repr(fit), expected=", ".join(FITS))
    height, width = spec.spatial
    regions = np.zeros((len(boxes), height, width), dtype=bool)
    for region, of_photo, size in zip(regions, boxes, sizes, strict=True):
        for box in of_photo:
            left, top, right, bottom = placed(box, size, (width, height), fit)
            region[_pixels(top, bottom, height), _pixels(left, right, width)] = True
    return regions


def regions_of(
    path: str | Path, names: Sequence[str], photos: Sequence[Path], spec: InputSpec, fit: Fit = "crop"
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Read boxes from a CSV file and draw them: (N, H, W); see `boxes_of` and `regions_from_boxes`.

    Raises
    ------
    ImageError
        If a photo's size cannot be read.
    InputError
        If the boxes do not fit.
    """
    sizes = [photo_size(photo) for photo in photos]
    return regions_from_boxes(boxes_of(path, names, sizes), sizes, spec, fit)


def photo_size(path: str | Path) -> tuple[int, int]:
    """Return width and height of a photo, turned as its EXIF tag says.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as photo:
            width, height = photo.size
            sideways = photo.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("The size of this photo cannot be read", got=f"{path}: {error}") from error
    return (height, width) if sideways else (width, height)


def placed(box: Box, size: tuple[int, int], target: tuple[int, int], fit: Fit) -> Box:
    """Return where a box of a photo (width, height) lies once the photo has been fitted to a target (width, height)."""
    left, top, right, bottom = part_read(size, target, fit)
    scale_x, scale_y = target[0] / (right - left), target[1] / (bottom - top)
    return (
        (box[0] - left) * scale_x,
        (box[1] - top) * scale_y,
        (box[2] - left) * scale_x,
        (box[3] - top) * scale_y,
    )


def box_in(line: CsvLine) -> Box:
    """Return the box of a row of a CSV file, from its cells x0, y0, x1 and y1.

    Raises
    ------
    InputError
        If it is not four numbers, or empty.
    """
    given = ", ".join(f"{name}={line.cells[name]!r}" for name in BOX)
    try:
        left, top, right, bottom = (float(line.cells[name]) for name in BOX)
    except ValueError:
        left = top = right = bottom = math.nan
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise InputError(f"{line.place}: this is not a box", got=given, expected="four numbers")
    if left >= right or top >= bottom:
        raise InputError(f"{line.place}: this box is empty", got=given, expected="x0 < x1 and y0 < y1")
    if max(right, bottom) <= 1 and min(left, top) >= 0 and any(one % 1 for one in (left, top, right, bottom)):
        hint = "multiply x by the width of the photo, and y by its height"
        raise InputError(f"{line.place}: this box is less than a pixel", got=given, expected="pixels", hint=hint)
    return left, top, right, bottom


def cut_to_photo(box: Box, size: tuple[int, int], place: str) -> Box:
    """Return a box cut at the edges of its photo (width, height), which it leaves by `SLACK` at most.

    Raises
    ------
    InputError
        If it leaves it by more; `place` says where the box stands.
    """
    (left, top, right, bottom), (width, height) = box, size
    if min(left, top) < -SLACK or right > width + SLACK or bottom > height + SLACK:
        given = ", ".join(f"{name}={value:g}" for name, value in zip(BOX, box, strict=True))
        expected = f"at most {width} × {height} pixels, the size of the photo"
        raise InputError(f"{place}: this box is outside of its photo", got=given, expected=expected)
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _pixels(low: float, high: float, size: int) -> slice:
    """Return the pixels of an axis that an interval reaches into."""
    return slice(max(0, math.floor(low + ALMOST)), max(0, min(size, math.ceil(high - ALMOST))))


class ImageNames:
    """Finds the image that a line of a CSV file is about, by the end of its path.

    Parameters
    ----------
    names
        (N,) of the images: paths, of which the file may leave out the beginning or give more.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._paths = [_plain(name) for name in names]
        self._whole = {path: row for row, path in enumerate(self._paths)}
        self._last: dict[str, list[int]] = {}
        for row, path in enumerate(self._paths):
            self._last.setdefault(path.rpartition("/")[2], []).append(row)

    def row(self, line: CsvLine) -> int | None:
        """Return which image a line with a cell ``file`` is about; None if none of these.

        Raises
        ------
        InputError
            If it names no file, or fits several images.
        """
        file = _plain(line.cells["file"])
        if not file:
            raise InputError(f"{line.place} names no file", expected="a name in the column file")
        if file in self._whole:
            return self._whole[file]
        alike = self._last.get(file.rpartition("/")[2], [])
        fitting = [row for row in alike if _ends(self._paths[row], file) or _ends(file, self._paths[row])]
        if len(fitting) > 1:
            got = f"{file!r}: {self._paths[fitting[0]]} and {self._paths[fitting[1]]}"
            raise InputError(f"{line.place} fits several images", got=got, expected="a path that tells them apart")
        return fitting[0] if fitting else None


def _ends(path: str, end: str) -> bool:
    return path.endswith(f"/{end}")


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _box(line: CsvLine, size: tuple[int, int]) -> Box:
    return cut_to_photo(box_in(line), size, line.place)
