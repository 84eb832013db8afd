"""The objects in photos, each with its box and its class: from CSV files, or the XML files of PASCAL VOC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from blackbox_explain.data.annotations import BOX, Box, ImageNames, box_in
from blackbox_explain.data.csv_lines import csv_lines, photo_lines
from blackbox_explain.errors import InputError

__all__ = ["Object", "objects_in", "read_objects"]


@dataclass(frozen=True)
class Object:
    """An object in a photo.

    Attributes
    ----------
    box
        Left, top, right and bottom in pixels of the upright photo, from its corner.
    label
        Its class: an index from 0, or a name or one of its synonyms; "" where nothing is said of it.
    """

    box: Box
    label: str | int = ""


def read_objects(path: str | Path) -> dict[str, tuple[Object, ...]]:
    """Read the objects of photos.

    Parameters
    ----------
    path
        A CSV file with the columns ``file``, ``x0``, ``y0``, ``x1`` and ``y1``, in pixels of the upright photo, and
        where it is known ``label``; one row for each object, and one without numbers for a photo without objects.  Or a
        folder of XML files as PASCAL VOC and ImageNet have them, one for each photo, whose pixels count from one.

    Returns
    -------
    dict
        By the names of the photos' files, without folders.

    Raises
    ------
    InputError
        If a file cannot be read or lacks something, a box is none, two photos have one name, or there is no object.
    """
    found = _from_folder(Path(path)) if Path(path).is_dir() else _from_csv(path)
    if not any(found.values()):
        raise InputError("There are no objects", got=str(path), expected="boxes, and the files that they are in")
    return found


def objects_in(path: str | Path, names: Sequence[str]) -> dict[int, tuple[Object, ...]]:
    """Read the objects of some images from a CSV file, as `read_objects` does.

    Parameters
    ----------
    path
        Of the file, whose column ``file`` tells the end of each image's path, or more than all of it.
    names
        (N,) paths of the images.

    Returns
    -------
    dict
        By the place of the image in `names`; none for an image that the file does not know.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a box is none, a name fits several images, or no image has a box.
    """
    images = ImageNames(names)
    found: dict[int, list[Object]] = {}
    for line in csv_lines(path, ("file", *BOX)):
        row = images.row(line)
        if row is not None:
            own = found.setdefault(row, [])
            if any(line.cells[side] for side in BOX):
                own.append(Object(box_in(line), line.cells.get("label", "")))
    if not any(found.values()):
        got = f"none of {len(names)}, such as {names[0]}"
        raise InputError(f"{path} has no box of any of the images", got=got, expected="their names in the column file")
    return {row: tuple(objects) for row, objects in found.items()}


def _from_csv(path: str | Path) -> dict[str, tuple[Object, ...]]:
    found: dict[str, list[Object]] = {}
    for name, line in photo_lines(path, BOX):
        own = found.setdefault(name, [])
        if any(line.cells[side] for side in BOX):
            own.append(Object(box_in(line), line.cells.get("label", "")))
    return {name: tuple(objects) for name, objects in found.items()}


def _from_folder(folder: Path) -> dict[str, tuple[Object, ...]]:
    found: dict[str, tuple[Object, ...]] = {}
    for path in sorted(folder.glob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()  # noqa: S314 - expat refuses what would fill the memory
        except (OSError, ElementTree.ParseError) as error:
            raise InputError("This XML file cannot be read", got=f"{path}: {error}") from error
        # Files of ImageNet name their photo without its suffix, and some of others not at all.
        name = (root.findtext("filename") or path.stem).strip().rpartition("/")[2]
        if name in found:
            raise InputError(f"{path}: two files are about one photo", got=name, expected="one for each")
        found[name] = tuple(_object(one, path) for one in root.iter("object"))
    if not found:
        raise InputError("There are no XML files in this folder", got=str(folder), expected="files of PASCAL VOC")
    return found


def _object(element: ElementTree.Element, path: Path) -> Object:
    try:
        sides = [float(element.findtext(f"bndbox/{name}") or "") for name in ("xmin", "ymin", "xmax", "ymax")]
    except ValueError:
        sides = [math.nan] * 4
    left, top, right, bottom = sides[0] - 1, sides[1] - 1, *sides[2:]
    if not (math.isfinite(sum(sides)) and left < right and top < bottom):
        raise InputError(f"{path}: this is not a box", got=str(sides), expected="xmin ≤ xmax and ymin ≤ ymax in bndbox")
    return Object((left, top, right, bottom), (element.findtext("name") or "").strip())
