"""Bring a model to an opset that rules are written for, and mend what ONNX's converter forgets on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import onnx
import onnx.version_converter
from onnx import helper

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import Node, bodies_of, set_nodes
from blackbox_explain_adapters._onnx.graph.plain_form import LEAST_OPSET, opset_of, prune
from blackbox_explain_adapters._onnx.graph.weights import held_at

__all__ = ["MOST_OPSET", "converted"]

MOST_OPSET = 21
"""Newer opsets say the same about what is emitted, but have no CUDA kernels for all of it."""

IR_VERSION = 10

COORDINATES = 11
"""The opset since which Resize says where its samples lie."""

SIMPLIFIED, AXES_AS_INPUT = "SimplifiedLayerNormalization", 18
"""What ONNX Runtime's optimisers write among the standard's operators, which has none of this name; and the opset since
which a mean reads its axes."""

ONE_AXIS = 13
"""The opset since which Hardmax works along one axis, not along all from one on."""


def converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in an opset that rules are written for.

    Raises
    ------
    UnsupportedModelError
        If the opset cannot be converted.
    """
    version = opset_of(model)
    types = {one.name: one.data_type for one in model.graph.initializer}
    _replace(model.graph, SIMPLIFIED, partial(_root_mean_square, opset=version, types=types))
    if version < LEAST_OPSET or version > MOST_OPSET:
        wanted = LEAST_OPSET if version < LEAST_OPSET else MOST_OPSET
        if version < ONE_AXIS:
            _replace(model.graph, "Hardmax", _hardmax_of_rows)
        try:
            model = _convert(model, wanted)
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
            _replace(model.graph, "Resize", _placed_samples)
        prune(model.graph)
    model.ir_version = min(model.ir_version, IR_VERSION)
    return model


def _convert(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Apply ONNX's converter, which is shown what is held apart as further inputs; the model given is spoilt."""
    graph = model.graph
    apart = [one for one in graph.initializer if held_at(one)]
    inputs, inside = list(graph.input), [one for one in graph.initializer if not held_at(one)]
    del graph.initializer[:]
    graph.initializer.extend(inside)
    named = {one.name for one in inputs}
    graph.input.extend(
        helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in apart if one.name not in named
    )
    made = onnx.version_converter.convert_version(model, version)
    added = {one.name for one in apart} - named
    kept = [one for one in made.graph.input if one.name not in added]
    del made.graph.input[:]
    made.graph.input.extend(kept)
    made.graph.initializer.extend(apart)
    return made


def _replace(graph: onnx.GraphProto, operator: str, write: Callable[[Node], list[onnx.NodeProto]]) -> None:
    """Replace the nodes of an operator, in bodies too."""
    nodes: list[onnx.NodeProto] = []
    for proto in graph.node:
        for body in bodies_of(proto):
            _replace(body, operator, write)
        wanted = proto.op_type == operator and proto.domain in ("", "ai.onnx")
        nodes += write(Node(proto)) if wanted else [proto]
    set_nodes(graph, nodes)


def _root_mean_square(node: Node, opset: int, types: Mapping[str, int]) -> list[onnx.NodeProto]:
    """Write x / sqrt(mean(x²) + ε) · scale, in single precision up to the scale; over other axes it stays."""
    if node.get("axis", -1) != -1:
        return [node.proto]
    names = ("single", "square", "mean", "epsilon", "moved", "root", "unit", "as_given", "axes")
    single, square, mean, epsilon, moved, root, unit, as_given, axes = (f"{node.y}/{one}" for one in names)
    average = helper.make_node("ReduceMean", [square, axes], [mean])
    if opset < AXES_AS_INPUT:
        average = helper.make_node("ReduceMean", [square], [mean], axes=[-1])
    written = [
        helper.make_node("Cast", [node.x], [single], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [single, single], [square]),
        helper.make_node("Constant", [], [axes], value_ints=[-1]),
        average,
        helper.make_node("Constant", [], [epsilon], value_float=node.get("epsilon", 1e-5)),
        helper.make_node("Add", [mean, epsilon], [moved]),
        helper.make_node("Sqrt", [moved], [root]),
        helper.make_node("Div", [single, root], [unit]),
        helper.make_node("Cast", [unit], [as_given], to=types.get(node.inputs[1], onnx.TensorProto.FLOAT)),
        helper.make_node("Mul", [as_given, node.inputs[1]], [node.y], name=node.proto.name),
    ]
    further = [name for name in node.outputs[1:] if name]
    return [*written, *(helper.make_node("Reciprocal", [root], [name]) for name in further)]


def _hardmax_of_rows(node: Node) -> list[onnx.NodeProto]:
    """Write Hardmax as one of rows, which is what it was."""
    rows, chosen, shape = (f"{node.y}/{one}" for one in ("rows", "chosen", "shape"))
    return [
        helper.make_node("Flatten", [node.x], [rows], axis=node.get("axis", 1)),
        helper.make_node("Hardmax", [rows], [chosen], name=node.proto.name, axis=1),
        helper.make_node("Shape", [node.x], [shape]),
        helper.make_node("Reshape", [chosen, shape], [node.y]),
    ]


def _placed_samples(node: Node) -> list[onnx.NodeProto]:
    """Say where the samples of a Resize lie, which had not to be said: before the place, or, for fewer, behind."""
    name, mode, (x, _, scales) = node.proto.name, node.get("mode", "nearest"), node.inputs
    if mode != "nearest":
        return [_resize(x, scales, node.y, name, mode=mode)]
    one, more, fewer, larger = (f"{node.y}/{part}" for part in ("one", "more", "fewer", "larger"))
    return [
        helper.make_node("Constant", [], [one], value_float=1.0),
        helper.make_node("Max", [scales, one], [more]),
        helper.make_node("Min", [scales, one], [fewer]),
        _resize(x, more, larger, f"{name}/more", nearest_mode="floor"),
        _resize(larger, fewer, node.y, name, nearest_mode="ceil"),
    ]


def _resize(x: str, scales: str, to: str, name: str, **attributes: str) -> onnx.NodeProto:
    inputs = [x, "", scales]
    return helper.make_node(
        "Resize", inputs, [to], name=name, coordinate_transformation_mode="asymmetric", **attributes
    )
