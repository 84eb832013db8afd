"""What was measured of each image, among the results: runs go on from it, and it is not measured again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from blackbox_explain.whole_files import written_whole

__all__ = ["Row", "Stored"]

Row = tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]
"""What was measured, and what it took and what made it."""

IMAGES = "images"
TOLD = ("core_seconds", "source", "commit")


@dataclass(frozen=True, eq=False)
class Stored:
    """A folder with one file for each model and measurement, that holds all methods and images.

    Attributes
    ----------
    folder
        Need not be there.
    """

    folder: Path
    _read: dict[Path, dict[str, Row]] = field(default_factory=dict[Path, dict[str, Row]])

    def find(self, name: str) -> Row | None:
        """Return what is stored under a name of the cache, ``MODEL/measured/WHAT/METHOD/IMAGE``; None if nothing is."""
        parts = PurePosixPath(name).parts
        if len(parts) != 5 or parts[1] != "measured":
            return None
        path = self.folder / parts[0] / f"{parts[2]}.npz"
        if path not in self._read:
            self._read[path] = _rows(path)
        return self._read[path].get(f"{parts[3]}/{parts[4]}")

    def add(self, name: str, row: Row) -> None:
        """Take what is to be stored under a name; `write` stores it."""
        self.find(name)
        model, _, what, method, image = PurePosixPath(name).parts
        self._read[self.folder / model / f"{what}.npz"][f"{method}/{image}"] = row

    def write(self) -> list[Path]:
        """Write all files that were asked of or added to; return their paths."""
        there = {path: rows for path, rows in self._read.items() if rows}
        for path, rows in there.items():
            by_method: dict[str, dict[str, Row]] = defaultdict(dict)
            for name, row in sorted(rows.items()):
                method, image = name.split("/", 1)
                by_method[method][image] = row
            arrays = {f"{m}/{key}": value for m, own in by_method.items() for key, value in _stacked(own).items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path, "The file cannot be written") as partial, partial.open("wb") as file:
                np.savez_compressed(file, **dict[str, Any](arrays))
        return list(there)


def _stacked(rows: dict[str, Row]) -> dict[str, np.ndarray[Any, Any]]:
    (first, _), *_ = rows.values()
    if odd := next((image for image, (arrays, _) in rows.items() if arrays.keys() != first.keys()), None):
        raise ValueError(f"{odd} has other arrays than what is stored with it: {', '.join(rows[odd][0])}")
    found = {key: np.stack([arrays[key] for arrays, _ in rows.values()]) for key in first}
    told = {key: np.asarray([one[key] for _, one in rows.values()]) for key in TOLD}
    return {IMAGES: np.asarray(list(rows)), **found, **told}


def _rows(path: Path) -> dict[str, Row]:
    if not path.exists():
        return {}
    by_method: dict[str, dict[str, np.ndarray[Any, Any]]] = defaultdict(dict)
    with np.load(path) as found:
        for name in found.files:
            method, key = name.split("/", 1)
            by_method[method][key] = found[name]
    return {
        f"{method}/{image}": (
            {key: one[place] for key, one in arrays.items() if key not in (IMAGES, *TOLD)},
            {key: arrays[key][place].item() for key in TOLD},
        )
        for method, arrays in by_method.items()
        for place, image in enumerate(arrays[IMAGES].tolist())
    }
