"""The model, its gradient, and its file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

__all__ = ["Centroids", "load"]


class Centroids:
    """Score images by minus their mean squared distance to one image per class.

    Parameters
    ----------
    images
        (K, *shape): one for each class.
    names
        Of the classes.
    sharpness
        Factor of the distances.
    """

    def __init__(self, images: Array, names: list[str], sharpness: float = 10.0) -> None:
        self.images = np.asarray(images, dtype=np.float32)
        self.names = list(names)
        self.sharpness = float(sharpness)

    def __call__(self, images: Array) -> Array:
        """Return outputs (N, K) of images ``(N, *shape)``."""
        return np.stack(
            [-self.sharpness * np.mean((images - one) ** 2, axis=self._axes) for one in self.images], axis=1
        )

    def gradient(self, images: Array, weights: Array) -> Array:
        """Return d Σ(weights · outputs) / d images for weights (N, K)."""
        slope = 2 * self.sharpness / self.images[0].size
        sums = np.reshape(weights.sum(axis=1), (-1, *(1 for _ in self._axes)))
        return slope * (np.tensordot(weights, self.images, axes=1) - sums * images)

    def save(self, path: Path) -> None:
        """Write a ``.centroids`` file."""
        with path.open("wb") as file:
            np.savez(file, images=self.images, names=np.array(self.names), sharpness=self.sharpness)

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(1, self.images.ndim))


def load(path: Path) -> Centroids:
    """Read a ``.centroids`` file; nothing in it is run.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Centroids(stored["images"], stored["names"].tolist(), float(stored["sharpness"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no file of centroids: {error}") from error
