"""How layers share out the relevance of what they give among what they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.relevance.layer import Layer, layer_of, part_of, turned_weight
from blackbox_explain_adapters._onnx.backward.relevance.passing import affine_behind
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import WEIGHTED, is_first, is_nonnegative
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__ = ["TINY", "alpha_beta", "by_epsilon", "contrastive", "excitation", "first_flat", "stabilised"]

TINY = 1e-30
"""Added to sums that are never negative: where they are 0, so is what is shared."""

Pair = tuple[str, str]
"""A tensor that is never negative, and weights that are not."""


def stabilised(tape: Tape, z: str, epsilon: float) -> str:
    """Return z + ε sign(z), with sign(0) = 1: never 0."""
    signed = tape.op("Add", tape.scale(tape.step_to(z, 0), -2 * epsilon, z), tape.number(epsilon, z))
    return tape.op("Add", z, signed)


def by_epsilon(tape: Tape, node: Node, gradients: Sequence[str], *, epsilon: float) -> Sequence[str]:
    """Share by contributions, with their signs: R_j = x_j Σ_k w_jk R_k / (z_k + ε sign(z_k)).

    z is what the layer gives, with its bias, which keeps its own share (Bach et al. 2015, equation 58).
    """
    layer, behind = layer_of(tape, node), affine_behind(tape, node.y)
    s = tape.op("Div", gradients[0], stabilised(tape, behind.output, epsilon))
    s = tape.scale(s, behind.scale, node.y)
    return layer.result(tape, tape.mul(layer.x, layer.adjoint(tape, s)))


def alpha_beta(
    tape: Tape, node: Node, gradients: Sequence[str], *, alpha: float, beta: float, epsilon: float
) -> Sequence[str]:
    """Share α R by the contributions above 0, and -β R by those below (Bach et al. 2015, equation 60).

    Of inputs of both signs the contributions above 0 are x⁺w⁺ and x⁻w⁻.  A bias keeps its share of the side that it is
    on.  With α = 1 and β = 0 it is the z⁺ rule.  What has no weights shares by the ε rule.
    """
    layer = layer_of(tape, node)
    if layer.weight is None:
        return by_epsilon(tape, node, gradients, epsilon=epsilon)
    weight, behind = turned_weight(tape, layer)
    bias = behind.scale * layer.bias(tape) + behind.shift
    size = np.abs(behind.scale)
    sides: list[str] = []
    for side, factor in ((1, alpha), (-1, -beta)):
        if factor == 0:
            continue
        pairs = [(_positive(tape, layer.x), part_of(tape, weight, side))]
        if not is_nonnegative(tape, layer.x):
            pairs.append((part_of(tape, layer.x, -1), part_of(tape, weight, -side)))
        # In units of the weights: what the scale behind them makes 0 has nothing to share out.
        own = np.where(size > 0, np.maximum(side * bias, 0) / np.where(size > 0, size, 1), np.inf)
        sides.append(tape.scale(_shared(tape, layer, gradients[0], pairs, own), factor, layer.x))
    return layer.result(tape, sides[0] if len(sides) == 1 else tape.op("Add", *sides))


def excitation(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Share by excitation: P_j = x_j Σ_k w⁺_jk P_k / Σ_i w⁺_ik x_i (Zhang et al. 2016, equation 8).

    Inputs are taken as never negative, as they are behind Relu: those below 0, of the image itself say, get nothing.
    Biases keep nothing, so that sums are preserved wherever anything excites.
    """
    layer = layer_of(tape, node)
    weight, _ = turned_weight(tape, layer)
    return layer.result(tape, _excited(tape, layer, gradients[0], weight, 1))


def contrastive(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Share by excitation; at the first layer with weights, seen from the scores, less what excites its negative.

    The first layer is the classifier, and the negative of its weights a unit that fires for "not this class" (Zhang et
    al. 2016, section 3.3).
    """
    layer = layer_of(tape, node)
    if layer.weight is None or any(one.op in WEIGHTED for one in tape.passed):
        return excitation(tape, node, gradients)
    weight, _ = turned_weight(tape, layer)
    own, dual = (_excited(tape, layer, gradients[0], weight, sign) for sign in (1, -1))
    return layer.result(tape, tape.op("Sub", own, dual))


def _flat(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Share evenly among all that a convolution reads (Lapuschkin et al. 2019)."""
    layer = layer_of(tape, node)
    if layer.weight is None:
        raise refusal(node, "its kernel depends on the image")
    ones = tape.constant(np.ones([size or 0 for size in tape.shape(node.inputs[layer.weight])], tape.dtype(node.y)))
    sizes = tape.sizes(node, layer.x, range(1, tape.rank(layer.x)))
    image = tape.constant(np.ones((1, *sizes), tape.dtype(layer.x)))
    # Padding is no pixel: near the border there are fewer to share among.
    counts = layer.forward(tape, image, ones, np.full((), TINY))
    return layer.result(tape, layer.adjoint(tape, tape.op("Div", gradients[0], counts), ones))


def first_flat(tape: Tape, node: Node, gradients: Sequence[str], *, epsilon: float) -> Sequence[str]:
    """Share evenly at the convolutions that read the image, by the z⁺ rule at others."""
    if is_first(tape, layer_of(tape, node).x):
        return _flat(tape, node, gradients)
    return alpha_beta(tape, node, gradients, alpha=1, beta=0, epsilon=epsilon)


def _positive(tape: Tape, x: str) -> str:
    return x if is_nonnegative(tape, x) else part_of(tape, x, 1)


def _excited(tape: Tape, layer: Layer, relevance: str, weight: str, sign: int) -> str:
    pair = (_positive(tape, layer.x), part_of(tape, weight, sign) if weight else "")
    return _shared(tape, layer, relevance, [pair], np.zeros(()))


def _shared(tape: Tape, layer: Layer, relevance: str, pairs: Sequence[Pair], own: np.ndarray[Any, Any]) -> str:
    """Return Σ x_j Σ_k w_jk R_k / z_k over pairs (x, w), where z sums what all of them contribute, and a bias."""
    sums = [layer.forward(tape, x, w, None if k else own + TINY) for k, (x, w) in enumerate(pairs)]
    s = tape.op("Div", relevance, sums[0] if len(sums) == 1 else tape.op("Add", *sums))
    parts = [tape.mul(x, layer.adjoint(tape, s, w)) for x, w in pairs]
    return parts[0] if len(parts) == 1 else tape.op("Sum", *parts)
