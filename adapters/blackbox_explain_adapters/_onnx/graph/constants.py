"""The small constants of a graph, by name: read when asked for, so that weights are not copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights, array_of, held_at

__all__ = ["Stored"]

LARGEST = 1 << 20
"""Elements: a mean image has fewer, the weights of a large layer may have more."""

COPYING = ("Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape")
"""What a constant may pass as it is, up to its type and axes."""


class Stored:
    """Initializers and constants of the main graph.

    Parameters
    ----------
    graph
        It stays.
    weights
        Held apart from it.
    """

    def __init__(self, graph: onnx.GraphProto, weights: Weights = NO_WEIGHTS) -> None:
        self._weights = weights
        self._tensors = {one.name: one for one in graph.initializer}
        known = [node for node in graph.node if node.op_type in ("Constant", *COPYING)]
        self._makers = {name: node for node in known for name in node.output}

    def get(self, name: str) -> np.ndarray[Any, Any] | None:
        """Return the value of a constant of numbers, perhaps with other axes; None for anything else."""
        for _ in range(len(self._makers) + 1):
            if name in self._tensors:
                return _array(self._tensors[name], self._weights)
            node = self._makers.get(name)
            if node is None:
                return None
            if node.op_type == "Constant":
                return _constant(node)
            if not node.input:
                return None
            name = node.input[0]
        return None


def _array(tensor: onnx.TensorProto, weights: Weights) -> np.ndarray[Any, Any] | None:
    elsewhere = tensor.data_location == onnx.TensorProto.EXTERNAL and held_at(tensor) not in weights
    if elsewhere or int(np.prod(tensor.dims, dtype=np.int64)) > LARGEST:
        return None
    array = array_of(tensor, weights)
    return array if array.dtype.kind in "biuf" else None


def _constant(node: onnx.NodeProto) -> np.ndarray[Any, Any] | None:
    for one in node.attribute:
        if one.HasField("t"):
            return _array(one.t, NO_WEIGHTS)
        if one.name in ("value_float", "value_int"):
            return np.asarray(one.f if one.name == "value_float" else one.i)
        if one.name in ("value_floats", "value_ints"):
            return np.asarray(list(one.floats if one.name == "value_floats" else one.ints))
    return None
