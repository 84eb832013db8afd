"""The oracle for rules: graphs evaluated in float64, without ONNX Runtime, and differences of them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from blackbox_explain_adapters._onnx.backward.operators import Case
from tests.adapters.onnx.backward.reference_operators import operators

__all__ = ["build", "double", "evaluate", "image_of", "slope"]


def build(case: Case, seed: int = 1) -> onnx.ModelProto:
    """Make the float32 model of a case."""
    rng = np.random.default_rng(seed)
    shape = case.x if isinstance(case.x, tuple) else case.x.shape
    graph = parser.parse_graph(f"case (float[{','.join(map(str, shape))}] x) => (float[] y) {{ {case.text} }}")
    first = graph.input[0].type.tensor_type.shape.dim[0]
    if case.dynamic:
        first.Clear()
        first.dim_param = "N"
    graph.output[0].ClearField("type")
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    for name, value in case.constants.items():
        array = rng.standard_normal(value).astype(np.float32) if isinstance(value, tuple) else np.asarray(value)
        graph.initializer.append(numpy_helper.from_array(array, name))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=10)


def image_of(case: Case, seed: int = 2) -> np.ndarray:
    """Return the float32 input of a case."""
    if isinstance(case.x, tuple):
        return np.random.default_rng(seed).standard_normal(case.x).astype(np.float32)
    return np.asarray(case.x, np.float32)


def double(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that computes in float64."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in made.graph.initializer:
        _widen(tensor)
    for value in [*made.graph.input, *made.graph.output, *made.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in made.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    return made


def evaluate(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """Run a model of `double` on float64 images."""
    own = operators(model.opset_import[0].version)
    return ReferenceEvaluator(model, new_ops=own).run(None, {model.graph.input[0].name: images})[0]


def slope(
    model: onnx.ModelProto, images: np.ndarray, weights: np.ndarray, way: np.ndarray, step: float = 1e-6
) -> float:
    """Return d Σ(weights · y) along a direction, by differences in float64."""
    wide = double(model)
    ahead, behind = (evaluate(wide, images.astype(np.float64) + sign * step * way) for sign in (1, -1))
    return float(np.sum((ahead - behind) * weights) / (2 * step))


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
