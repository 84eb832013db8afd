"""The shared photos, those that a classifier is sure of, and a digest of the sources that results depend on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain import BlackBox, load_images
from blackbox_explain.data.images import Fit

__all__ = ["LabelledPhotos", "confident_photos", "data_folder", "source_hash"]


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
    labels = np.asarray([int(path.name.split("_")[0]) for path in paths])
    images = load_images(paths, box.spec, fit=fit)
    scores = np.concatenate([box.scores(images[first : first + 16]) for first in range(0, len(images), 16)])
    right = (scores.argmax(axis=1) == labels) & (scores.max(axis=1) > least)
    rows = np.flatnonzero(right)[:limit]
    return LabelledPhotos(tuple(paths[row] for row in rows), labels[rows], images[rows], fit)


def source_hash() -> str:
    """Return a digest of the sources that results depend on, for the names of files in the cache."""
    root = Path(__file__).parents[2]
    sources = sorted(path for folder in ("blackbox_explain", "adapters") for path in (root / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
