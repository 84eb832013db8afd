"""Integrated gradients: what each value adds to the score on a path to the image (Sundararajan, Taly & Yan 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from blackbox_explain.arrays import Array, along_axes, gaussian_matrix, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.errors import InputError
from blackbox_explain.methods.deleting import OF, BlurAt224, Deleting
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.methods.upsampling import KERNEL_CELLS, mask_shape_for
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.perturbation import Perturbation, blur, shortest_side
from blackbox_explain.setting_ranges import check_whole

__all__ = ["BlurIntegratedGradients", "IntegratedGradients"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

Space = Literal["input", "mask"]

WIDEST = 50.0
"""σ of the most blurred image of a path through blurs, in pixels of 224."""


@dataclass(frozen=True)
class IntegratedGradients(Deleting):
    """Add up what each value adds to the score on a path from the fully perturbed image to the image.

    ∫ ∇f(x(t)) ⊙ x'(t) dt over the path x(t).

    Sundararajan, Taly & Yan, *Axiomatic Attribution for Deep Networks* (2017).  The sum of all values is the score of
    the image above that of the perturbed one.  The path is straight, or leads through the levels of the perturbation:
    through ``Blur(levels_count=51)`` it is that of `BlurIntegratedGradients`.

    Attributes
    ----------
    steps
        Gradients along the path, each taken in the middle of an equal part of it; the paper takes 20 to 300.
    space
        ``"input"``: the saliency of a pixel is the sum over its channels.  ``"mask"``: the variable is a mask on the
        grid that the mask learner has, so that the map is as smooth as its masks.
    perturbation
        Where the path begins; None is black, the lower end of the bounds, as in the paper.
    """

    steps: int = 50
    space: Space = "input"

    name: ClassVar[str] = "integrated-gradients"
    needs: ClassVar[type[Any]] = Differentiable
    usual: ClassVar[str] = "low"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "steps")
        if self.space not in get_args(Space):
            expected = " or ".join(map(repr, get_args(Space)))
            raise InputError("There is no such space", got=f"space={self.space!r}", expected=expected)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score, and a gradient for each step."""
        del info
        return Budget(1 + self.steps)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the integral."""
        host = to_numpy(images)
        parts, level = self.path(oracle, host, seed)
        at, lower, upper = 0, level(0), level(1)
        total, point, term = np.zeros(host.shape, np.float64), np.empty_like(host), np.empty_like(host)
        for step in range(self.steps):
            position = parts * (step + 0.5) / self.steps
            below = min(int(position), parts - 1)
            if below > at:
                at, lower, upper = below, upper if below == at + 1 else level(below), level(below + 1)
            change = upper - lower
            np.multiply(change, position - below, out=point)
            point += lower
            total += np.multiply(to_numpy(oracle.gradient(oracle.native(point), weights)[1]), change, out=term)
        found = total * parts / self.steps
        saliency = found.sum(axis=1)
        if self.space == "mask":
            saliency = _on_a_grid(saliency)
        return self.found(saliency, images, found)

    def path(self, oracle: Oracle, images: Floats, seed: int) -> tuple[int, Callable[[int], Floats]]:
        """Return of how many straight parts the path is made, and its corners (n, *shape) by number, 0 the first."""
        own = taken(self.chosen(), oracle.rows, len(oracle.counts), oracle.box.spec)
        levels = np.asarray(levels_of(own, images, oracle.box.spec, seed))
        return len(levels) - 1, levels.__getitem__


@dataclass(frozen=True)
class BlurIntegratedGradients(IntegratedGradients):
    """Add up what each value adds to the score while a blurred image gets sharp.

    Xu, Venugopalan & Sundararajan, *Attribution in Scale and Space* (2020).

    Attributes
    ----------
    steps, space
        As in `IntegratedGradients`.
    perturbation
        None is a blur of the paper's width, 50 pixels at 224, that falls to 0.
    """

    name: ClassVar[str] = "blur-integrated-gradients"

    def chosen(self) -> Perturbation:
        """Return the path as levels."""
        return super().chosen() if self.perturbation is not None else BlurAt224(WIDEST, self.steps + 1)

    def path(self, oracle: Oracle, images: Floats, seed: int) -> tuple[int, Callable[[int], Floats]]:
        """Return the path; each blurred image is made when the path comes by: there is one for every step."""
        if self.perturbation is not None:
            return super().path(oracle, images, seed)
        widest = WIDEST * shortest_side(oracle.box.spec.spatial) / OF
        sigmas = np.linspace(widest, 0.0, self.steps + 1)
        return self.steps, lambda place: blur(images, float(sigmas[place])) if place < self.steps else images


def _on_a_grid(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Take values (n, *spatial) by pixels to those by a mask's cells, and spread these over the pixels."""
    spatial = values.shape[1:]
    matrices = tuple(
        gaussian_matrix(size, n, KERNEL_CELLS) for size, n in zip(spatial, mask_shape_for(spatial), strict=True)
    )
    return along_axes(matrices, along_axes(matrices, values, transpose=True))
