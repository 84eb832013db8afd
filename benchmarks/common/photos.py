"""The shared photos and validation images, those that a classifier is sure of, and a digest of the sources."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain import BlackBox, load_images
from blackbox_explain.data.images import Fit
from blackbox_explain.data.objects import Object, read_objects

__all__ = [
    "LabelledPhotos",
    "confident_photos",
    "data_folder",
    "fair_order",
    "source_hash",
    "validation_files",
    "validation_images",
    "validation_objects",
]

BATCH = 16


def data_folder() -> Path:
    """Return the folder of shared photos and models: $BLACKBOX_EXPLAIN_DATA, or ../shared/data beside the project."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("BLACKBOX_EXPLAIN_DATA", beside))


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos with the class that each shows.

    Attributes
    ----------
    paths
        N files.
    labels
        (N,) class indices.
    images
        (N, *shape) in pixel space.
    fit
        How the photos were brought to the shape of the model.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    images: np.ndarray[Any, np.dtype[np.float32]]
    fit: Fit


def confident_photos(box: BlackBox, fit: Fit, least: float = 0.5, limit: int | None = None) -> LabelledPhotos:
    """Return the shared photos that `box` classifies right with a score above `least`.

    The names of the files begin with the index of the class; `fit` is that of `load_images`.
    """
    paths = sorted((data_folder() / "photos").glob("*.JPEG"))
    if not paths:
        raise SystemExit(f"no photos in {data_folder() / 'photos'}; set BLACKBOX_EXPLAIN_DATA")
    return _confident(box, paths, [int(path.name.split("_")[0]) for path in paths], fit, least, limit)


def validation_images(box: BlackBox, fit: Fit, count: int, least: float = 0.5) -> LabelledPhotos:
    """Return the first validation images that `box` classifies right with a score above `least`, in `fair_order`.

    No setting of ours was chosen by them.

    Raises
    ------
    SystemExit
        If there are fewer than `count`.
    """
    paths = validation_files()
    if not paths:
        raise SystemExit(f"no images in {data_folder() / 'ilsvrc_val'}; set BLACKBOX_EXPLAIN_DATA")
    objects = validation_objects()
    names = fair_order(paths)
    labels = [int(objects[name][0].label) for name in names]
    found = _confident(box, [paths[name] for name in names], labels, fit, least, count)
    if len(found.paths) < count:
        raise SystemExit(
            f"{count} validation images are asked for, and {len(found.paths)} are classified right for sure"
        )
    return found


def validation_files() -> dict[str, Path]:
    """Return the validation images by name."""
    return {path.name: path for path in (data_folder() / "ilsvrc_val").rglob("*.JPEG")}


def validation_objects() -> dict[str, tuple[Object, ...]]:
    """Return the boxes of the validation images, by file, with class indices as labels."""
    found = read_objects(data_folder() / "ilsvrc_val" / "boxes.csv")
    return {name: tuple(Object(one.box, int(one.label)) for one in own) for name, own in found.items()}


def fair_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of a digest of them, fixed and as good as random: any part is then a fair one."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def _confident(
    box: BlackBox, paths: Sequence[Path], labels: Sequence[int], fit: Fit, least: float, limit: int | None
) -> LabelledPhotos:
    """Return the first photos that `box` classifies right with a score above `least`, no more than `limit`."""
    rows: list[int] = []
    images: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    for first in range(0, len(paths), BATCH):
        if limit is not None and len(rows) >= limit:
            break
        some = np.asarray(load_images(paths[first : first + BATCH], box.spec, fit=fit))
        scores = np.asarray(box.scores(some))
        right = (scores.argmax(axis=1) == labels[first : first + BATCH]) & (scores.max(axis=1) > least)
        rows += (first + np.flatnonzero(right)).tolist()
        images.append(some[right])
    rows = rows[:limit]
    chosen = np.concatenate(images)[: len(rows)] if images else np.empty((0, *box.spec.shape), np.float32)
    return LabelledPhotos(tuple(paths[row] for row in rows), np.asarray(labels)[rows], chosen, fit)


def source_hash() -> str:
    """Return a digest of the sources that results depend on, for the names of files in the cache."""
    root = Path(__file__).parents[2]
    sources = sorted(path for folder in ("blackbox_explain", "adapters") for path in (root / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
