"""Bring a model to an opset that rules are written for, and mend what ONNX's converter forgets on the way."""

from __future__ import annotations

import onnx
import onnx.version_converter
from onnx import helper

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.node import Node
from blackbox_explain_adapters._onnx.prepare import LEAST_OPSET, opset_of, prune

__all__ = ["MOST_OPSET", "converted"]

MOST_OPSET = 21
"""Newer opsets say the same about what is emitted, but have no CUDA kernels for all of it."""

IR_VERSION = 10

COORDINATES = 11
"""The opset since which Resize says where its samples lie."""

ONE_AXIS = 13
"""The opset since which Hardmax works along one axis, not along all from one on."""


def converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in an opset that rules are written for.

    Bodies of control flow are left as they are by ONNX's converter, so that there should be none.

    Raises
    ------
    UnsupportedModelError
        If the opset cannot be converted.
    """
    version = opset_of(model)
    if version < LEAST_OPSET or version > MOST_OPSET:
        wanted = LEAST_OPSET if version < LEAST_OPSET else MOST_OPSET
        if version < ONE_AXIS:
            _flatten_hardmax(model)
        try:
            model = onnx.version_converter.convert_version(model, wanted)
        except Exception as error:
            if version > MOST_OPSET:
                return model  # what is newer than the converter can lower says the same
            raise UnsupportedModelError(
                "The model cannot be differentiated",
                got=f"opset {version}, which cannot be converted: {str(error).strip().splitlines()[-1]}",
                expected=f"opset {LEAST_OPSET} to {MOST_OPSET}, or one that converts to it",
                hint="export the model again with a newer opset",
            ) from error
        if version < COORDINATES:
            _place_samples(model)
        prune(model.graph)
    model.ir_version = min(model.ir_version, IR_VERSION)
    return model


def _flatten_hardmax(model: onnx.ModelProto) -> None:
    """Write each Hardmax as one of rows, which is what it was."""
    nodes: list[onnx.NodeProto] = []
    for proto in model.graph.node:
        if proto.op_type != "Hardmax" or proto.domain not in ("", "ai.onnx"):
            nodes.append(proto)
            continue
        node = Node(proto)
        rows, chosen, shape = (f"{node.y}/{one}" for one in ("rows", "chosen", "shape"))
        nodes += [
            helper.make_node("Flatten", [node.x], [rows], axis=node.get("axis", 1)),
            helper.make_node("Hardmax", [rows], [chosen], name=proto.name, axis=1),
            helper.make_node("Shape", [node.x], [shape]),
            helper.make_node("Reshape", [chosen, shape], [node.y]),
        ]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _place_samples(model: onnx.ModelProto) -> None:
    """Say of each Resize where its samples lie, which had not to be said: before the place, or, for fewer, behind."""
    nodes: list[onnx.NodeProto] = []
    for proto in model.graph.node:
        if proto.op_type != "Resize" or proto.domain not in ("", "ai.onnx"):
            nodes.append(proto)
            continue
        node = Node(proto)
        mode, (x, _, scales) = node.get("mode", "nearest"), node.inputs
        if mode != "nearest":
            nodes.append(_resize(x, scales, node.y, proto.name, mode=mode))
            continue
        one, more, fewer, larger = (f"{node.y}/{name}" for name in ("one", "more", "fewer", "larger"))
        nodes += [
            helper.make_node("Constant", [], [one], value_float=1.0),
            helper.make_node("Max", [scales, one], [more]),
            helper.make_node("Min", [scales, one], [fewer]),
            _resize(x, more, larger, f"{proto.name}/more", nearest_mode="floor"),
            _resize(larger, fewer, node.y, proto.name, nearest_mode="ceil"),
        ]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _resize(x: str, scales: str, to: str, name: str, **attributes: str) -> onnx.NodeProto:
    inputs = [x, "", scales]
    return helper.make_node(
        "Resize", inputs, [to], name=name, coordinate_transformation_mode="asymmetric", **attributes
    )
