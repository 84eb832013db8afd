"""Analytic black boxes whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.random_parameters import drawn_like
from blackbox_explain.box.input_spec import InputSpec

Array = np.ndarray[Any, Any]


class Linear:
    """f(x) = <w, x> + b in two classes: f and -f.  S1 = w and S2 = w * x0 exactly."""

    def __init__(self, weights: Array, bias: float = 0.0) -> None:
        self.weights, self.bias = weights, bias
        self.spec = InputSpec(weights.shape)

    def scores(self, images: Array) -> Array:
        value = np.tensordot(images, self.weights, axes=self.weights.ndim) + self.bias
        return np.stack([value, -value], axis=1)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        factor = (weights[:, 0] - weights[:, 1]).reshape(-1, *[1] * self.weights.ndim)
        return self.scores(images), factor * self.weights


class Factors(Linear):
    """f(x) = <v * w, x>, of two layers: "last" holds v, all ones, which no draw changes; "first" holds w."""

    def __init__(self, weights: Array, last: Array | None = None) -> None:
        self.first, self.last = weights, np.ones_like(weights) if last is None else last
        super().__init__(self.first * self.last)

    def parameter_layers(self) -> tuple[str, ...]:
        return ("last", "first")

    def randomized(self, layers: Sequence[str], seed: int) -> Factors:
        drawn = {name: drawn_like(getattr(self, name), seed, name) for name in layers}
        return Factors(drawn.get("first", self.first), drawn.get("last", self.last))


class Regions:
    """Measures the contrast in some regions; its score is that of the best region.

    Class 0 is contrast, class 1 is none.  `image` is a texture of full contrast, of which any region is enough.
    """

    def __init__(self, regions: list[Array]) -> None:
        self.regions = regions
        self.spec = InputSpec((1, *regions[0].shape), class_names=("texture, pattern", "nothing"))

    def image(self) -> Array:
        return np.random.default_rng(0).integers(0, 2, size=(1, *self.spec.shape)).astype(np.float64)

    def scores(self, images: Array) -> Array:
        contrast = self._contrast(images).max(axis=0)
        return np.stack([contrast, 1 - contrast], axis=1)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        gradient = np.zeros_like(images)
        for row, which in enumerate(self._contrast(images).argmax(axis=0)):
            region = self.regions[which]
            gradient[row] = (weights[row, 0] - weights[row, 1]) * 2 * np.sign(images[row] - 0.5) * region / region.sum()
        return self.scores(images), gradient

    def _contrast(self, images: Array) -> Array:
        return np.stack([np.mean(np.abs(2 * images[:, 0, region] - 1), axis=1) for region in self.regions])


def box_region(shape: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...]) -> Array:
    """Draw a filled box."""
    region = np.zeros(shape, dtype=bool)
    region[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return region


class Scores:
    """A score-only black box around a function, for errors."""

    def __init__(self, function: Callable[[Array], Array], shape: tuple[int, ...] = (1, 16, 16)) -> None:
        self.spec = InputSpec(shape)
        self._function = function

    def scores(self, images: Array) -> Array:
        return self._function(images)


class Faulty(Linear):
    """A linear black box that fails on images whose first pixel is bright."""

    def __init__(self, fault: Callable[[Array], Array], shape: tuple[int, ...] = (1, 16, 16)) -> None:
        super().__init__(np.full(shape, 1 / np.prod(shape)))
        self._fault = fault

    def scores(self, images: Array) -> Array:
        good = super().scores(images)
        bright = images.reshape(len(images), -1)[:, 0] > 0.9
        return np.where(bright[:, None], self._fault(good), good) if bright.any() else good
