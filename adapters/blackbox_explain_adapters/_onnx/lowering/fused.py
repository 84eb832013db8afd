"""Write the operators that ONNX Runtime's optimisers fuse, of the domain com.microsoft, as what they were made from.

Scores are computed by the fused operators as they are; only the graph of gradients is written without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from typing import Any

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.graph.node import Node, read_by
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from blackbox_explain_adapters._onnx.lowering.replacement import Replacement, Rewrite, rewrite

__all__ = ["FUSED", "MICROSOFT_DOMAIN", "unfuse"]

MICROSOFT_DOMAIN = "com.microsoft"


def unfuse(graph: Graph) -> bool:
    """Replace each fused node by its parts, to which a caller's own rules apply; say whether there were any."""
    read = {one.name for one in graph.model.graph.output}.union(*(read_by(node) for node in graph.model.graph.node))

    shapes = {name: one.shape for name, one in graph.tensors.items()}
    shapes |= {name: one.shape for name, one in graph.constants.items()}

    def choose(proto: onnx.NodeProto) -> Rewrite | None:
        if proto.domain != MICROSOFT_DOMAIN or not _is_plain(Node(proto), read):
            return None
        places = proto.input[:3] if proto.op_type == "MultiHeadAttention" else []
        if any(len(shapes.get(name, ())) != 3 for name in places):
            return None  # its heads come apart already
        return FUSED.get(proto.op_type)

    return rewrite(graph, choose)


UNUSUAL: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "FusedMatMul": (("transBatchA", "transBatchB"), ()),
    "Attention": (("unidirectional", "qkv_hidden_sizes", "do_rotary"), (3, 4, 6)),
    "MultiHeadAttention": (("unidirectional",), (4, 6, 7, 8, 9)),
}
"""Attributes and places of inputs that are not followed: masks, and what serves the generation of texts."""


def _is_plain(node: Node, read: Set[str]) -> bool:
    attributes, places = UNUSUAL.get(node.op, ((), ()))
    if any(node.get(name) for name in attributes) or any(node.input(place) for place in places):
        return False
    if node.op == "MultiHeadAttention" and not (node.input(1) and node.input(2)):
        return False
    further = node.outputs[1:3] if node.op.startswith("Skip") else node.outputs[1:]
    return read.isdisjoint(further)


def _conv(write: Replacement) -> None:
    node = write.node
    inputs = [node.x, node.inputs[1], *([node.inputs[2]] if node.input(2) else [])]
    made = write.op("Conv", *inputs, **_without_activation(node))
    if node.input(3):
        made = write.op("Add", made, node.inputs[3])
    given = node.get("activation_params", [])
    names = {"LeakyRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"]}.get(node.get("activation", ""), [])
    if node.get("activation") == "Clip":
        write.op("Clip", made, *(write.number(bound) for bound in given), to=node.y)
    else:
        write.op(node.get("activation", "Identity"), made, to=node.y, **dict(zip(names, given, strict=True)))


def _gemm(write: Replacement) -> None:
    node = write.node
    made = write.op("Gemm", *node.inputs, **_without_activation(node))
    start = "activation_"
    given = {name.removeprefix(start): one for name, one in node.attributes.items() if name.startswith(start)}
    write.op(node.get("activation", "Identity"), made, to=node.y, **given)


def _without_activation(node: Node) -> dict[str, Any]:
    return {name: one for name, one in node.attributes.items() if not name.startswith("activation")}


def _matmul(write: Replacement) -> None:
    node = write.node
    sides: list[str] = []
    for name, turned in zip(node.inputs, ("transA", "transB"), strict=True):
        rank = len(write.tensors[name].shape)
        order = [*range(rank - 2), rank - 1, rank - 2]
        sides.append(write.op("Transpose", name, perm=order) if node.get(turned) and rank > 1 else name)
    write.op("Mul", write.op("MatMul", *sides), write.number(node.get("alpha", 1.0)), to=node.y)


def _exact_gelu(write: Replacement) -> None:
    node = write.node
    x = write.op("Add", *node.inputs) if node.input(1) else node.x
    inner = write.op("Erf", write.op("Mul", x, write.number(math.sqrt(0.5))))
    _half(write, x, inner)


def _fast_gelu(write: Replacement) -> None:
    node = write.node
    x = write.op("Add", *node.inputs) if node.input(1) else node.x
    cube = write.op("Mul", write.op("Mul", x, x), write.op("Mul", x, write.number(0.044715)))
    inner = write.op("Mul", write.op("Add", x, cube), write.number(math.sqrt(2 / math.pi)))
    _half(write, x, write.op("Tanh", inner))


def _half(write: Replacement, x: str, inner: str) -> None:
    """Write x (1 + inner) / 2."""
    whole = write.op("Mul", x, write.op("Add", inner, write.number(1)))
    write.op("Mul", whole, write.number(0.5), to=write.node.y)


def _quick_gelu(write: Replacement) -> None:
    node = write.node
    gate = write.op("Sigmoid", write.op("Mul", node.x, write.number(node.get("alpha", 1.702))))
    write.op("Mul", node.x, gate, to=node.y)


def _skip_layer_norm(write: Replacement) -> None:
    node = write.node
    whole = write.op("Add", *node.inputs[:2])
    if node.input(4):
        whole = write.op("Add", whole, node.inputs[4])
    scale = [one for one in node.inputs[2:4] if one]
    write.op("LayerNormalization", whole, *scale, to=node.y, axis=-1, epsilon=node.get("epsilon", 1e-12))
    if len(node.outputs) > 3 and node.outputs[3]:
        write.op("Identity", whole, to=node.outputs[3])


def _skip_root_mean_square(write: Replacement) -> None:
    node = write.node
    whole = write.op("Add", *node.inputs[:2])
    if node.input(3):
        whole = write.op("Add", whole, node.inputs[3])
    mean = write.op("ReduceMean", write.op("Mul", whole, whole), np.array([-1]))
    root = write.op("Sqrt", write.op("Add", mean, write.number(node.get("epsilon", 1e-12))))
    write.op("Mul", write.op("Div", whole, root), node.inputs[2], to=node.y)
    if len(node.outputs) > 3 and node.outputs[3]:
        write.op("Identity", whole, to=node.outputs[3])


def _attention(write: Replacement) -> None:
    node = write.node
    whole = write.op("MatMul", *node.inputs[:2])
    if node.input(2):
        whole = write.op("Add", whole, node.inputs[2])
    q, k, v = write.op("Split", whole, outputs=3, axis=-1, num_outputs=3)
    width = int(write.tensors[node.inputs[1]].shape[1] or 0) // 3
    _attend(write, (q, k, v), width, node.input(5))


def _multi_head_attention(write: Replacement) -> None:
    node = write.node
    parts = list(node.inputs[:3])
    if node.input(3):
        sizes = np.array([write.tensors[name].shape[-1] for name in parts])
        biases = write.op("Split", node.inputs[3], sizes, outputs=3, axis=0)
        parts = [write.op("Add", *pair) for pair in zip(parts, biases, strict=True)]
    _attend(write, parts, int(write.tensors[node.x].shape[-1] or 0), node.input(5))


def _attend(write: Replacement, parts: Any, width: int, bias: str) -> None:
    """Write attention of heads side by side: queries, keys and values (N, places, width)."""
    heads = write.node.get("num_heads")
    scale = write.node.get("scale", 0.0) or 1 / math.sqrt(width / heads)
    apart = np.array([0, 0, heads, -1])
    q, k, v = (write.op("Reshape", one, apart) for one in parts)
    q, v = (write.op("Transpose", one, perm=[0, 2, 1, 3]) for one in (q, v))
    scores = write.op("MatMul", q, write.op("Transpose", k, perm=[0, 2, 3, 1]))
    scores = write.op("Mul", scores, write.number(scale))
    if bias:
        scores = write.op("Add", scores, bias)
    seen = write.op("Transpose", write.op("MatMul", write.op("Softmax", scores), v), perm=[0, 2, 1, 3])
    write.op("Reshape", seen, np.array([0, 0, -1]), to=write.node.y)


FUSED: dict[str, Callable[[Replacement], None]] = {
    "Attention": _attention,
    "BiasGelu": _exact_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
    "Gelu": _exact_gelu,
    "MultiHeadAttention": _multi_head_attention,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_root_mean_square,
}
"""For each operator that ONNX Runtime fuses nodes into, the function that writes them again."""
