"""Rules that change how the gradient passes rectifiers, and nothing else: guided backpropagation, deconvolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.operators import RULES, Rule
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import active_places, gate_of, origin
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["check_rectified", "deconvnet_rules", "guided_rules"]

SLOPES_OF_0_AND_1 = ("Relu", "Clip", "ThresholdedRelu")
"""Rectifiers whose slope turns no sign, as a negative leak would."""

RECTIFIERS = ("Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Clip")

# fmt: off
OTHER_ACTIVATIONS = frozenset((
    "Celu", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu", "Sigmoid", "Softplus", "Softsign",
    "Swish", "Tanh",
))
# fmt: on


def guided_rules() -> dict[str, Rule]:
    """Return the rules of guided backpropagation (Springenberg et al. 2015)."""
    return dict.fromkeys(RECTIFIERS, _guided)


def deconvnet_rules() -> dict[str, Rule]:
    """Return the rules of a deconvolutional network (Zeiler & Fergus 2014)."""
    return dict.fromkeys(RECTIFIERS, _deconvolved)


def check_rectified(tape: Tape) -> None:
    """Refuse a model without rectifiers: its gradient would be the exact one under another name.

    Raises
    ------
    UnsupportedModelError
        If no rectifier lies between images and scores; it names the activations that do.
    """
    if any(_is_rectifier(tape, node) for node in tape.passed):
        return
    others = sorted({node.op for node in tape.passed if not node.domain} & OTHER_ACTIVATIONS)
    raise UnsupportedModelError(
        "There is nothing to guide: these rules change how the gradient passes rectifiers, and the model has none",
        got=f"a model whose activations are {', '.join(others)}" if others else "a model without activations",
        expected="Relu, LeakyRelu, PRelu, ThresholdedRelu, or Clip from 0",
        hint="use a method that takes the exact gradient",
    )


def _guided(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass only what is positive, as far as the unit passes the gradient: a leak keeps its slope."""
    if not _is_rectifier(tape, node):
        return RULES[node.op](tape, node, gradients)
    if node.op in SLOPES_OF_0_AND_1:
        # The same, and ONNX Runtime makes one operator of this one and the convolution before it.
        return RULES[node.op](tape, node, [tape.op("Relu", gradients[0]), *gradients[1:]])
    exact = RULES[node.op](tape, node, gradients)
    return [tape.op("Relu", exact[0]), *exact[1:]]


def _deconvolved(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass only what is positive, whether the unit is active or not."""
    if not _is_rectifier(tape, node):
        return RULES[node.op](tape, node, gradients)
    return [tape.op("Relu", gradients[0])]


def _is_rectifier(tape: Tape, node: Node) -> bool:
    """Say whether a node is a rectifier: a Clip of pixel values, or of the gate inside HardSwish, is none."""
    if node.domain or node.op not in RECTIFIERS:
        return False
    if node.op != "Clip":
        return True
    low = tape.constants.get(node.input(1))
    return low is not None and not np.any(low) and not _is_gate(tape, node)


def _is_gate(tape: Tape, clip: Node) -> bool:
    for node in {id(one): one for readers in tape.readers.values() for one in readers}.values():
        if node.op == "Mul" and len(active_places(tape, node)) == 2:
            gate = gate_of(tape, node)
            if gate is not None and (made := origin(tape, node.inputs[gate])) is not None and made.y == clip.y:
                return True
    return False
