"""Write nodes, and other nodes in the place of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.node import Node, Tensor, element_type, set_nodes

__all__ = ["Replacement", "Rewrite", "Writer", "rewrite"]


class Writer:
    """Collects nodes and their constants.

    Parameters
    ----------
    place
        Beginning of the names of what is written.

    Attributes
    ----------
    protos, stored
        What was written: nodes, and constants.
    """

    def __init__(self, place: str) -> None:
        self.protos: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._place = place

    def op(self, kind: str, *inputs: Any, outputs: int = 1, to: str = "", name: str = "", **attributes: Any) -> Any:
        """Write an operator; arrays stand for constants.  Return the name of its output, or a list of several."""
        label = f"{self._place}/{kind}_{len(self.protos)}"
        read = [one if isinstance(one, str) else self.constant(np.asarray(one)) for one in inputs]
        names = [to] if to else [f"{label}_{k}" for k in range(outputs)]
        self.protos.append(helper.make_node(kind, read, names, name=name or label, **attributes))
        return names[0] if outputs == 1 else names

    def cast(self, x: str, dtype: Any, to: str, name: str = "") -> None:
        """Write a cast to a NumPy type."""
        kind = element_type(np.dtype(dtype))
        self.protos.append(helper.make_node("Cast", [x], [to], name=name or f"{self._place}/Cast_{to}", to=kind))

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Store a constant."""
        name = f"{self._place}/constant_{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(value, name))
        return name


class Replacement(Writer):
    """Collects the nodes in place of one.

    Attributes
    ----------
    node
        The one.
    tensors
        What is known of those that it reads and makes.
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


def rewrite(
    model: onnx.ModelProto,
    tensors: Mapping[str, Tensor],
    constants: Mapping[str, np.ndarray[Any, Any]],
    choose: Callable[[onnx.NodeProto], Rewrite | None],
) -> bool:
    """Replace the nodes that are chosen; say whether there were any.

    Parameters
    ----------
    model
        Changed in place.
    tensors
        What was seen in a run.
    constants
        Tensors whose value is known: nodes that make them are never asked about.
    choose
        Returns what to write in place of a node, or None to keep it.
    """
    every = {**tensors, **{name: Tensor(value.shape, value.dtype) for name, value in constants.items()}}
    nodes: list[onnx.NodeProto] = []
    stored: list[onnx.TensorProto] = []
    found = False
    for proto in model.graph.node:
        fixed = all(name in constants for name in proto.output if name)
        write = None if fixed else choose(proto)
        if write is None:
            nodes.append(proto)
            continue
        made, found = Replacement(Node(proto), every), True
        write(made)
        nodes += made.protos
        stored += made.stored
    if not found:
        return False
    set_nodes(model.graph, nodes)
    model.graph.initializer.extend(stored)
    return True
