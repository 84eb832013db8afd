"""Guided backpropagation and DeConvNet: gradients that pass a ReLU by other rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.adapter_tools.checks import check_output
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Of, Rewritable
from blackbox_explain.methods.forms import check_rules, form_of
from blackbox_explain.methods.method import Attribution, Budget

__all__ = ["DeconvNet", "GuidedBackprop"]


@dataclass(frozen=True)
class _ByOtherRules:
    """A gradient by a set of rules.

    Attributes
    ----------
    of
        Whether it is that of the logits, as in the papers, or of the scores.
    """

    of: Of = "logits"

    needs: ClassVar[type[Any]] = Rewritable
    rules: ClassVar[str]

    def __post_init__(self) -> None:
        check_output(self.of)

    @classmethod
    def check_box(cls, box: Rewritable) -> None:
        """Raise why a box has no such rules."""
        check_rules(box, cls.rules)

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score and one for the gradient."""
        del info
        return Budget(2)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the gradient, and its largest magnitude among the channels of each pixel."""
        del seed
        slope = to_numpy(oracle.asking(form_of(oracle.box, self.rules, self.of)).gradient(images, weights)[1])
        return Attribution.of_slope(slope)


@dataclass(frozen=True)
class GuidedBackprop(_ByOtherRules):
    """Pass the gradient back through every ReLU where both it and the unit are positive.

    Springenberg et al., *Striving for Simplicity: The All Convolutional Net* (2015).
    """

    name: ClassVar[str] = "guided-backprop"
    rules: ClassVar[str] = "guided"


@dataclass(frozen=True)
class DeconvNet(_ByOtherRules):
    """Pass the gradient back through every ReLU where it is positive, whether the unit is or not.

    Zeiler & Fergus, *Visualizing and Understanding Convolutional Networks* (2014).
    """

    name: ClassVar[str] = "deconvnet"
    rules: ClassVar[str] = "deconvnet"
