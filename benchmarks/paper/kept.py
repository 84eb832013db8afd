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
        """Return the arrays of a name; `KeyError` if it is not finished."""
        place, _ = self._best(name)
        if place == "stored":
            return self._stored(name)[0]
        with np.load(self.path(name)) as found:
            return dict(found)

    def put(self, name: str, arrays: Arrays, core_seconds: float, made: Mapping[str, Any] | None = None) -> None:
        """Store the arrays of a name, and what they took.

        Parameters
        ----------
        name, arrays, core_seconds
            What was made, and what it took.
        made
            What is told of something that this comes from, whose sources count; None: these sources made it.
        """
        path = self.path(name)
        by = made or {"source": source_hash_once(), "commit": commit_once()}
        told = {"core_seconds": round(core_seconds, 2), "source": by["source"], "commit": by["commit"]}
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path, "The file cannot be written") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **dict[str, Any](arrays))
        with written_whole(self._told(path), "The file cannot be written") as partial:
            partial.write_text(json.dumps(told), encoding="utf-8")

    def has(self, name: str) -> bool:
        """Tell whether a name is finished."""
        try:
            _, told = self._best(name)
        except KeyError:
            return False
        return self.resume or told["source"] == source_hash_once()

    def told(self, name: str) -> dict[str, Any]:
        """Return what a finished file took, and what made it."""
        return self._best(name)[1]

    def path(self, name: str) -> Path:
        """Return where the arrays of a name are."""
        return self.folder / f"{_plain(name)}.npz"

    def matching(self, pattern: str) -> dict[str, Row]:
        """Return what is finished in the folder, by its name; not what is stored already."""
        paths = sorted(self.folder.glob(f"{pattern}.npz"))
        names = [path.relative_to(self.folder).with_suffix("").as_posix() for path in paths]
        # What is stored stays where it is as good.
        return {name: (self.read(name), self.told(name)) for name in names if self._finished_here(name)}

    def _finished_here(self, name: str) -> bool:
        return bool(self._own_told(name)) and self._best(name)[0] == "own"

    def _best(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return where a name is finished, and what is told of it: by these sources if that is anywhere."""
        found = {"own": self._own_told(name), "stored": self._stored(name)[1]}
        there = [(place, told) for place, told in found.items() if told]
        if not there:
            raise KeyError(f"{name} is not finished")
        return max(there, key=lambda one: one[1]["source"] == source_hash_once())

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
