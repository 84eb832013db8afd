"""Layer-wise relevance propagation: a score shared out among the pixels, layer by layer (Bach et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from blackbox_explain.arrays import Array, namespace, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import Rewritable
from blackbox_explain.errors import InputError
from blackbox_explain.methods.forms import check_rules, form_of
from blackbox_explain.methods.method import Attribution, Budget
from blackbox_explain.setting_ranges import check_number

__all__ = ["Lrp"]

LEAST_EPSILON = 1e-30
"""Of the numbers that models compute with, which have 8 bits for the exponent, smaller ones may be none."""

LrpRule = Literal["epsilon", "alpha-beta", "composite"]


@dataclass(frozen=True)
class Lrp:
    """Share the score out among the units of each layer, by what they added to the next, down to the pixels.

    R_j = Σ_k share of unit j in unit k · R_k, from the logits of the target on.

    Bach et al., *On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation*
    (2015).  The saliency of a pixel is the sum of its channels, with its sign.

    Attributes
    ----------
    rule
        ``"epsilon"``: in proportion to x_j w_jk / (z_k + ε sign z_k).  ``"alpha-beta"``: positive and negative parts
        apart, α of the ones and −β of the others.  ``"composite"``: ε for linear layers, the positive parts alone for
        convolutions, evenly in the first one (Kohlbrenner et al. 2020), as is best for convolutional networks.
    epsilon
        ε, of the first and the last.
    alpha, beta
        Of the second; α − β = 1, so that relevance is conserved.
    """

    rule: LrpRule = "composite"
    epsilon: float = 1e-6
    alpha: float = 2.0
    beta: float = 1.0

    name: ClassVar[str] = "lrp"
    needs: ClassVar[type[Any]] = Rewritable

    def __post_init__(self) -> None:
        if self.rule not in get_args(LrpRule):
            expected = " or ".join(map(repr, get_args(LrpRule)))
            raise InputError("There is no such rule", got=f"rule={self.rule!r}", expected=expected)
        check_number(self, "epsilon", least=LEAST_EPSILON, most=1e6)
        check_number(self, "alpha", least=1, most=100)
        check_number(self, "beta", least=0, most=99)
        if abs(self.alpha - self.beta - 1) >= 1e-9:
            got = f"alpha={self.alpha!r}, beta={self.beta!r}"
            raise InputError("Relevance would not be conserved", got=got, expected="alpha - beta = 1")

    @classmethod
    def check_box(cls, box: Rewritable) -> None:
        """Raise why a box has no such rules."""
        check_rules(box, "lrp-composite")

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the score, one for the logits, and one for the relevance."""
        del info
        return Budget(3)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return the relevance of every value."""
        del seed
        if self.rule == "alpha-beta":
            form = form_of(oracle.box, "lrp-alpha-beta", "logits", alpha=self.alpha, beta=self.beta)
        else:
            form = form_of(oracle.box, f"lrp-{self.rule}", "logits", epsilon=self.epsilon)
        asked = oracle.asking(form)
        logits = asked.scores(images)
        xp = namespace(logits)
        # Logits that the target does not name may be infinite.
        start = xp.where(weights != 0, weights * xp.where(weights != 0, logits, 0), 0)
        relevance = to_numpy(asked.gradient(images, start)[1])
        return Attribution(saliency=relevance.sum(axis=1), attribution=relevance)
