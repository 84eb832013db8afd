"""Replace If nodes that always take the same branch by what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from blackbox_explain.errors import ModelError
from blackbox_explain_adapters._onnx.graph.node import read_by, rename, set_nodes
from blackbox_explain_adapters._onnx.graph.observation import session_options
from blackbox_explain_adapters._onnx.graph.plain_form import LEAST_IR, inputs_of, prune
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights

__all__ = ["choose_branches", "settle_branches"]


def choose_branches(model: onnx.ModelProto, constants: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Replace each If whose condition is known by the branch that it takes; say whether there were any.

    Exporters write such an If where a shape decides, which for one model it always does the same way.

    Parameters
    ----------
    model
        Changed in place.
    constants
        Tensors whose value is known.
    """
    graph, found = model.graph, False
    taken = {one.name for one in graph.initializer} | {name for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "If" or node.domain not in ("", "ai.onnx") or node.input[0] not in constants:
            nodes.append(node)
            continue
        wanted = "then_branch" if bool(constants[node.input[0]].all()) else "else_branch"
        body = onnx.GraphProto()
        body.CopyFrom(next(one.g for one in node.attribute if one.name == wanted))
        # Bodies may use the same names as their neighbours; what they capture keeps its own.
        made = {name for inner in body.node for name in inner.output} | {one.name for one in body.initializer}
        rename(body, {name: f"{name}/{len(nodes)}/of/{node.output[0]}" for name in made & taken if name})
        taken |= {name for inner in body.node for name in inner.output} | {one.name for one in body.initializer}
        nodes += body.node
        nodes += [
            helper.make_node("Identity", [inner.name], [outer], name=f"{node.name}/{outer}")
            for inner, outer in zip(body.output, node.output, strict=True)
            if outer
        ]
        graph.initializer.extend(body.initializer)
        found = True
    if found:
        set_nodes(graph, nodes)
        prune(graph)
    return found


def settle_branches(model: onnx.ModelProto, weights: Weights = NO_WEIGHTS) -> onnx.ModelProto:
    """Choose the branches that constants alone decide, also inside of one another; the given model stays.

    ONNX Runtime does the same while it optimises, and has been seen to crash over it.

    Raises
    ------
    ModelError
        If what decides cannot be computed.
    """
    settled = model
    while conditions := sorted(set(_decided(settled.graph))):
        if settled is model:
            settled = onnx.ModelProto()
            settled.CopyFrom(model)
            settled.ir_version = max(settled.ir_version, LEAST_IR)
        asked = onnx.ModelProto()
        asked.CopyFrom(settled)
        del asked.graph.output[:], asked.graph.input[:], asked.graph.value_info[:]
        asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in conditions)
        prune(asked.graph)
        try:
            options = session_options(optimise=False)
            content = weights.message(asked, options, shared=True)
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            values = session.run(None, {})
        except Exception as error:
            raise ModelError("ONNX Runtime cannot run the model", got=str(error).strip().splitlines()[0]) from error
        choose_branches(settled, dict(zip(conditions, map(np.asarray, values), strict=True)))
    return settled


def _decided(graph: onnx.GraphProto) -> Iterator[str]:
    """Find the conditions that depend on no input at all."""
    depends = {one.name for one in inputs_of(graph)}
    for node in graph.node:
        if depends.intersection(read_by(node)) or node.op_type.startswith("Random"):
            depends.update(node.output)
        if node.op_type == "If" and node.domain in ("", "ai.onnx") and node.input[0] not in depends:
            yield node.input[0]
