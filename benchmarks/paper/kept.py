"""What is finished stays: one small file for each image, whole or not there, the same bytes whoever computes it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.hardware import machine
from benchmarks.common.photos import source_hash
from benchmarks.paper.stored import Row, Stored
from blackbox_explain.whole_files import written_whole

__all__ = ["Arrays", "Kept"]

Arrays = Mapping[str, np.ndarray[Any, Any]]

source_hash_once = cache(source_hash)
commit_once = cache(lambda: machine()["commit"])


@dataclass(frozen=True)
class Kept:
    """A folder of finished arrays.

    Beside each file of arrays lies one that tells what it took and which sources made it, so that the arrays are the
    same bytes when they are made again.

    Attributes
    ----------
    folder
        Where they are; several processes may share it.
    resume
        Whether files that other sources made are taken too; else they are made anew.
    stored
        What was measured before and lies among the results, for what the folder lacks.
    """

    folder: Path
    resume: bool = False
    stored: Stored | None = None

    def get(self, name: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of a name, made where they are not there yet; always as they are read from the file."""
        if not self.has(name):
            started = time.process_time()
            arrays = make()
            self.put(name, arrays, time.process_time() - started)
        return self.read(name)

    def read(self, name: str) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of a name that is finished."""
        if not self._own_told(name):
            return self._stored(name)[0]
        with np.load(self.path(name)) as found:
            return dict(found)

    def put(self, name: str, arrays: Arrays, core_seconds: float) -> None:
        """Store the arrays of a name, and what they took."""
        path = self.path(name)
        told = {"core_seconds": round(core_seconds, 2), "source": source_hash_once(), "commit": commit_once()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path, "The file cannot be written") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **dict[str, Any](arrays))
        with written_whole(self._told(path), "The file cannot be written") as partial:
            partial.write_text(json.dumps(told), encoding="utf-8")

    def has(self, name: str) -> bool:
        """Tell whether a name is finished."""
        found = self._own_told(name) or self._stored(name)[1]
        return bool(found) and (self.resume or found["source"] == source_hash_once())

    def told(self, name: str) -> dict[str, Any]:
        """Return what a finished file took, and what made it."""
        return self._own_told(name) or self._stored(name)[1]

    def path(self, name: str) -> Path:
        """Return where the arrays of a name are."""
        return self.folder / f"{_plain(name)}.npz"

    def matching(self, pattern: str) -> dict[str, Row]:
        """Return what is finished in the folder, by its name; not what is stored already."""
        paths = sorted(self.folder.glob(f"{pattern}.npz"))
        names = [path.relative_to(self.folder).with_suffix("").as_posix() for path in paths]
        return {name: (self.read(name), self.told(name)) for name in names if self._own_told(name)}

    def _own_told(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        there = path.exists() and self._told(path).exists()
        return json.loads(self._told(path).read_text(encoding="utf-8")) if there else {}

    def _stored(self, name: str) -> Row:
        return (self.stored and self.stored.find(_plain(name))) or ({}, {})

    def _told(self, path: Path) -> Path:
        return path.with_suffix(".json")


def _plain(name: str) -> str:
    return re.sub(r"[^\w./+-]+", "-", name)
