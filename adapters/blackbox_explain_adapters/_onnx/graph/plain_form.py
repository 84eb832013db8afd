"""Bring a model into a plain form: without functions, only what leads to the scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
import onnx.inliner
import onnx.shape_inference
from onnx import helper

from blackbox_explain_adapters._onnx.graph.node import bodies_of, nodes_of, read_by, set_nodes

__all__ = [
    "LEAST_IR",
    "LEAST_OPSET",
    "flat",
    "in_order",
    "inputs_of",
    "leading_to",
    "opset_of",
    "prune",
    "sorted_model",
]

LEAST_OPSET = 18
"""Of what rules are written for."""

LEAST_IR = 8
"""Of what is written: initializers need not be inputs, and all types and functions are known."""


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not initializers."""
    stored = {one.name for one in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    return [one for one in graph.input if one.name not in stored]


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators."""
    return next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)


def in_order(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Order nodes so that each comes after those it reads, and else as they were; those in a circle stay."""
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    order: list[onnx.NodeProto] = []
    begun: set[int] = set()
    done: set[int] = set()
    for start in range(len(nodes)):
        waiting = [start]
        while waiting:
            index = waiting[-1]
            read = [makers[name] for name in read_by(nodes[index]) if name in makers]
            before = [one for one in read if one not in begun]
            if index not in begun and before:
                begun.add(index)
                waiting += before
                continue
            begun.add(index)
            waiting.pop()
            if index not in done:
                done.add(index)
                order.append(nodes[index])
    return order


def sorted_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose nodes come after those they read, in bodies too; it is the given one if they do already.

    The standard asks for it, but ONNX Runtime does not, and not all tools write them so.
    """
    if _is_sorted(model.graph):
        return model
    ordered = onnx.ModelProto()
    ordered.CopyFrom(model)
    _sort(ordered.graph)
    return ordered


def _is_sorted(graph: onnx.GraphProto) -> bool:
    later = {name for node in graph.node for name in node.output if name}
    for node in graph.node:
        if later.intersection(read_by(node)) or not all(map(_is_sorted, bodies_of(node))):
            return False
        later.difference_update(node.output)
    return True


def _sort(graph: onnx.GraphProto) -> None:
    set_nodes(graph, in_order(list(graph.node)))
    for node in graph.node:
        for body in bodies_of(node):
            _sort(body)


def flat(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with its functions inlined and dead nodes dropped; the given one stays."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    if model.functions:
        _write_defaults(plain)
        plain = onnx.inliner.inline_local_functions(*_typed(plain))
    # Before IR version 4 every initializer was an input, too.
    plain.ir_version = max(LEAST_IR, plain.ir_version)
    # Some exporters name a domain twice; ONNX Runtime goes by the last.
    versions = {"" if one.domain == "ai.onnx" else one.domain: one.version for one in plain.opset_import}
    # It knows the domains of its own operators, though a file may not name them.
    versions = {node.domain: 1 for node in nodes_of(plain.graph) if node.domain not in ("", "ai.onnx")} | versions
    del plain.opset_import[:]
    plain.opset_import.extend(helper.make_opsetid(*one) for one in ({"": LEAST_OPSET} | versions).items())
    prune(plain.graph)
    return plain


def _typed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    """Return a model, and whether functions of it are of another version: these are converted, and types are known."""
    version = opset_of(model)
    told = [one for function in model.functions for one in function.opset_import if one.domain in ("", "ai.onnx")]
    if all(one.version == version for one in told):
        return model, False
    stored = [helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in model.graph.initializer]
    model.graph.value_info.extend(stored)
    return onnx.shape_inference.infer_shapes(model), True


def _write_defaults(model: onnx.ModelProto) -> None:
    """Write what a call of a function leaves out as the function has it, which is lost when it is inlined."""
    defaults = {(one.domain, one.name, one.overload): one.attribute_proto for one in model.functions}

    def write(nodes: Iterable[onnx.NodeProto]) -> None:
        for node in nodes:
            given = {one.name for one in node.attribute}
            usual = defaults.get((node.domain, node.op_type, node.overload), ())
            node.attribute.extend(one for one in usual if one.name not in given)
            for body in bodies_of(node):
                write(body.node)

    write(model.graph.node)
    for function in model.functions:
        write(function.node)


def leading_to(graph: onnx.GraphProto, *outputs: str) -> list[onnx.NodeProto]:
    """Return the nodes that lead to some tensors, in order."""
    needed = set(outputs)
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(read_by(node))
    return nodes[::-1]


def prune(graph: onnx.GraphProto) -> None:
    """Drop nodes and initializers that do not lead to an output."""
    kept = leading_to(graph, *(one.name for one in graph.output))
    needed = {one.name for one in graph.output}.union(*(read_by(node) for node in kept))
    del graph.node[:]
    graph.node.extend(kept)
    fields: tuple[Any, ...] = (graph.initializer, graph.value_info)
    for stored in fields:
        keep = [one for one in stored if one.name in needed]
        del stored[:]
        stored.extend(keep)
    first = inputs_of(graph)
    del graph.input[:]
    graph.input.extend(first)
