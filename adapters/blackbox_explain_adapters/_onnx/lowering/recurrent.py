"""Write RNN, GRU and LSTM in operators that have rules: few steps one after the other, many as a Scan over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from blackbox_explain_adapters._onnx.graph.node import refusal
from blackbox_explain_adapters._onnx.graph.plain_form import opset_of
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from blackbox_explain_adapters._onnx.lowering.replacement import Replacement, Rewrite, rewrite
from blackbox_explain_adapters._onnx.lowering.scans import StepScan

__all__ = ["GATES", "unroll_recurrent"]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""By operator, how many matrices of weights lie in one."""

DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}

KNOWN = ("Elu", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")

FEW = 8
"""Steps that are written one after the other, which runs faster; more are a Scan, which is made faster."""

MOST_STEPS = 1024
"""Of all directions together, where no Scan will do: each is a dozen nodes, which ONNX Runtime plans one by one."""


AddScan: TypeAlias = Callable[[StepScan], None]
"""Takes a Scan that was written, so that it gets a rule."""


def unroll_recurrent(graph: Graph, add: AddScan | None = None) -> bool:
    """Replace each recurrent node by its steps; say whether there were any.

    Parameters
    ----------
    graph
        Changed in place.
    add
        Takes the Scan nodes that are written; None to write none.

    Raises
    ------
    UnsupportedModelError
        If a node has an unknown number of steps, or too many, or something that is not followed.
    """

    def choose(proto: onnx.NodeProto) -> Rewrite | None:
        if proto.op_type not in GATES or proto.op_type in graph.callers or proto.domain not in ("", "ai.onnx"):
            return None
        return lambda write: _unrolled(write, graph.constants, add, opset_of(graph.model))

    return rewrite(graph, choose)


def _unrolled(
    write: Replacement,
    constants: Mapping[str, np.ndarray[Any, Any]],
    add: AddScan | None,
    opset: int,
) -> None:
    node = write.node
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[node.get("direction", "forward")]
    hidden = int(node.get("hidden_size"))
    length = write.tensors[node.x].shape[0]  # ONNX Runtime has no other layout
    fixed = all(name in constants for place in (1, 2, 3, 7) if (name := node.input(place)))
    scan = add if fixed and length is not None and length > FEW else None
    if length is None or (length * len(ways) > MOST_STEPS and scan is None):
        raise refusal(node, f"takes {'an unknown number of' if length is None else length * len(ways)} steps")
    lengths = constants.get(node.input(4)) if node.input(4) else np.full(1, length)
    if lengths is None or np.any(lengths != length):
        # Where the batch is free, lengths that are all the same are known by nothing but their being constant.
        raise refusal(node, "has lengths of its own for each sequence", "export the model without sequence lengths")
    if node.get("clip"):
        raise refusal(node, "clips what goes into its gates")
    sequences: list[str] = []
    ends: list[list[str]] = []
    for index, backwards in enumerate(ways):
        direction = _Direction(write, node.x, index, length, hidden, backwards)
        sequence, last = direction.written() if scan is None else direction.scanned(constants, scan, opset)
        sequences.append(sequence)
        ends.append(last)
    for place, name in enumerate(node.outputs):
        if not name:
            continue
        if place == 0:  # (steps, directions, N, hidden)
            write.op("Concat", *sequences, to=name, axis=1)
        else:
            write.op("Concat", *(last[place - 1] for last in ends), to=name, axis=0)


class _Direction:
    """One direction of a recurrent node: what comes before its steps is written, and the steps are asked for."""

    def __init__(self, write: Replacement, x: str, index: int, length: int, hidden: int, backwards: bool) -> None:
        node = self.node = write.node
        self.write, self.length, self.hidden, self.backwards = write, length, hidden, backwards
        self.place = f"blackbox_explain/in_place_of/{node.proto.name or next(filter(None, node.outputs))}/way_{index}"
        one = np.array([index])

        def own(place: int) -> str:
            """Return this direction's part of an input, without the axis of directions."""
            name = node.input(place)
            return write.op("Squeeze", write.op("Slice", name, one, one + 1, [0]), [0]) if name else ""

        by_input, by_state = (write.op("Transpose", own(place), perm=[1, 0]) for place in (1, 2))
        biases = write.op("Split", own(3), outputs=2, axis=0, num_outputs=2) if node.input(3) else []
        gates = write.op("MatMul", x, by_input)
        # The bias of a state stays apart where the operator scales what it is added to.
        inner = node.op == "GRU" and bool(node.get("linear_before_reset", 0))
        state_bias = biases[1] if inner and biases else ""
        for bias in biases[: 1 if inner else 2]:
            gates = write.op("Add", gates, bias)
        self.gates = gates
        self._peepholes = own(7) if node.op == "LSTM" else ""
        self._parts = (index, hidden, by_state, self._peepholes, state_bias)
        rows = write.op("Shape", gates, start=1, end=2)
        self.states = [_initial(write, place, rows, one, hidden) for place in ((5, 6) if node.op == "LSTM" else (5,))]

    def step(self, inner: Replacement) -> _Step:
        """Return what writes one step into `inner`."""
        return _STEPS[self.node.op](self.write, inner, *self._parts)

    def written(self) -> tuple[str, list[str]]:
        """Write all steps; return the outputs (steps, 1, N, hidden), and the last states (1, N, hidden)."""
        write, states, step = self.write, self.states, self.step(self.write)
        many = self.length > 1
        steps = write.op("Split", self.gates, outputs=self.length, axis=0, num_outputs=self.length) if many else None
        steps = [write.op("Squeeze", one, [0]) for one in steps or [self.gates]]
        outputs: list[str] = [""] * self.length
        for time in reversed(range(self.length)) if self.backwards else range(self.length):
            states = step(steps[time], states)
            outputs[time] = states[0]
        places = write.op("Concat", *(write.op("Unsqueeze", output, [0, 1]) for output in outputs), axis=0)
        return places, [write.op("Unsqueeze", state, [0]) for state in states]

    def scanned(
        self,
        constants: Mapping[str, np.ndarray[Any, Any]],
        add: AddScan,
        opset: int,
    ) -> tuple[str, list[str]]:
        """Write a Scan over the steps; return the same as `written`."""
        write = self.write
        inner = Replacement(self.node, write.tensors, f"{self.place}/step")
        many = len(self.states)
        # One state of all side by side.
        carried, gates = f"{self.place}/carried", f"{self.place}/gates"
        parts = inner.op("Split", carried, outputs=many, axis=-1, num_outputs=many) if many > 1 else [carried]
        whole = inner.op("Concat", *self.step(inner)(gates, parts), axis=-1)
        scan = StepScan(
            place=self.place,
            nodes=inner.protos,
            stored=inner.stored,
            before=write.protos,
            constants={one.name: numpy_helper.to_array(one) for one in write.stored} | dict(constants),
            carried=(carried, whole, many * self.hidden),
            read=(gates, GATES[self.node.op] * self.hidden),
            dtype=write.dtype,
            backwards=self.backwards,
            opset=opset,
        )
        first = write.op("Concat", *self.states, axis=-1)
        last, every = scan.written(write, first, self.gates)
        add(scan)
        outputs = write.op("Slice", every, [0], [self.hidden], [-1])
        ends = write.op("Split", last, outputs=many, axis=-1, num_outputs=many) if many > 1 else [last]
        return write.op("Unsqueeze", outputs, [1]), [write.op("Unsqueeze", end, [0]) for end in ends]


def _initial(write: Replacement, place: int, rows: str, one: np.ndarray[Any, Any], hidden: int) -> str:
    """Return an initial state (N, hidden), zeros where none is given."""
    name = write.node.input(place)
    if name:
        return write.op("Squeeze", write.op("Slice", name, one, one + 1, [0]), [0])
    zero = numpy_helper.from_array(np.zeros(1, write.dtype))
    return write.op("ConstantOfShape", write.op("Concat", rows, np.array([hidden]), axis=0), value=zero)


_Step = Callable[[str, list[str]], list[str]]


def _functions(inner: Replacement, index: int) -> list[Callable[[str], str]]:
    """Return this direction's activation functions."""
    node = inner.node
    count = len(DEFAULTS[node.op])
    given = [one.decode() if isinstance(one, bytes) else one for one in node.get("activations", [])]
    names = given[index * count : (index + 1) * count] or DEFAULTS[node.op]
    known = {name.lower(): name for name in KNOWN}
    # Which function takes the next of these depends on the functions; none of the usual ones takes any.
    if any(name.lower() not in known for name in names) or node.get("activation_alpha") or node.get("activation_beta"):
        raise refusal(node, f"has unusual activations, {', '.join(names)}")

    def apply(name: str) -> Callable[[str], str]:
        return lambda a: inner.op(known[name.lower()], a)

    return [apply(name) for name in names]


def _plain(
    write: Replacement, inner: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str
) -> _Step:
    del write, hidden, peepholes, bias
    (f,) = _functions(inner, index)
    return lambda gates, states: [f(inner.op("Add", gates, inner.op("MatMul", states[0], by_state)))]


def _lstm(
    write: Replacement, inner: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str
) -> _Step:
    del hidden, bias
    f, g, h = _functions(inner, index)
    coupled = bool(write.node.get("input_forget", 0))
    looks = write.op("Split", peepholes, outputs=3, axis=0, num_outputs=3) if peepholes else []

    def look(gate: str, k: int, cell: str) -> str:
        return inner.op("Add", gate, inner.op("Mul", looks[k], cell)) if looks else gate

    def step(gates: str, states: list[str]) -> list[str]:
        state, cell = states
        whole = inner.op("Add", gates, inner.op("MatMul", state, by_state))
        i, o, forget, c = inner.op("Split", whole, outputs=4, axis=-1, num_outputs=4)
        i = f(look(i, 0, cell))
        forget = inner.op("Sub", np.ones((), inner.dtype), i) if coupled else f(look(forget, 2, cell))
        cell = inner.op("Add", inner.op("Mul", forget, cell), inner.op("Mul", i, g(c)))
        return [inner.op("Mul", f(look(o, 1, cell)), h(cell)), cell]

    return step


def _gru(
    write: Replacement, inner: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str
) -> _Step:
    del peepholes
    f, g = _functions(inner, index)
    later = bool(write.node.get("linear_before_reset", 0))
    sizes = np.array([2 * hidden, hidden])
    to_gates, to_state = write.op("Split", by_state, sizes, outputs=2, axis=-1)

    def step(gates: str, states: list[str]) -> list[str]:
        (state,) = states
        outer, new = inner.op("Split", gates, sizes, outputs=2, axis=-1)
        if later:
            seen = inner.op("MatMul", state, by_state)
            seen = inner.op("Add", seen, bias) if bias else seen
            gate_part, state_part = inner.op("Split", seen, sizes, outputs=2, axis=-1)
        else:
            gate_part, state_part = inner.op("MatMul", state, to_gates), ""
        update, reset = inner.op("Split", f(inner.op("Add", outer, gate_part)), outputs=2, axis=-1, num_outputs=2)
        if later:
            seen = inner.op("Mul", reset, state_part)
        else:
            seen = inner.op("MatMul", inner.op("Mul", reset, state), to_state)
        new = g(inner.op("Add", new, seen))
        # (1 - z) new + z state
        return [inner.op("Add", new, inner.op("Mul", update, inner.op("Sub", state, new)))]

    return step


_STEPS = {"RNN": _plain, "GRU": _gru, "LSTM": _lstm}
