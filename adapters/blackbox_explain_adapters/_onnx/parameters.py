"""The parameters of an ONNX model, layer by layer, and the same model with others in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from blackbox_explain.box.adapter_tools.random_parameters import check_layers, drawn_like, no_parameters
from blackbox_explain_adapters._onnx.graph.activity import between, multiplies_whole_numbers
from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, bodies_of
from blackbox_explain_adapters._onnx.graph.observation import fold, observe
from blackbox_explain_adapters._onnx.graph.plain_form import flat, inputs_of, prune
from blackbox_explain_adapters._onnx.graph.weights import MARK, Weights, apart

__all__ = ["Parameters"]

OWN = "blackbox_explain/"
"""Beginning of the names of what was written around the model: no parameters of its own."""

LEARNED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv"), (1, 2)),
    "DeformConv": (1, 3),
    **dict.fromkeys(("Gemm", "FusedGemm"), (0, 1, 2)),
    **dict.fromkeys(("MatMul", "FusedMatMul", "Add", "Mul"), (0, 1)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3)),
    # Of BatchNormalization the two behind these are statistics.
    **dict.fromkeys(
        ("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization"), (1, 2)
    ),
    **dict.fromkeys(("SimplifiedLayerNormalization", "RMSNormalization", "PRelu", "BiasGelu", "FastGelu"), (1,)),
    "SkipLayerNormalization": (2, 3, 4),
    "Attention": (1, 2),
}
"""Operators that read parameters, and which of their inputs those are: constants of more than one float.

A sum or product with a constant is a bias, a scale or an embedding of positions.
"""

STANDARD_ATTENTION = ("", "Attention")
"""It has no parameters; that of ONNX Runtime has."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a model.

    Attributes
    ----------
    model
        Without functions.
    weights
        Its large ones, held apart.
    layers
        By the name of each layer, which is that of its output, the tensors that it reads as parameters; from the output
        of the model towards its input.
    values
        Of these tensors.
    """

    model: onnx.ModelProto
    weights: Weights
    layers: Mapping[str, tuple[str, ...]]
    values: Mapping[str, np.ndarray[Any, Any]]

    @classmethod
    def of(cls, model: onnx.ModelProto, weights: Weights) -> Parameters:
        """Find the parameters of a model; it is run, to see what is constant.

        Raises
        ------
        UnsupportedModelError
            If it has none, or some that are out of reach: whole numbers, and what bodies of control flow and fused
            operators hold.
        """
        plain = flat(model)
        nodes, constants = fold(plain, observe(plain, weights), weights)
        way = between(nodes, inputs_of(plain.graph)[0].name, plain.graph.output[0].name)
        floats = {name: value for name, value in constants.items() if value.dtype in FLOATS and value.size > 1}
        layers: dict[str, tuple[str, ...]] = {}
        for proto in reversed(nodes):
            node = Node(proto)
            if not way.intersection(node.outputs) or node.y.startswith(OWN):
                continue
            _check_reach(node, floats)
            learned = () if (node.domain, node.op) == STANDARD_ATTENTION else LEARNED.get(node.op, ())
            names = [node.input(place) for place in learned]
            if found := tuple(dict.fromkeys(name for name in names if name in floats and not name.startswith(OWN))):
                layers[node.y] = found
        if not layers:
            raise no_parameters("a graph in which no operator reads weights of floats")
        read = {name for names in layers.values() for name in names}
        return cls(plain, weights, layers, {name: floats[name] for name in read})

    def drawn(self, layers: Sequence[str], seed: int) -> tuple[onnx.ModelProto, Weights]:
        """Return the model with random parameters in some layers, and its large weights; this one stays.

        Raises
        ------
        InputError
            If there is no such layer.
        """
        check_layers(layers, self.layers)
        names = {name for layer in layers for name in self.layers[layer]}
        made = onnx.ModelProto()
        made.CopyFrom(self.model)
        graph = made.graph
        kept = [one for one in graph.initializer if one.name not in names]
        drawn = [numpy_helper.from_array(drawn_like(self.values[name], seed, name), name) for name in sorted(names)]
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name in names:  # made of weights, by a cast for example: nobody reads that any more
                    node.output[place] = f"{OWN}learned/{name}"
        del graph.initializer[:]
        graph.initializer.extend([*kept, *drawn])
        prune(graph)
        # Where in a file the others lie is still true.
        places = {key: one for key, one in self.weights.places.items() if key.removeprefix(MARK) not in names}
        return apart(made, self.weights, places)


def _check_reach(node: Node, floats: Mapping[str, Any]) -> None:
    """Raise `UnsupportedModelError` if a node holds parameters that cannot be told or replaced."""
    if multiplies_whole_numbers(node.proto):
        raise no_parameters(f"a quantised model: {node.label} multiplies whole numbers")
    if next(iter(bodies_of(node.proto)), None) is not None:
        raise no_parameters(f"{node.label}, whose body may hold some")
    if node.domain and node.op not in LEARNED and any(name in floats for name in node.inputs):
        raise no_parameters(f"{node.label}, of which nothing tells which inputs are learned")
    if node.domain.startswith("ai.onnx.ml"):
        raise no_parameters(f"{node.label}, whose attributes may hold some")
