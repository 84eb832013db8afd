"""The tape: what rules write the backward half of a graph with."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, Tensor, element_type, read_by, refusal

__all__ = ["Device", "Tape"]

STEEP = 2.0**120

RAMPED = 128
"""The largest bound that is still a number when it is scaled by that."""

Device = Literal["cpu", "cuda"]
"""What the graph is written for: the fastest of several equal ways differs."""


class Tape:
    """Nodes and constants of the backward half, and what is known of the forward half.

    Tensors are names.  Wherever an operator takes a tensor, an array may stand for a constant.

    Attributes
    ----------
    tensors
        What the forward half computes.
    constants
        Arrays by name; rules add to them.
    active
        Names of the tensors that depend on the image by a gradient.
    opset
        Of the graph.
    device
        What the graph is written for.
    nodes
        The backward half, in order.
    made_by
        By tensor of the forward half, the node that makes it.
    readers
        By tensor of the forward half, the nodes that read it.
    passed
        The nodes of the forward half whose rules were applied, from the scores on.
    gradients
        By their names, the tensors of the forward half whose gradients, or parts of them, they are.
    replaced
        First outputs of nodes of the forward half in whose place there are others among `nodes`.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        constants: dict[str, np.ndarray[Any, Any]],
        active: set[str],
        opset: int,
        device: Device = "cpu",
        forward: Sequence[NodeProto] = (),
    ) -> None:
        self.tensors = dict(tensors)
        self.constants = constants
        self.active = active
        self.opset = opset
        self.device: Device = device
        self.nodes: list[NodeProto] = []
        self.made_by: dict[str, Node] = {}
        self.readers: dict[str, list[Node]] = {}
        self.passed: list[Node] = []
        for node in map(Node, forward):
            self.made_by.update((name, node) for name in node.outputs if name)
            for name in dict.fromkeys(read_by(node.proto)):
                self.readers.setdefault(name, []).append(node)
        self.gradients: dict[str, str] = {}
        self.replaced: set[str] = set()
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    # What is known.

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Return the shape of a tensor of the forward half, None for an axis that follows the batch."""
        return self.constants[name].shape if name in self.constants else self.tensors[name].shape

    def rank(self, name: str) -> int:
        """Return the number of axes."""
        return len(self.shape(name))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of a tensor of the forward half."""
        return self.constants[name].dtype if name in self.constants else self.tensors[name].dtype

    def sizes(self, node: Node, name: str, axes: Sequence[int]) -> list[int]:
        """Return sizes that must be known, or refuse the node."""
        sizes = [self.shape(name)[axis] for axis in axes]
        if None in sizes:
            raise refusal(node, "works along the axis of the batch")
        return [int(size or 0) for size in sizes]

    def known(self, node: Node, name: str, what: str) -> np.ndarray[Any, Any]:
        """Return the value of an input that must be constant, or refuse the node."""
        if name not in self.constants:
            raise refusal(node, f"its {what} depend on the image")
        return self.constants[name]

    @contextmanager
    def following(self, name: str) -> Generator[None]:
        """Let rules see one tensor alone as active: they write no gradients of others."""
        every, self.active = self.active, {name}
        try:
            yield
        finally:
            self.active = every

    # What is written.

    def op(self, kind: str, *inputs: str | np.ndarray[Any, Any], **attributes: Any) -> str:
        """Write an operator with one output, and return its name."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str | np.ndarray[Any, Any], outputs: int, **attributes: Any) -> list[str]:
        """Write an operator, and return the names of its outputs."""
        self._count += 1
        names = [f"blackbox_explain/gradient/{kind}_{self._count}" + (f"_{k}" if k else "") for k in range(outputs)]
        read = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        self.nodes.append(helper.make_node(kind, read, names, name=names[0], **attributes))
        return names

    def instead(self, node: Node, kind: str, *inputs: str) -> None:
        """Let an operator written here take the place of a node of the forward half."""
        self.replaced.add(node.y)
        self.nodes.append(helper.make_node(kind, list(inputs), [node.y], name=f"{node.proto.name}/instead"))

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Return the name of a constant; equal ones are stored once."""
        value = np.ascontiguousarray(value) if value.ndim else value
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._names:
            self._names[key] = f"blackbox_explain/gradient/constant_{len(self._names)}"
            self.constants[self._names[key]] = value
        return self._names[key]

    def ints(self, values: Sequence[int] | np.ndarray[Any, Any]) -> str:
        """Return a constant list of integers."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def number(self, value: Any, like: str) -> str:
        """Return a constant of the type of a tensor of the forward half."""
        return self.constant(np.asarray(value, dtype=self.dtype(like)))

    def mul(self, a: str, b: str) -> str:
        """Multiply."""
        return self.op("Mul", a, b)

    def scale(self, a: str, value: Any, like: str) -> str:
        """Multiply by a number."""
        return a if np.all(np.asarray(value) == 1) else self.op("Mul", a, self.number(value, like))

    def neg(self, a: str) -> str:
        """Change the sign."""
        return self.op("Neg", a)

    def step(self, a: str, like: str) -> str:
        """Return 1 where `a` is above 0, else 0, in the type of `like`."""
        return self.step_from(a, 0, like)

    def step_from(self, a: str, bound: Any, like: str = "") -> str:
        """Return 1 where `a` is above a number, else 0, in the type of `like` (or `a`)."""
        return self._ramp(a, float(bound), like or a, 1)

    def step_to(self, a: str, bound: Any, like: str = "") -> str:
        """Return 1 where `a` is below a number, else 0, in the type of `like` (or `a`)."""
        return self._ramp(a, float(bound), like or a, -1)

    def _ramp(self, a: str, bound: float, like: str, sign: int) -> str:
        if self.dtype(like) == np.float32 and self.device == "cpu" and abs(bound) <= RAMPED:
            # A ramp so steep that it is a step: one pass in threads, which ONNX Runtime runs in the blocked layout of
            # its convolutions.  A power of two scales without rounding, so that the step is where it should be.
            return self.op("HardSigmoid", a, alpha=sign * STEEP, beta=-sign * bound * STEEP)
        kind = "Greater" if sign > 0 else "Less"
        return self.op("Cast", self.op(kind, a, self.number(bound, like)), to=element_type(self.dtype(like)))

    def where(self, condition: str, a: str, b: str) -> str:
        """Choose."""
        return self.op("Where", condition, a, b)

    def shape_of(self, name: str) -> str:
        """Return the shape of a tensor as a tensor, constant if it can be."""
        shape = self.shape(name)
        return self.op("Shape", name) if None in shape else self.ints([size or 0 for size in shape])

    def reshape(self, a: str, shape: Sequence[int | None], like: str = "") -> str:
        """Reshape, with at most one size unknown, or to the shape of `like`."""
        if list(shape).count(None) > 1:
            return self.op("Reshape", a, self.op("Shape", like))
        # allowzero: a size of 0 is a size, not a reference to the input's.
        return self.op("Reshape", a, self.ints([-1 if size is None else size for size in shape]), allowzero=1)

    def reshape_like(self, a: str, name: str) -> str:
        """Reshape to the shape of a tensor of the forward half."""
        return self.reshape(a, self.shape(name), name)

    def zeros_like(self, name: str) -> str:
        """Return zeros in shape and type of a tensor of the forward half."""
        zero = numpy_helper.from_array(np.zeros(1, self.dtype(name)))
        return self.op("ConstantOfShape", self.shape_of(name), value=zero)

    def zeros_as(self, a: str, dtype: np.dtype[Any]) -> str:
        """Return zeros in the shape of a tensor that is known by its name alone."""
        return self.op("ConstantOfShape", self.op("Shape", a), value=numpy_helper.from_array(np.zeros(1, dtype)))

    def total(self, a: str, axes: Sequence[int], keep: bool = True) -> str:
        """Sum over axes."""
        return self.op("ReduceSum", a, self.ints(list(axes)), keepdims=int(keep))

    def mean(self, a: str, axes: Sequence[int]) -> str:
        """Average over axes, which stay with size 1."""
        return self.op("ReduceMean", a, self.ints(list(axes)), keepdims=1)

    def transpose(self, a: str, order: Sequence[int]) -> str:
        """Reorder the axes."""
        return a if list(order) == list(range(len(order))) else self.op("Transpose", a, perm=[int(i) for i in order])

    def unbroadcast(self, gradient: str, output: str, name: str) -> str:
        """Sum a gradient of `output` over the axes along which `name` was repeated."""
        big, small = self.shape(output), self.shape(name)
        lead = len(big) - len(small)
        repeated = [i + lead for i, size in enumerate(small) if size == 1 and big[i + lead] != 1]
        axes = [*range(lead), *repeated]
        if not axes:
            return gradient
        gradient = self.total(gradient, axes)
        return self.reshape_like(gradient, name) if lead else gradient

    def along(self, a: str, rank: int, axis: int, matrix: np.ndarray[Any, Any]) -> str:
        """Multiply one axis of a tensor by a constant matrix (new size, old size)."""
        if axis == rank - 1:
            return self.op("MatMul", a, np.ascontiguousarray(matrix.T))
        if axis == rank - 2:
            return self.op("MatMul", np.ascontiguousarray(matrix), a)
        order = [i for i in range(rank) if i != axis] + [axis]
        moved = self.op("MatMul", self.transpose(a, order), np.ascontiguousarray(matrix.T))
        return self.transpose(moved, np.argsort(order).tolist())

    def pad(self, a: str, before: Sequence[int], after: Sequence[int]) -> str:
        """Pad with zeros, or crop where negative."""
        if not any(before) and not any(after):
            return a
        return self.op("Pad", a, self.ints([*before, *after]))

    def place(self, gradient: str, name: str, axis: int, index: np.ndarray[Any, Any] | str) -> str:
        """Add rows of a gradient to the rows `index` of zeros like `name`: the adjoint of taking them along an axis.

        Parameters
        ----------
        gradient
            Its axis `axis` has as many rows as there are indices.
        name
            Tensor of the forward half that rows were taken from.
        axis
            Not negative.
        index
            One axis of integers, known or not.
        """
        shape = self.shape(name)
        size = shape[axis]
        if isinstance(index, np.ndarray) and size is not None:
            index = np.where(index < 0, index + size, index)
            if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
                before, after = [0] * len(shape), [0] * len(shape)
                before[axis], after[axis] = int(index[0]), int(size - index[0] - len(index))
                return self.pad(gradient, before, after)
            if len(index) * size <= 1 << 20 and len(shape) >= 2 and self.dtype(name) in FLOATS:
                matrix = np.zeros((size, len(index)), self.dtype(name))
                np.add.at(matrix, (index, np.arange(len(index))), 1)
                return self.along(gradient, len(shape), axis, matrix)
        rows = self.ints(index) if isinstance(index, np.ndarray) else index
        column = self.op("Reshape", rows, self.ints([-1 if i == axis else 1 for i in range(len(shape))]))
        column = self.op("Expand", column, self.op("Shape", gradient))
        return self.op("ScatterElements", self.zeros_like(name), column, gradient, axis=axis, reduction="add")
