"""The layers of an ONNX model between images and scores, by the names of the tensors that they write."""

from __future__ import annotations

import onnx

from blackbox_explain.box.protocols import Layer
from blackbox_explain_adapters._onnx.graph.activity import between
from blackbox_explain_adapters._onnx.graph.node import FLOATS
from blackbox_explain_adapters._onnx.graph.observation import fold, observe
from blackbox_explain_adapters._onnx.graph.plain_form import flat, inputs_of
from blackbox_explain_adapters._onnx.graph.weights import Weights

__all__ = ["layers_of"]

OWN = "blackbox_explain/"
"""Beginning of the names of what was written around the model: no layers of its own."""


def layers_of(model: onnx.ModelProto, weights: Weights) -> tuple[Layer, ...]:
    """Return every float tensor with a row for each image that lies between images and scores, in order.

    Parameters
    ----------
    model
        From images in pixel space to scores.
    weights
        Its large ones, held apart.

    Notes
    -----
    The model is run to see the shapes.
    """
    plain = flat(model)
    observed = observe(plain, weights)
    nodes, _ = fold(plain, observed, weights)
    way = between(nodes, inputs_of(plain.graph)[0].name, plain.graph.output[0].name)
    found: list[Layer] = []
    for node in nodes:
        for name in node.output:
            tensor = observed.tensors.get(name)
            if name.startswith(OWN) or name not in way or tensor is None:
                continue
            if tensor.batched and tensor.dtype in FLOATS and len(tensor.shape) > 1:
                found.append(Layer(name, node.op_type, tensor.shape[1:]))
    return tuple(found)
