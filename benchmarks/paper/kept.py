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
    """

    folder: Path
    resume: bool = False

    def get(self, name: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of a name, made where they are not there yet; always as they are read from the file."""
        if not self.has(name):
            started = time.process_time()
            arrays = make()
            self.put(name, arrays, time.process_time() - started)
        return self.read(name)

    def read(self, name: str) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of a name that is finished."""
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
        path = self.path(name)
        if not (path.exists() and self._told(path).exists()):
            return False
        return self.resume or self.told(name)["source"] == source_hash_once()

    def told(self, name: str) -> dict[str, Any]:
        """Return what a finished file took, and what made it."""
        return json.loads(self._told(self.path(name)).read_text(encoding="utf-8"))

    def path(self, name: str) -> Path:
        """Return where the arrays of a name are."""
        return self.folder / (re.sub(r"[^\w./+-]+", "-", name) + ".npz")

    def _told(self, path: Path) -> Path:
        return path.with_suffix(".json")
