"""A network with the shapes that it has, and little of its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.activity import CONTROL
from blackbox_explain_adapters._onnx.graph.node import Node, set_nodes
from blackbox_explain_adapters._onnx.graph.plain_form import opset_of

__all__ = ["shortened"]

SIZED_BY_VALUES = frozenset(("Unique", "Compress"))

SLICE_READS_PLACES = 10
"""The opset since which Slice reads where to cut."""

NAMES = "blackbox_explain/shortened"


def shortened(
    model: onnx.ModelProto,
    shapes: Mapping[str, Sequence[int]],
    types: Mapping[str, np.dtype],
    plain: Set[str],
) -> onnx.ModelProto | None:
    """Return a model whose products sum over one term, so that every shape is as it was, and few values are.

    Parameters
    ----------
    model
        It stays.
    shapes, types
        Of tensors, as they were seen in a run.
    plain
        Those that are made without pixels.

    Returns
    -------
    ModelProto or None
        None where a shape might follow from values of pixels: where whole numbers are made of them, or control flow.
    """
    if opset_of(model) < SLICE_READS_PLACES or any(
        name not in plain and dtype.kind != "f" for name, dtype in types.items()
    ):
        return None
    if any(node.op_type in CONTROL | SIZED_BY_VALUES for node in model.graph.node):
        return None
    made = onnx.ModelProto()
    made.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    for proto in made.graph.node:
        standard = proto.domain in ("", "ai.onnx") and not set(proto.output) <= plain
        for place, axis in enumerate(_summed(Node(proto), shapes) if standard else ()):
            cut, read = f"{NAMES}/part_{len(nodes)}", (f"{NAMES}/{one}" for one in ("from", "to", axis))
            nodes.append(helper.make_node("Slice", [proto.input[place], *read], [cut]))
            proto.input[place] = cut
        nodes.append(proto)
    set_nodes(made.graph, nodes)
    stored = {"from": 0, "to": 1, 0: 0, 1: 1, -1: -1, -2: -2}
    made.graph.initializer.extend(
        numpy_helper.from_array(np.array([value]), f"{NAMES}/{name}") for name, value in stored.items()
    )
    return made


def _summed(node: Node, shapes: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """Return the axes of the two factors that a product sums over, nothing if it is none, or has but one term."""
    if node.op not in ("Conv", "Gemm", "MatMul"):
        return ()
    a, b = (shapes.get(name, ()) for name in node.inputs[:2])
    if len(a) < 2 or len(b) < 2:
        return ()
    if node.op == "Conv":
        axes = (1, 1) if node.get("group", 1) == 1 else ()
    elif node.op == "Gemm":
        axes = (int(not node.get("transA", 0)), int(bool(node.get("transB", 0))))
    else:
        axes = (-1, -2)
    return axes if axes and a[axes[0]] > 1 else ()
