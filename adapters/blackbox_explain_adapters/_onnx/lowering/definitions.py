"""Write operators that have no rule as the standard defines them by others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import helper

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import element_type, nodes_of, rename, set_nodes
from blackbox_explain_adapters._onnx.graph.pixel_dependence import without_pixels
from blackbox_explain_adapters._onnx.graph.plain_form import opset_of
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph

__all__ = ["has_definition", "write_definitions"]


def has_definition(operator: str, version: int) -> bool:
    """Say whether the standard defines an operator by others."""
    if not onnx.defs.has(operator, version, ""):
        return False
    schema: Any = onnx.defs.get_schema(operator, version, "")
    return bool(schema.has_function or schema.has_context_dependent_function)


def write_definitions(graph: Graph) -> bool:
    """Replace operators that have no rule but a definition; say whether there were any.

    Raises
    ------
    UnsupportedModelError
        If the standard does not define this use of an operator.
    """
    model, tensors, constants = graph.model, graph.tensors, graph.constants
    version, plain = opset_of(model), without_pixels(model)
    shapes = {name: (one.dtype, one.shape) for name, one in tensors.items()}
    shapes |= {name: (one.dtype, one.shape) for name, one in constants.items()}
    types = {
        name: helper.make_tensor_type_proto(element_type(dtype), list(shape)) for name, (dtype, shape) in shapes.items()
    }
    nodes: list[onnx.NodeProto] = []
    found = False
    for index, node in enumerate(model.graph.node):
        standard = node.domain in ("", "ai.onnx") and "Quantize" not in node.op_type  # theirs would hide what they are
        free = plain.issuperset(name for name in node.output if name)  # such as the range of a batch
        known = node.op_type in graph.rules or not has_definition(node.op_type, version)
        if not standard or free or known or not graph.has_seen(node):
            nodes.append(node)
            continue
        place = f"blackbox_explain/definition_{len(graph.unseen)}_{index}/"
        written = _written(node, _definition(node, version, types), place)
        graph.wrote(written)
        nodes += written
        found = True
    if found:
        set_nodes(model.graph, nodes)
        del model.graph.value_info[:]
    return found


def _definition(node: onnx.NodeProto, version: int, types: Mapping[str, onnx.TypeProto]) -> onnx.FunctionProto:
    """Return the function that an operator is, with the node's attributes or their defaults in their places."""
    schema: Any = onnx.defs.get_schema(node.op_type, version, "")
    whole = onnx.NodeProto()
    whole.CopyFrom(node)
    given = {one.name for one in node.attribute}
    whole.attribute.extend(
        one.default_value for name, one in schema.attributes.items() if one.default_value.type and name not in given
    )
    try:
        by_types = schema.has_context_dependent_function
        every = schema.context_dependent_function_opset_versions if by_types else schema.function_opset_versions
        latest = max(one for one in every if one <= version)
        if by_types:
            read = [types.get(name, onnx.TypeProto()).SerializeToString() for name in node.input]
            text = schema.get_context_dependent_function_with_opset_version(latest, whole.SerializeToString(), read)
        else:
            text = schema.get_function_with_opset_version(latest)
        function = onnx.FunctionProto.FromString(text)
    except Exception as error:
        raise UnsupportedModelError(
            "The model cannot be differentiated",
            got=f"{node.op_type} (node {node.name!r}), whose definition fails: {error}",
        ) from error
    values = {one.name: one for one in whole.attribute}
    body = onnx.GraphProto(node=function.node)
    for inner in nodes_of(body):
        resolved: list[onnx.AttributeProto] = []
        for one in inner.attribute:
            if not one.ref_attr_name:
                resolved.append(one)
            elif one.ref_attr_name in values:
                value = onnx.AttributeProto()
                value.CopyFrom(values[one.ref_attr_name])
                value.name = one.name
                resolved.append(value)
        kept = [onnx.AttributeProto.FromString(one.SerializeToString()) for one in resolved]
        del inner.attribute[:]
        inner.attribute.extend(kept)
    del function.node[:]
    function.node.extend(body.node)
    return function


def _written(node: onnx.NodeProto, function: onnx.FunctionProto, place: str) -> list[onnx.NodeProto]:
    """Return the nodes of a function in the place of one that calls it."""
    body = onnx.GraphProto(node=function.node)
    names = {name: place + name for inner in body.node for name in inner.output if name}
    # What a node leaves out is left out in its definition, too.
    names |= dict.fromkeys([*function.input, *function.output], "")
    names |= dict(zip(function.input, node.input, strict=False))
    names |= {formal: actual or place + formal for formal, actual in zip(function.output, node.output, strict=False)}
    names |= {formal: place + formal for formal in function.output[len(node.output) :]}
    rename(body, names)
    for k, inner in enumerate(body.node):
        inner.name = f"{place}{inner.op_type}_{k}"
    return list(body.node)
