"""One node of an ONNX graph, and the error that names it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from blackbox_explain.errors import UnsupportedModelError

__all__ = [
    "FLOATS",
    "Node",
    "Tensor",
    "bodies_of",
    "element_type",
    "nodes_of",
    "read_by",
    "refusal",
    "rename",
    "set_nodes",
]

FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))
"""Types that a gradient can have."""


@dataclass(frozen=True)
class Tensor:
    """Shape and type of one tensor, as they were seen in a run.

    Attributes
    ----------
    shape
        None for an axis whose size follows the batch, or the values of pixels.
    dtype
        Of the elements.
    batched
        Whether the first axis has one entry for each image, and no other follows the batch.
    has_nan
        Whether an element was not a number.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    batched: bool = False
    has_nan: bool = False


class Node:
    """A node with its attributes as Python values."""

    def __init__(self, proto: onnx.NodeProto) -> None:
        self.proto = proto
        self.op = proto.op_type
        self.domain = "" if proto.domain == "ai.onnx" else proto.domain
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        self._attributes = {one.name: _plain(helper.get_attribute_value(one)) for one in proto.attribute}

    @property
    def x(self) -> str:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> str:
        """The first output."""
        return self.outputs[0]

    @property
    def label(self) -> str:
        """Operator and name, for messages."""
        return f"{self.domain + '.' if self.domain else ''}{self.op} (node {self.proto.name or self.y!r})"

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that are set."""
        return dict(self._attributes)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, strings decoded, or the default."""
        return self._attributes.get(name, default)

    def input(self, index: int) -> str:
        """Return the name of an input, empty where an optional one is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""


def refusal(node: Node, why: str, hint: str = "") -> UnsupportedModelError:
    """Make the error for a node that cannot be differentiated."""
    return UnsupportedModelError(
        "The model cannot be differentiated",
        got=f"{node.label}: {why}",
        hint=hint or "explain the model from before this was exported, or replace the node",
    )


def read_by(proto: onnx.NodeProto) -> list[str]:
    """Return the tensors that a node reads, those that the bodies of If, Loop and Scan capture too."""
    names = [name for name in proto.input if name]
    for body in bodies_of(proto):
        names += [name for inner in body.node for name in read_by(inner)]
    return names


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Walk through all nodes, those in the bodies of If, Loop and Scan too."""
    for node in graph.node:
        yield node
        for body in bodies_of(node):
            yield from nodes_of(body)


def set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give a graph other nodes, which may be its own."""
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def element_type(dtype: np.dtype[Any]) -> int:
    """Return the ONNX element type of a NumPy type."""
    return int(helper.np_dtype_to_tensor_dtype(dtype))


def bodies_of(proto: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the bodies of If, Loop and Scan."""
    return [body for one in proto.attribute for body in ([one.g] if one.HasField("g") else list(one.graphs))]


def rename(body: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors of a body other names, in place, also where bodies inside of it read them."""
    for one in [*body.initializer, *body.output]:
        one.name = names.get(one.name, one.name)
    for node in body.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
        for inner in bodies_of(node):
            rename(inner, names)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
