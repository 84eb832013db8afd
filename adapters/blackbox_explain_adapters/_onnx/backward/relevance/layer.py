"""A node that is linear in one tensor, with its weights, and with what is merged into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto

from blackbox_explain_adapters._onnx.backward.operators import NOTHING, RULES
from blackbox_explain_adapters._onnx.backward.relevance.passing import Affine, affine_behind
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import (
    NEVER_NEGATIVE_GATES,
    WEIGHTED,
    active_places,
    origin,
)
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, refusal

__all__ = ["Layer", "layer_of", "part_of", "turned_weight"]

WITH_BIAS = ("Conv", "ConvTranspose", "Gemm")


@dataclass(frozen=True)
class Layer:
    """A node that is linear in one of its inputs.

    Attributes
    ----------
    node
        As it stands in the graph.
    place
        Of the input that relevance goes on to.
    weight
        Place of the constant weights; None where there are none: they are never negative then, as those of averages
        and of attention are.
    """

    node: Node
    place: int
    weight: int | None

    @property
    def x(self) -> str:
        """The tensor that relevance goes on to."""
        return self.node.inputs[self.place]

    def forward(self, tape: Tape, x: str, weight: str, offset: np.ndarray[Any, Any] | None) -> str:
        """Apply the node to another tensor, with other weights, and add a constant in place of the bias.

        Parameters
        ----------
        tape
            That is written on.
        x
            In the shape of the own.
        weight
            Constant, in the shape of the own; "" for those.
        offset
            Broadcast against the output; None for none.
        """
        inputs = list(self._inputs({self.place: x}, weight))
        if self.node.op in WITH_BIAS:
            inputs = inputs[:2]
        if self.node.op == "Conv" and offset is not None:
            channels = int(tape.shape(self.node.inputs[1])[0] or 0)
            if offset.size == 1 or offset.shape[:1] == (channels,) == (offset.size,):
                vector = np.broadcast_to(offset.reshape(-1), (channels,))
                return tape.op("Conv", *inputs, tape.number(vector, self.node.y), **self.node.attributes)
        made = tape.op(self.node.op, *inputs, **self.node.attributes)
        return made if offset is None else tape.op("Add", made, tape.number(offset, self.node.y))

    def adjoint(self, tape: Tape, s: str, weight: str = "") -> str:
        """Lead a tensor of the output's shape back to the shape of `x`, by the exact rule, with other weights."""
        proto = NodeProto()
        proto.CopyFrom(self.node.proto)
        proto.input[:] = self._inputs({}, weight)
        with tape.following(self.x):
            return RULES[self.node.op](tape, Node(proto), [s])[self.place]

    def result(self, tape: Tape, relevance: str) -> list[str]:
        """Return what each input gets: `x` all of it."""
        found = [""] * len(self.node.inputs)
        for place in active_places(tape, self.node):
            found[place] = relevance if place == self.place else NOTHING
        return found

    def bias(self, tape: Tape) -> np.ndarray[Any, Any]:
        """Return the node's own bias, broadcast against the output; zero where it has none."""
        name = self.node.input(2) if self.node.op in WITH_BIAS else ""
        if not name:
            return np.zeros(())
        value = tape.known(self.node, name, "biases").astype(np.float64)
        if self.node.op == "Gemm":
            return value * self.node.get("beta", 1.0)
        return value.reshape(-1, *[1] * (tape.rank(self.node.y) - 2))

    def _inputs(self, others: dict[int, str], weight: str) -> list[str]:
        if weight and self.weight is not None:
            others = {**others, self.weight: weight}
        return [others.get(place, name) for place, name in enumerate(self.node.inputs)]


def layer_of(tape: Tape, node: Node) -> Layer:
    """Find in which of its inputs a node is linear, and where its weights are.

    Raises
    ------
    UnsupportedModelError
        If a product has two factors that depend on the image, and neither is attention or another gate; or if a bias
        or the places to sample at depend on it.
    """
    operands = len(node.inputs) if node.op == "Einsum" else 2 if node.op in WEIGHTED else 1
    active = active_places(tape, node)
    if active[-1] >= operands:
        raise refusal(node, f"its input {node.inputs[active[-1]]!r} depends on the image, which has no relevance rule")
    if node.op not in WEIGHTED:
        return Layer(node, 0, None)
    gates = [place for place in active if _is_gate(tape, node.inputs[place])] if len(active) > 1 else []
    signals = [place for place in active if place not in gates]
    constants = [place for place in range(operands) if node.inputs[place] in tape.constants]
    if len(signals) != 1 or len(constants) > 1 or len(constants) + len(active) < operands:
        raise refusal(
            node,
            "relevance passes products of a tensor with weights, or with attention that ends in Softmax; this is of "
            f"{len(signals)} tensors that depend on the image and {len(constants)} constants",
        )
    return Layer(node, signals[0], constants[0] if constants else None)


def _is_gate(tape: Tape, name: str) -> bool:
    made = origin(tape, name)
    return made is not None and made.op in NEVER_NEGATIVE_GATES


def turned_weight(tape: Tape, layer: Layer) -> tuple[str, Affine]:
    """Return the weights of a layer, turned where a negative scale follows, and the scales and shifts that follow.

    Where scales differ in sign within one output of the layer, nothing is merged.
    """
    behind = affine_behind(tape, layer.node.y)
    if layer.weight is None:
        return "", Affine(np.ones(()), np.zeros(()), layer.node.y)
    name = layer.node.inputs[layer.weight]
    if layer.node.get("alpha", 1.0) < 0:
        raise refusal(layer.node, "its factor alpha is negative, which has no relevance rule")
    if np.all(behind.scale >= 0):
        return name, behind
    rank = tape.rank(layer.node.y)
    signs = np.where(behind.scale < 0, -1, 1)
    signs = signs.reshape((1,) * (rank - signs.ndim) + signs.shape)
    axes = _axes_of_outputs(tape, layer)
    if axes is None or signs.size not in (1, signs.shape[axes[0]]):
        return name, Affine(np.ones(()), np.zeros(()), layer.node.y)
    shape = [1] * tape.rank(name)
    shape[axes[1]] = -1
    turned = tape.op("Mul", name, tape.number(signs.reshape(shape), name))
    tape.constants[turned] = tape.constants[name] * signs.reshape(shape).astype(tape.dtype(name))
    return turned, behind


def _axes_of_outputs(tape: Tape, layer: Layer) -> tuple[int, int] | None:
    """Return the axis of a layer's outputs, and that of its weights, along which each output has its own."""
    node, rank = layer.node, tape.rank(layer.node.y)
    if node.op == "Conv":
        return 1, 0
    if node.op == "Gemm" and layer.place == 0:
        return 1, 0 if node.get("transB", 0) else 1
    if node.op == "MatMul" and layer.place == 0 and (width := tape.rank(node.inputs[1])) > 1:
        return rank - 1, width - 1
    return None


def part_of(tape: Tape, name: str, sign: int) -> str:
    """Return how far the elements of a tensor lie above 0, or below it for a `sign` of -1: never negative.

    Weights stay constants: it is computed once when a session is made, and what is in the file is not stored again.
    """
    made = tape.op("Relu", name if sign > 0 else tape.neg(name))
    if name in tape.constants:
        tape.constants[made] = np.maximum(sign * tape.constants[name], 0)
    return made
