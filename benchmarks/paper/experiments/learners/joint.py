"""One mask under several perturbations at once, as the top row of fig. 5 learns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain import Differentiable, InputSpec, Reference
from blackbox_explain.box.info import require
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.perturbations.named import perturbation_of

__all__ = ["Joint", "joint_reference", "side_by_side"]


class Joint:
    """A box that is shown the same image several times, side by side in the channels; its scores are their mean.

    A mask acts on all copies alike, and what stands in for deleted pixels may be another thing in each.
    """

    def __init__(self, box: BlackBox, copies: int) -> None:
        self._box = require(box, Differentiable)
        self._copies = copies
        channels, *spatial = box.spec.shape
        self.spec = InputSpec((channels * copies, *spatial), bounds=box.spec.bounds, class_names=box.spec.class_names)

    def scores(self, images: Any) -> Any:
        """Return the mean scores (N, K)."""
        return np.mean([np.asarray(self._box.scores(one)) for one in self._each(images)], axis=0)

    def scores_and_gradient(self, images: Any, weights: Any) -> tuple[Any, Any]:
        """Return the mean scores, and the gradient of the mean."""
        found = [self._box.scores_and_gradient(one, weights) for one in self._each(images)]
        scores = np.mean([np.asarray(one) for one, _ in found], axis=0)
        return scores, np.concatenate([np.asarray(slope) / self._copies for _, slope in found], axis=1)

    def _each(self, images: Any) -> list[np.ndarray[Any, Any]]:
        return [np.ascontiguousarray(one) for one in np.split(np.asarray(images), self._copies, axis=1)]


def side_by_side(images: Any, copies: int) -> np.ndarray[Any, Any]:
    """Return images (N, C, ...) as (N, copies * C, ...)."""
    return np.concatenate([np.asarray(images)] * copies, axis=1)


def joint_reference(images: Any, names: Sequence[str], spec: InputSpec) -> Reference:
    """Return what stands in for deleted pixels in each copy: a perturbation of `named` for each."""
    host = np.asarray(images)
    return Reference(np.concatenate([np.asarray(perturbation_of(one).levels(host, spec, 0)[0]) for one in names], 1))
