"""Write a model of half precision in single precision, so that small gradients do not vanish."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from blackbox_explain_adapters._onnx.node import bodies_of, nodes_of

__all__ = ["is_half", "widen"]

NAMING_TYPES = ("to", "dtype", "output_dtype", "softmax_precision", "stash_type")
"""Attributes that hold a type."""


def is_half(model: onnx.ModelProto) -> bool:
    """Say whether a model computes in half precision somewhere."""
    half = TensorProto.FLOAT16
    named = (one for node in nodes_of(model.graph) for one in node.attribute if one.name in NAMING_TYPES)
    return any(one.data_type == half for one in model.graph.initializer) or any(one.i == half for one in named)


def widen(model: onnx.ModelProto) -> None:
    """Turn all of half precision into single precision, in place.

    On a CPU, ONNX Runtime computes most operators so anyway and rounds what lies between; the numbers that half
    precision has are all there in single precision.
    """
    _widen(model.graph)


def _widen(graph: onnx.GraphProto) -> None:
    _widen_tensors(graph.initializer)
    for one in [*graph.input, *graph.output, *graph.value_info]:
        if one.type.tensor_type.elem_type == TensorProto.FLOAT16:
            one.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for one in node.attribute:
            _widen_tensors([one.t] if one.HasField("t") else one.tensors)
            if one.name in NAMING_TYPES and one.i == TensorProto.FLOAT16:
                one.i = TensorProto.FLOAT
        for body in bodies_of(node):
            _widen(body)


def _widen_tensors(tensors: Iterable[onnx.TensorProto]) -> None:
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
