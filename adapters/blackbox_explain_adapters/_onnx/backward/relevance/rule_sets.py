"""Which rule of relevance each operator has, in each of the sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from blackbox_explain.errors import InputError
from blackbox_explain_adapters._onnx.backward.operators import RULES, Rule
from blackbox_explain_adapters._onnx.backward.relevance.joining import multiplied, summed, summed_by_excitation
from blackbox_explain_adapters._onnx.backward.relevance.passing import pass_moved, pass_on
from blackbox_explain_adapters._onnx.backward.relevance.sharing import (
    alpha_beta,
    by_epsilon,
    contrastive,
    excitation,
    first_flat,
)
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import WEIGHTED
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__ = [
    "contrastive_excitation_rules",
    "excitation_rules",
    "lrp_alpha_beta_rules",
    "lrp_composite_rules",
    "lrp_epsilon_rules",
]

# fmt: off
ON_ELEMENTS = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Erf", "Exp",
    "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Mod", "Neg", "PRelu", "Pow",
    "Reciprocal", "Relu", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh",
    "ThresholdedRelu",
)
"""Activations and other functions of each element."""

NORMALISING = (
    "BatchNormalization", "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization", "LpNormalization",
    "RMSNormalization",
)

MOVING = (
    "Cast", "Compress", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "GatherElements",
    "GatherND", "GlobalMaxPool", "Max", "MaxPool", "MaxUnpool", "Min", "Pad", "ReduceMax", "ReduceMin", "Reshape",
    "ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK",
    "Transpose", "Trilu", "Unsqueeze", "Where",
)
"""What takes elements from elsewhere, or chooses among them."""

AVERAGING = (
    "AveragePool", "Col2Im", "CumSum", "GlobalAveragePool", "GridSample", "ReduceMean", "ReduceSum", "Resize",
)
"""Linear without weights, or with such as are never negative."""
# fmt: on

SUMMING = ("Add", "Mean", "Sub", "Sum")

RECURRENT = ("GRU", "LSTM", "RNN")
"""Named, so that they are refused as what they are, and not taken apart into gates before."""


def lrp_epsilon_rules(*, epsilon: float = 1e-9) -> dict[str, Rule]:
    """Return the ε rule for all that is linear (Bach et al. 2015); what stabilises it is in units of activations."""
    _check_positive(epsilon)
    share = partial(by_epsilon, epsilon=epsilon)
    return _every(dict.fromkeys(WEIGHTED, share), share, partial(summed, epsilon=epsilon))


def lrp_alpha_beta_rules(*, alpha: float = 1.0, beta: float = 0.0, epsilon: float = 1e-9) -> dict[str, Rule]:
    """Return the αβ rule for layers with weights (Bach et al. 2015), the z⁺ rule by default; ε for sums and means.

    Raises
    ------
    InputError
        If α - β is other than 1, or β below 0.
    """
    _check_positive(epsilon)
    if not (beta >= 0 and abs(alpha - beta - 1) < 1e-6):
        raise InputError(
            "Relevance is kept only where alpha - beta is 1 and beta is not negative",
            got=f"alpha={alpha!r}, beta={beta!r}",
            expected="alpha=1, beta=0, or alpha=2, beta=1",
        )
    share = partial(alpha_beta, alpha=alpha, beta=beta, epsilon=epsilon)
    averages = partial(by_epsilon, epsilon=epsilon)
    return _every(dict.fromkeys(WEIGHTED, share), averages, partial(summed, epsilon=epsilon))


def lrp_composite_rules(*, epsilon: float = 1e-9) -> dict[str, Rule]:
    """Return the rules by depth that serve convolutional networks (Montavon et al. 2019; Kohlbrenner et al. 2020).

    ε for dense layers, z⁺ for convolutions, and the flat rule for those that read the image: of the rules for a first
    layer it alone needs neither the range of pixel values behind the preprocessing, as z^B does, nor the sign of them.
    """
    _check_positive(epsilon)
    dense, averages = partial(by_epsilon, epsilon=epsilon), partial(by_epsilon, epsilon=epsilon)
    weighted: dict[str, Rule] = dict.fromkeys(WEIGHTED, dense)
    weighted["Conv"] = partial(first_flat, epsilon=epsilon)
    weighted["ConvTranspose"] = partial(alpha_beta, alpha=1.0, beta=0.0, epsilon=epsilon)
    return _every(weighted, averages, partial(summed, epsilon=epsilon))


def excitation_rules() -> dict[str, Rule]:
    """Return excitation backprop (Zhang et al. 2016): never negative, and sums are preserved where anything excites."""
    return _every(dict.fromkeys(WEIGHTED, excitation), excitation, summed_by_excitation)


def contrastive_excitation_rules() -> dict[str, Rule]:
    """Return the same, less the excitation of the negated classifier: signed (Zhang et al. 2016, section 3.3)."""
    return _every(dict.fromkeys(WEIGHTED, contrastive), excitation, summed_by_excitation)


def _every(weighted: Mapping[str, Rule], averages: Rule, sums: Rule) -> dict[str, Rule]:
    """Return a rule for every operator: those without a rule of relevance are refused, not passed by their gradient."""
    rules: dict[str, Rule] = dict.fromkeys([*RULES, *RECURRENT], _refused)
    rules |= dict.fromkeys([*ON_ELEMENTS, *NORMALISING], pass_on)
    rules |= dict.fromkeys(MOVING, pass_moved)
    rules |= dict.fromkeys(AVERAGING, averages)
    rules |= dict.fromkeys(SUMMING, sums)
    return rules | {"Mul": multiplied} | dict(weighted)


def _refused(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    del tape, gradients
    if node.op in ("Softmax", "LogSoftmax"):
        raise refusal(
            node,
            "relevance passes no probabilities, which share out a fixed sum",
            'start from the logits: with_backward(..., of="logits")',
        )
    raise refusal(node, "this operator has no rule for relevance", "use another method, such as one by gradients")


def _check_positive(epsilon: float) -> None:
    if not 0 < epsilon < float("inf"):
        raise InputError("What stabilises the rule is positive", got=f"epsilon={epsilon!r}", expected="epsilon=1e-9")
