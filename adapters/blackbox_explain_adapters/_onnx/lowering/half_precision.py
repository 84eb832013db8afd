"""Write a model of half precision in single precision, so that small gradients do not vanish."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import bodies_of, nodes_of, set_nodes
from blackbox_explain_adapters._onnx.graph.weights import held_at
from blackbox_explain_adapters._onnx.reading.files import LARGEST

__all__ = ["is_half", "widen"]

HALF = TensorProto.FLOAT16

NAMING_TYPES = ("to", "dtype", "output_dtype", "softmax_precision", "stash_type")
"""Attributes that hold a type."""


def is_half(model: onnx.ModelProto) -> bool:
    """Say whether something in a model is of half precision."""
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    attributes = [one for node in nodes for one in node.attribute]
    tensors = [*model.graph.initializer, *(one for attribute in attributes for one in _tensors_of(attribute))]
    return (
        any(one.data_type == HALF for one in tensors)
        or any(one.name in NAMING_TYPES and one.i == HALF for one in attributes)
        or any(one.type.tensor_type.elem_type == HALF for one in [*model.graph.input, *model.graph.output])
    )


def widen(model: onnx.ModelProto) -> None:
    """Turn all of half precision into single precision, in place.

    On a CPU, ONNX Runtime computes most operators so anyway and rounds what lies between; the numbers that half
    precision has are all there in single precision.

    Raises
    ------
    UnsupportedModelError
        If the weights are too many then.
    """
    if sum(math.prod(one.dims) * 4 for one in model.graph.initializer if one.data_type == HALF) > LARGEST:
        raise UnsupportedModelError(
            "The model cannot be differentiated",
            got=f"weights of half precision that take more than {LARGEST / 1e9:.1f} GB in single precision",
            hint="explain it from its scores alone, or wrap it in the framework that it comes from",
        )
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type == HALF and held_at(tensor):
            name = tensor.name
            tensor.name = f"{name}/half"
            casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}/single", to=TensorProto.FLOAT))
    if casts:
        set_nodes(model.graph, [*casts, *model.graph.node])
    _widen(model.graph)


def _widen(graph: onnx.GraphProto) -> None:
    _widen_tensors(graph.initializer)
    for one in [*graph.input, *graph.output, *graph.value_info]:
        _widen_type(one.type)
    for node in graph.node:
        for one in node.attribute:
            _widen_tensors(_tensors_of(one))
            for kind in (one.tp, *one.type_protos) if one.HasField("tp") else one.type_protos:
                _widen_type(kind)
            if one.name in NAMING_TYPES and one.i == HALF:
                one.i = TensorProto.FLOAT
        for body in bodies_of(node):
            _widen(body)


def _tensors_of(attribute: onnx.AttributeProto) -> list[onnx.TensorProto]:
    """Return the tensors of an attribute, also the values of sparse ones."""
    whole = [attribute.t] if attribute.HasField("t") else list(attribute.tensors)
    sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else list(attribute.sparse_tensors)
    return whole + [one.values for one in sparse]


def _widen_type(kind: onnx.TypeProto) -> None:
    for name in ("sequence_type", "optional_type"):
        if kind.HasField(name):
            _widen_type(getattr(kind, name).elem_type)
    if kind.tensor_type.elem_type == HALF:
        kind.tensor_type.elem_type = TensorProto.FLOAT


def _widen_tensors(tensors: Iterable[onnx.TensorProto]) -> None:
    for tensor in tensors:
        if tensor.data_type == HALF and not held_at(tensor):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
