"""The gradient: the local linear rule of the paper (eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.adapter_tools.checks import check_output
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Differentiable, Of
from blackbox_explain.methods.forms import form_of
from blackbox_explain.methods.method import Attribution, Budget

__all__ = ["Gradient"]


@dataclass(frozen=True)
class Gradient:
    """Take the gradient of the score: how much it changes with each value.

    S1(x0) = ∇f(x0), the rule f(x) ≈ f(x0) + ⟨∇f(x0), x − x0⟩ (eq. 2).

    The saliency is the largest magnitude of the channels (Simonyan, Vedaldi & Zisserman 2014).

    Attributes
    ----------
    of
        Whether it is the gradient of the scores, as in the paper, or of the logits, as Simonyan et al. have it: where
        a probability is near 1, its gradient tells the class from its runners-up alone.
    """

    of: Of = "scores"

    name: ClassVar[str] = "gradient"
    needs: ClassVar[type[Any]] = Differentiable

    def __post_init__(self) -> None:
        check_output(self.of)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for the gradient."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the gradient of the targets' scores by the images."""
        del seed
        slope = to_numpy(oracle.asking(form_of(oracle.box, of=self.of)).gradient(images, weights)[1])
        return Attribution.of_slope(slope)
