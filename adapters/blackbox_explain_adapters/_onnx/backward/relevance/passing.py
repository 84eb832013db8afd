"""Relevance that passes a node unchanged, and the scales and shifts that belong to the layer before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain_adapters._onnx.backward.operators import NOTHING, RULES
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import active_places
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node

__all__ = ["Affine", "affine_behind", "pass_moved", "pass_on"]


def pass_on(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass relevance unchanged to the first input that depends on the image, and none to others.

    So it is with what works on each element by itself: activations, scales and shifts.  Normalisation is one of them
    once mean and deviation are taken as constants (Ali et al. 2022; Achtibat et al. 2024).  A divisor, an exponent or
    a learned slope that depends on the image gets nothing.
    """
    place, *others = active_places(tape, node)
    found = [""] * len(node.inputs)
    found[place] = tape.unbroadcast(gradients[0], node.y, node.inputs[place])
    for other in others:
        found[other] = NOTHING
    return found


def pass_moved(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Pass relevance to where each element was taken from, as a gradient is: shapes, choices, winners that take all."""
    return RULES[node.op](tape, node, gradients)


@dataclass(frozen=True)
class Affine:
    """A constant map of each element, y = scale · x + shift.

    Attributes
    ----------
    scale, shift
        Broadcast against the tensor.
    output
        Tensor that it ends in.
    """

    scale: np.ndarray[Any, Any]
    shift: np.ndarray[Any, Any]
    output: str


def affine_behind(tape: Tape, name: str) -> Affine:
    """Return the scales and shifts that directly follow a layer: batch normalisation, or biases that are added apart.

    They are part of the layer, as if they had been merged with its weights (Guillemot et al. 2020).

    Parameters
    ----------
    tape
        Whose forward half is looked at.
    name
        What the layer gives.  Where something else reads it as well, nothing is merged.
    """
    whole = Affine(np.ones(()), np.zeros(()), name)
    while len(readers := tape.readers.get(whole.output, [])) == 1:
        own = _affine(tape, readers[0])
        if own is None:
            break
        scale, shift = own
        whole = Affine(scale * whole.scale, scale * whole.shift + shift, readers[0].y)
    return whole


def _affine(tape: Tape, node: Node) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Return scale and shift of a node; None if it is another one."""
    places = active_places(tape, node)
    rest = [name for place, name in enumerate(node.inputs) if name and place not in places]
    if (
        node.domain
        or len(places) != 1
        or tape.shape(node.inputs[places[0]]) != tape.shape(node.y)
        or any(name not in tape.constants for name in rest)
        or tape.dtype(node.y) not in FLOATS
    ):
        return None
    values = [tape.constants[name].astype(np.float64) for name in rest]
    one, none = np.ones(()), np.zeros(())
    if node.op in ("Identity", "Cast", "Dropout"):
        return one, none
    if node.op == "Neg":
        return -one, none
    if node.op == "Add":
        return one, values[0]
    if node.op == "Sub":
        return (one, -values[0]) if places == [0] else (-one, values[0])
    if node.op == "Mul":
        return values[0], none
    if node.op == "Div" and places == [0] and np.all(values[0] != 0):
        return 1 / values[0], none
    if node.op == "BatchNormalization" and places == [0]:
        column = (-1,) + (1,) * (tape.rank(node.x) - 2)
        gain, shift, mean, variance = (value.reshape(column) for value in values)
        scale = gain / np.sqrt(variance + node.get("epsilon", 1e-5))
        return scale, shift - scale * mean
    return None
