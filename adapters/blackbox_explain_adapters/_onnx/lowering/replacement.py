"""Write other nodes in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx

from blackbox_explain_adapters._onnx.graph.node import Node, Tensor, set_nodes
from blackbox_explain_adapters._onnx.graph.rewriting import Writer
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph

__all__ = ["Replacement", "Rewrite", "rewrite"]


class Replacement(Writer):
    """Writes the nodes that replace one.

    Attributes
    ----------
    node
        That is replaced.
    tensors
        What is known of the tensors that it reads and makes.
    """

    def __init__(self, node: Node, tensors: Mapping[str, Tensor], place: str = "") -> None:
        label = node.proto.name or next(name for name in node.outputs if name)
        super().__init__(place or f"blackbox_explain/in_place_of/{label}")
        self.node, self.tensors = node, tensors

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the node's first input."""
        return self.tensors[self.node.x].dtype

    def number(self, value: float) -> np.ndarray[Any, Any]:
        """Return a constant of that type."""
        return np.asarray(value, self.dtype)


Rewrite: TypeAlias = Callable[[Replacement], None]
"""Writes the nodes; the outputs that are read must be among theirs."""


def rewrite(graph: Graph, choose: Callable[[onnx.NodeProto], Rewrite | None]) -> bool:
    """Replace the nodes that are chosen; say whether there were any.

    Parameters
    ----------
    graph
        Changed in place.  Nodes that make constants are never asked about, nor those of which not all was seen yet.
    choose
        Returns what to write in place of a node, or None to keep it.
    """
    constants = graph.constants
    every = {**graph.tensors, **{name: Tensor(value.shape, value.dtype) for name, value in constants.items()}}
    nodes: list[onnx.NodeProto] = []
    stored: list[onnx.TensorProto] = []
    found = False
    for proto in graph.model.graph.node:
        fixed = all(name in constants for name in proto.output if name)
        write = None if fixed or not graph.has_seen(proto) else choose(proto)
        if write is None:
            nodes.append(proto)
            continue
        made, found = Replacement(Node(proto), every), True
        write(made)
        nodes += made.protos
        stored += made.stored
        graph.wrote(made.protos)
    if not found:
        return False
    set_nodes(graph.model.graph, nodes)
    graph.model.graph.initializer.extend(stored)
    return True
