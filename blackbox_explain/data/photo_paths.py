"""The photos that files, folders and patterns name."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from blackbox_explain.data.images import find_photos
from blackbox_explain.errors import ImageError

__all__ = ["names_of", "photo_paths"]


def photo_paths(given: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Return the photos that files, folders and patterns name, each once, in the order given.

    Where one does not exist it is returned too, so that the others of the run are not lost with it.

    Parameters
    ----------
    given
        As typed.
    out
        A folder of results; what an earlier run wrote there is no photo, unless it is named.

    Raises
    ------
    ImageError
        If a folder holds no photos, nothing fits a pattern, or nothing exists at all.
    """
    found: dict[Path, Path] = {}
    for one in given:
        for path in _expanded(one, out):
            found.setdefault(path.resolve(), path)
    if not any(path.exists() for path in found):
        raise ImageError("There is no such file or folder", got=", ".join(map(str, given)))
    return list(found.values())


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return short names that tell photos apart: of the file, and where two are alike from the common folder on."""
    names = [path.name for path in paths]
    alike = {name for name, count in Counter(names).items() if count > 1}
    if not alike:
        return names
    above = os.path.commonpath([path.absolute().parent for path in paths])
    return [
        os.path.relpath(path.absolute(), above) if name in alike else name
        for path, name in zip(paths, names, strict=True)
    ]


def _expanded(one: Path, out: Path | None) -> list[Path]:
    if one.is_dir():
        return _inside(one, out)
    if one.exists() or not glob.has_magic(str(one)):
        return [one]
    # The shell left it as it is: it was quoted, or the shell is one that does not know patterns.
    fitting = [Path(text) for text in sorted(glob.glob(str(one), recursive=True))]  # noqa: PTH207 - absolute ones too
    files = [path for path in fitting if path.is_file()]
    if not files and any(path.is_dir() for path in fitting):
        files = [photo for path in fitting for photo in _inside(path, out)]
    if not files:
        raise ImageError("No photo fits this pattern", got=str(one), hint="the folder itself")
    return files


def _inside(folder: Path, out: Path | None) -> list[Path]:
    photos = find_photos(folder)
    if out is None:
        return photos
    own = out.resolve()
    found = [path for path in photos if own not in path.resolve().parents]
    if not found:
        raise ImageError("There are no photos but those in --out", got=str(out), hint="another folder as --out")
    return found
