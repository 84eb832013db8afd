"""Gradient × input: the local rule whose variation is deletion (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Differentiable
from blackbox_explain.methods.method import Attribution, Budget

__all__ = ["GradientTimesInput"]


@dataclass(frozen=True)
class GradientTimesInput:
    """Multiply the gradient by the image: how much the score changes as each value goes to zero.

    S2(x0) = d f(x0 ⊙ m) / dm at m = 1, which is ∇f(x0) ⊙ x0.

    The saliency is the sum over the channels with its sign: what the rule predicts of a deletion to zero.
    """

    name: ClassVar[str] = "gradient-times-input"
    needs: ClassVar[type[Any]] = Differentiable

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for the gradient."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return gradient × input of the targets' scores."""
        del seed
        products = to_numpy(oracle.gradient(images, weights)[1]) * to_numpy(images)
        return Attribution(saliency=products.sum(axis=1), attribution=products)
