"""What a run is of: the model, the images, how many, where what is finished is kept and where results go."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.common.hardware import RESULTS
from benchmarks.common.photos import data_folder, fair_order, validation_files, validation_objects
from benchmarks.paper.kept import Kept
from blackbox_explain import BlackBox, load_images
from blackbox_explain.data.images import LoadedImages
from blackbox_explain.data.objects import Object

__all__ = ["SIDE", "Labelled", "Plan", "remembering"]

Item = TypeVar("Item")

SIDE = 227
"""Pixels of the validation images, and of their boxes."""

AT_ONCE = 8
"""Images: a gradient of GoogLeNet then takes a tenth less, for each, than one image after the other."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image and the class that is explained.

    Attributes
    ----------
    name
        Of the file.
    image
        (1, *shape) in pixel space, with its photo.
    label
        Class index.
    """

    name: str
    image: LoadedImages
    label: int


@dataclass(frozen=True, eq=False)
class Plan:
    """One run of the experiments.

    Attributes
    ----------
    model, box
        What is explained, and its name.
    limit
        Images that claims are of, at most; None is as many as the experiment asks for.
    steps
        Of the masks of eq. 4, to try the experiments out; None is each preset's own.
    kept
        What is finished.
    part
        This is share k of n of the images: only what is finished is left behind, and no result.
    out
        Folder of the results.
    """

    model: str
    box: BlackBox
    kept: Kept
    limit: int | None = None
    steps: int | None = None
    part: tuple[int, int] = (0, 1)
    out: Path = RESULTS / "paper"

    @property
    def is_part(self) -> bool:
        """Whether other processes do the rest."""
        return self.part[1] > 1

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Return this process's own."""
        return list(items)[self.part[0] :: self.part[1]]

    def batches(self, items: Sequence[Item]) -> list[list[Item]]:
        """Return this process's own, in groups that are explained together."""
        own = self.share(items)
        return [own[first : first + AT_ONCE] for first in range(0, len(own), AT_ONCE)]

    def size(self, wanted: int) -> int:
        """Return how many images are taken where an experiment asks for some."""
        return wanted if self.limit is None else min(wanted, self.limit)

    def folder(self, experiment: str, measured: int, wanted: int) -> Path:
        """Return where a result goes: among the results if it is of full size, else into what git ignores."""
        full = measured >= wanted and self.steps is None
        model = "" if self.model == "googlenet" else f"-{self.model}"
        folder = (self.out if full else self.kept.folder / "trials") / f"{experiment}{model}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def objects(self) -> dict[str, tuple[Object, ...]]:
        """Boxes of the validation images, by file, with class indices as labels."""
        return validation_objects()

    @cached_property
    def right(self) -> list[str]:
        """Names of the validation images that the model classifies right, in `fair_order`."""
        paths = validation_files()
        names = fair_order(paths)
        labels = np.asarray([self.label(name) for name in names])

        def top() -> dict[str, Any]:
            found = [
                np.asarray(self.box.scores(np.asarray(load_images([paths[name]], self.box.spec, fit="stretch"))))
                for name in names
            ]
            return {"top": np.concatenate(found).argmax(axis=1)}

        found = self.kept.get(f"{self.model}/right", top)["top"]
        return [name for name, ok in zip(names, found == labels, strict=True) if ok]

    @property
    def halves(self) -> tuple[list[str], list[str]]:
        """Right images for settings, and right images for claims."""
        return self.right[0::2], self.right[1::2]

    def covered(self, name: str) -> float:
        """Return the share of a validation image that the boxes of its class cover, what several share counted once."""
        seen = np.zeros((SIDE, SIDE), dtype=bool)
        for one in self.objects[name]:
            left, top, right, bottom = np.rint(one.box).astype(int)
            seen[top:bottom, left:right] = True
        return float(seen.mean())

    def label(self, name: str) -> int:
        """Return the class of a validation image."""
        return int(self.objects[name][0].label)

    def image(self, name: str) -> Labelled:
        """Return a validation image."""
        (path,) = (data_folder() / "ilsvrc_val").rglob(name)
        return Labelled(name, load_images([path], self.box.spec, fit="stretch"), self.label(name))

    def photo(self, word: str) -> Labelled:
        """Return the shared photo whose name ends so; the class is in front of it."""
        (path,) = (data_folder() / "photos").glob(f"*_{word}.JPEG")
        return Labelled(path.name, load_images([path], self.box.spec, fit="stretch"), int(path.name[:4]))


def remembering(box: BlackBox) -> BlackBox:
    """Return the same box, which is asked about an image only once: metrics share many of their questions."""
    known: dict[bytes, np.ndarray[Any, Any]] = {}
    made: Any = copy.copy(box)

    def scores(images: Any) -> Any:
        host = np.ascontiguousarray(images)
        keys = [hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in host]
        new = list({key: place for place, key in enumerate(keys) if key not in known}.values())
        if new:
            known.update({keys[place]: row for place, row in zip(new, np.asarray(box.scores(host[new])), strict=True)})
        return np.stack([known[key] for key in keys])

    made.scores = scores
    return made
