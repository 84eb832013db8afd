"""Write the operators of linear models and of what scales their features, of the domain ai.onnx.ml, in standard ones.

Exports of scikit-learn are made of these.  Trees have no slopes and are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper

from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, read_by, set_nodes
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from blackbox_explain_adapters._onnx.lowering.replacement import Replacement, Rewrite, rewrite

__all__ = ["CLASSICAL", "CLASSICAL_DOMAIN", "spell_classical", "without_maps"]

CLASSICAL_DOMAIN = "ai.onnx.ml"

FOLLOWED = ("NONE", "LOGISTIC", "SOFTMAX")
"""Of what may be applied to scores."""


def spell_classical(graph: Graph) -> bool:
    """Replace each such node by standard operators; say whether there were any."""
    tensors, whole = graph.tensors, graph.model.graph
    read = {one.name for one in whole.output}.union(*(read_by(node) for node in whole.node))

    def choose(proto: onnx.NodeProto) -> Rewrite | None:
        node = Node(proto)
        if proto.domain != CLASSICAL_DOMAIN or node.op not in CLASSICAL:
            return None
        label = node.op == "LinearClassifier" and node.y in read  # a class, which has no slope
        applied = node.get("post_transform", "NONE") in FOLLOWED
        picked = node.op != "ArrayFeatureExtractor" or (
            node.inputs[1] in graph.constants and node.x in tensors and tensors[node.x].dtype in FLOATS
        )
        return CLASSICAL[node.op] if applied and picked and not label else None

    return rewrite(graph, choose)


def without_maps(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that answers with scores where it answered with a table of scores by label, by ZipMap."""
    maps = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "ZipMap" and node.domain == CLASSICAL_DOMAIN and node.input and node.output
    }
    if not maps:
        return model
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for one in plain.graph.output:
        if one.name in maps:
            one.CopyFrom(helper.make_tensor_value_info(maps[one.name], onnx.TensorProto.FLOAT, None))
    kept = [node for node in plain.graph.node if not maps.keys() & set(node.output)]
    set_nodes(plain.graph, kept)
    return plain


def _numbers(write: Replacement, name: str) -> np.ndarray[Any, Any]:
    return np.asarray(write.node.get(name, []), np.float32)


def _floats(write: Replacement) -> str:
    """Return the features as ONNX Runtime takes them."""
    return write.node.x if write.dtype == np.float32 else str(write.op("CastLike", write.node.x, np.float32(0)))


def _scaler(write: Replacement) -> None:
    moved = write.op("Sub", _floats(write), _numbers(write, "offset"))
    write.op("Mul", moved, _numbers(write, "scale"), to=write.node.y)


def _normalizer(write: Replacement) -> None:
    x, axes = _floats(write), np.array([-1])
    kind = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}[write.node.get("norm", "MAX")]
    size = write.op(kind, x, axes, keepdims=1)
    # Rows of zeros stay what they are.
    none = write.op("Equal", size, np.float32(0))
    write.op("Div", x, write.op("Where", none, np.float32(1), size), to=write.node.y)


def _linear(write: Replacement, name: str, rows: int) -> str:
    """Write products of the features with as many rows of coefficients."""
    columns = _numbers(write, name).reshape(rows, -1).T
    made = write.op("MatMul", _floats(write), np.ascontiguousarray(columns))
    offsets = _numbers(write, "intercepts")
    return str(write.op("Add", made, offsets) if offsets.size else made)


def _classifier(write: Replacement) -> None:
    node = write.node
    labels = node.get("classlabels_ints") or node.get("classlabels_strings") or [0]
    features = int(write.tensors[node.x].shape[-1] or 0)
    rows = len(_numbers(write, "coefficients")) // features
    made, applied, out = _linear(write, "coefficients", rows), node.get("post_transform", "NONE"), node.outputs[1]
    if rows == 1 and len(labels) > 1:
        # One score tells two classes apart.
        other = write.op("Neg", made) if applied == "LOGISTIC" else write.op("Sub", np.float32(1), made)
        made = write.op("Concat", other, made, axis=-1)
        applied = applied if applied == "LOGISTIC" else "NONE"
    if applied == "SOFTMAX":
        write.op("Softmax", made, to=out, axis=-1)
    else:
        write.op("Sigmoid" if applied == "LOGISTIC" else "Identity", made, to=out)


def _regressor(write: Replacement) -> None:
    made, applied = _linear(write, "coefficients", int(write.node.get("targets", 1))), write.node.get("post_transform")
    kind = {"SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}.get(applied, "Identity")
    write.op(kind, made, to=write.node.y)


def _extractor(write: Replacement) -> None:
    write.op(
        "Gather", write.node.x, write.op("Reshape", write.node.inputs[1], np.array([-1])), to=write.node.y, axis=-1
    )


CLASSICAL: dict[str, Callable[[Replacement], None]] = {
    "ArrayFeatureExtractor": _extractor,
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
}
"""For each operator of ``ai.onnx.ml``, the function that writes it in standard operators."""
