"""Pictures to be transformed, and the transforming of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.rules.relations import Relation

Array = np.ndarray[Any, Any]

BOUNDS = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]


def done(
    relation: Relation, image: Array, amount: float, *, seed: int = 0, bounds: tuple[float, float] = (0, 1)
) -> Array:
    spec = InputSpec(image.shape, bounds)
    generators = [np.random.default_rng(seed)]
    return relation.transform(image[None].astype(np.float32), np.asarray([amount]), spec, generators)[0]


def noise(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def waves(x: Array, y: Array) -> Array:
    """Three smooth channels with values between 0 and 1, at any places."""
    phases = np.asarray([0.0, 1.0, 2.0])[:, None, None]
    return (2 + np.cos(0.11 * x + 0.05 * y + phases) + np.cos(0.13 * y - 0.07 * x - phases)) / 4


def photo(size: int = 64) -> Array:
    """Smooth shapes, an edge and some texture: enough of a photo to be spoilt."""
    y, x = np.mgrid[:size, :size] * (64 / size)
    made = 0.7 * waves(2 * x, 3 * y) + 0.04 * noise((3, size, size))
    made[:, size // 4 : size // 2, size // 3 : 2 * size // 3] += np.asarray([0.2, 0.0, 0.1])[:, None, None]
    return np.asarray(made, dtype=np.float32)
