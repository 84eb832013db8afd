"""A traced model as a plain list of operations, with all that it calls written out; weights are not copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["Operations", "Step", "is_ranked", "leads_to", "operations_of"]

CALLS = ("PartitionedCall", "StatefulPartitionedCall")

LARGEST = 1 << 16
"""Constants of more numbers are not looked at."""

SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")
"""Operations that read shapes alone."""

FOLDED: dict[str, Callable[..., Any]] = {
    "Identity": lambda x: x,
    "Cast": lambda x: x,
    "ReadVariableOp": lambda x: x,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Reciprocal": lambda x: 1 / x,
    "Neg": np.negative,
    "Maximum": np.maximum,
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Reshape": lambda x, shape: np.reshape(x, shape.astype(int)),
    "ExpandDims": lambda x, axis: np.expand_dims(x, int(axis)),
}
"""What constants are computed by before they meet an image."""


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes
    ----------
    kind
        Such as ``"Conv2D"``.
    reads
        Names of the steps whose results it reads.
    node
        As TensorFlow describes it.
    """

    kind: str
    reads: tuple[str, ...]
    node: Any


@dataclass
class Operations:
    """The operations between an input and an output.

    Attributes
    ----------
    steps
        By names that are unique over all functions.
    source, target
        Names of the input and of what makes the output.
    touched
        Names of the steps that depend on the input, by more than its shape.
    """

    steps: dict[str, Step]
    source: str
    target: str
    _held: Mapping[str, Callable[[], Any]] = field(repr=False)
    touched: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._readers = dict[str, list[str]]()
        for name, step in self.steps.items():
            for one in dict.fromkeys(step.reads) if step.kind not in SHAPES else ():
                self._readers.setdefault(one, []).append(name)
        found, ahead = {self.source}, [self.source]
        while ahead:
            for one in self.readers_of(ahead.pop()):
                if one not in found:
                    found.add(one)
                    ahead.append(one)
        self.touched = frozenset(found)

    def readers_of(self, name: str) -> list[str]:
        """Return what reads a step's result, other than its shape."""
        return self._readers.get(name, [])

    def from_images(self, name: str) -> list[str]:
        """Return those of a step's inputs that depend on the images."""
        return [one for one in self.steps[name].reads if one in self.touched]

    def kinds(self, among: Sequence[str]) -> list[str]:
        """Return the kinds of operations, of those that are asked for, which depend on the images."""
        return sorted({kind for name in self.touched if (kind := self.steps[name].kind) in among})

    def value(self, name: str, depth: int = 16) -> np.ndarray[Any, Any] | None:
        """Return a small constant or weight, or what is computed of such alone; None if it is anything else."""
        if name in self.touched or depth == 0:
            return None
        step = self.steps[name]
        if name in self._held:
            return _small(self._held[name]())
        if step.kind == "Const":
            return _small(tf.make_ndarray(step.node.attr["value"].tensor))
        if step.kind not in FOLDED:
            return None
        read = [self.value(one, depth - 1) for one in step.reads]
        if any(one is None for one in read):
            return None
        with np.errstate(all="ignore"):
            return np.asarray(FOLDED[step.kind](*read))


@dataclass(frozen=True)
class _Scope:
    """The nodes of a graph or function, and where the arguments of a function come from."""

    prefix: str
    nodes: Mapping[str, Any]
    arguments: Mapping[str, tuple[str, _Scope]] = field(default_factory=dict[str, "tuple[str, _Scope]"])
    inside: dict[str, _Scope] = field(default_factory=dict[str, "_Scope"])


def operations_of(function: Any) -> Operations:
    """Return the operations of a concrete function of one input and one output."""
    top, bodies = _written_out(function.graph)
    steps, target = _steps_behind(function.outputs[0].name, top, bodies)
    first = function.inputs[0].op.name
    if first not in steps:
        steps[first] = Step("Placeholder", (), top.nodes[first])
    return Operations(steps, first, target, _held(function))


def leads_to(first: Any, second: Any) -> bool:
    """Tell whether one tensor of a graph is computed from another, also within functions that the graph calls."""
    top, bodies = _written_out(second.graph)
    steps, target = _steps_behind(second.name, top, bodies)
    begun, source = _steps_behind(first.name, top, bodies)
    # What a function returns passes an operation that does nothing.
    source, target = _bare(begun, source), _bare(steps, target)
    return source != target and source in steps


def is_ranked(tensor: Any) -> bool:
    """Tell whether a tensor of a graph holds the best values of another in their order, or the best alone."""
    steps, target = _steps_behind(tensor.name, *_written_out(tensor.graph))
    return steps[_bare(steps, target)].kind in ("TopKV2", "TopK", "ApproxTopK", "Max")


def _bare(steps: Mapping[str, Step], name: str) -> str:
    while steps[name].kind == "Identity":
        (name,) = steps[name].reads
    return name


def _written_out(graph: Any) -> tuple[_Scope, dict[str, Any]]:
    definition = graph.as_graph_def()
    bodies = {one.signature.name: one for one in definition.library.function}
    return _Scope("", {node.name: node for node in definition.node}), bodies


def _steps_behind(output: str, top: _Scope, bodies: Mapping[str, Any]) -> tuple[dict[str, Step], str]:
    """Return all that an output is made of, and the name of what makes it."""
    target, scope = _resolved(output, top, bodies)
    steps, ahead, last = dict[str, Step](), [(target, scope)], scope.prefix + target
    while ahead:
        name, scope = ahead.pop()
        if scope.prefix + name in steps:
            continue
        node = scope.nodes[name]
        read = [_resolved(one, scope, bodies) for one in node.input if not one.startswith("^")]
        steps[scope.prefix + name] = Step(node.op, tuple(inner.prefix + one for one, inner in read), node)
        ahead += read
    return steps, last


def _resolved(reference: str, scope: _Scope, bodies: Mapping[str, Any]) -> tuple[str, _Scope]:
    """Return the node that makes a value, through calls and arguments, and where that node is."""
    while True:
        name, *rest = reference.split(":")
        if name in scope.arguments:
            reference, scope = scope.arguments[name]
            continue
        node = scope.nodes[name]
        body = bodies.get(node.attr["f"].func.name) if node.op in CALLS else None
        if body is None:
            return name, scope
        if name not in scope.inside:
            given = [one for one in node.input if not one.startswith("^")]
            places = zip((one.name for one in body.signature.input_arg), given, strict=False)
            scope.inside[name] = _Scope(
                f"{scope.prefix}{name}/",
                {one.name: one for one in body.node_def},
                {argument: (one, scope) for argument, one in places},
            )
        output = body.signature.output_arg[int(rest[-1]) if rest else 0].name
        reference, scope = body.ret[output], scope.inside[name]


def _held(function: Any) -> dict[str, Callable[[], Any]]:
    """Return how to read what a function captures, by the name of its placeholder."""
    variables = {id(one.handle): one for one in function.graph.variables}
    found: dict[str, Callable[[], Any]] = {}
    for outside, inside in function.graph.captures:
        holder = variables.get(id(outside), outside)
        if hasattr(holder, "numpy") and (holder is not outside or outside.dtype != tf.resource):
            found[inside.op.name] = lambda holder=holder: holder.numpy() if holder.shape.num_elements() else None
    return found


def _small(value: Any) -> np.ndarray[Any, Any] | None:
    array = np.asarray(value)
    numbers = array.dtype.kind in "iuf" or array.dtype.name in ("bfloat16", "float16")
    return array.astype(np.float64) if numbers and array.size <= LARGEST else None
