"""Write RNN, GRU and LSTM as the steps they take, in operators that have rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from blackbox_explain_adapters._onnx.node import Tensor, refusal
from blackbox_explain_adapters._onnx.rewriting import Replacement, Rewrite, rewrite

__all__ = ["GATES", "unroll"]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""By operator, how many matrices of weights lie in one."""

DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}

KNOWN = ("Elu", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")

MOST_STEPS = 1024
"""Of all directions together: each is a dozen nodes, which ONNX Runtime plans and optimises one by one."""


def unroll(
    model: onnx.ModelProto,
    tensors: Mapping[str, Tensor],
    constants: Mapping[str, np.ndarray[Any, Any]],
    known: Set[str] = frozenset(),
) -> bool:
    """Replace each recurrent node by its steps; say whether there were any.

    Parameters
    ----------
    model
        Changed in place.
    tensors
        What was seen in a run.
    constants
        Tensors whose value is known.
    known
        Operators that have a rule of the caller's, and stay.

    Raises
    ------
    UnsupportedModelError
        If a node has an unknown number of steps, or too many, or something that is not followed.
    """

    def choose(proto: onnx.NodeProto) -> Rewrite | None:
        if proto.op_type not in GATES or proto.op_type in known or proto.domain not in ("", "ai.onnx"):
            return None
        return lambda write: _unrolled(write, constants)

    return rewrite(model, tensors, constants, choose)


def _unrolled(write: Replacement, constants: Mapping[str, np.ndarray[Any, Any]]) -> None:
    node = write.node
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[node.get("direction", "forward")]
    hidden = int(node.get("hidden_size"))
    length = write.tensors[node.x].shape[0]  # ONNX Runtime has no other layout
    if length is None or length * len(ways) > MOST_STEPS:
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
        sequence, last = _direction(write, node.x, index, length, hidden, backwards)
        sequences.append(sequence)
        ends.append(last)
    for place, name in enumerate(node.outputs):
        if not name:
            continue
        if place == 0:  # (steps, directions, N, hidden)
            write.op("Concat", *sequences, to=name, axis=1)
        else:
            write.op("Concat", *(last[place - 1] for last in ends), to=name, axis=0)


def _direction(
    write: Replacement,
    x: str,
    index: int,
    length: int,
    hidden: int,
    backwards: bool,
) -> tuple[str, list[str]]:
    """Return the outputs of one direction, (steps, 1, N, hidden), and its last states, (1, N, hidden)."""
    node = write.node
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
    steps = write.op("Split", gates, outputs=length, axis=0, num_outputs=length) if length > 1 else [gates]
    steps = [write.op("Squeeze", step, [0]) for step in steps]
    states = [_initial(write, place, steps[0], one, hidden) for place in ((5, 6) if node.op == "LSTM" else (5,))]
    step = _STEPS[node.op](write, index, hidden, by_state, own(7) if node.op == "LSTM" else "", state_bias)
    outputs: list[str] = [""] * length
    for time in reversed(range(length)) if backwards else range(length):
        states = step(steps[time], states)
        outputs[time] = states[0]
    places = write.op("Concat", *(write.op("Unsqueeze", output, [0, 1]) for output in outputs), axis=0)
    return places, [write.op("Unsqueeze", state, [0]) for state in states]


def _initial(write: Replacement, place: int, like: str, one: np.ndarray[Any, Any], hidden: int) -> str:
    """Return an initial state (N, hidden), zeros where none is given."""
    name = write.node.input(place)

    if name:
        return write.op("Squeeze", write.op("Slice", name, one, one + 1, [0]), [0])
    rows = write.op("Shape", like, start=0, end=1)
    zero = numpy_helper.from_array(np.zeros(1, write.dtype))
    return write.op("ConstantOfShape", write.op("Concat", rows, np.array([hidden]), axis=0), value=zero)


_Step = Callable[[str, list[str]], list[str]]


def _functions(write: Replacement, index: int) -> list[Callable[[str], str]]:
    """Return this direction's activation functions."""
    node = write.node
    count = len(DEFAULTS[node.op])
    given = [one.decode() if isinstance(one, bytes) else one for one in node.get("activations", [])]
    names = given[index * count : (index + 1) * count] or DEFAULTS[node.op]
    known = {name.lower(): name for name in KNOWN}
    # Which function takes the next of these depends on the functions; none of the usual ones takes any.
    if any(name.lower() not in known for name in names) or node.get("activation_alpha") or node.get("activation_beta"):
        raise refusal(node, f"has unusual activations, {', '.join(names)}")

    def apply(name: str) -> Callable[[str], str]:
        return lambda a: write.op(known[name.lower()], a)

    return [apply(name) for name in names]


def _plain(write: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str) -> _Step:
    del hidden, peepholes, bias
    (f,) = _functions(write, index)
    return lambda gates, states: [f(write.op("Add", gates, write.op("MatMul", states[0], by_state)))]


def _lstm(write: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str) -> _Step:
    del hidden, bias
    f, g, h = _functions(write, index)
    coupled = bool(write.node.get("input_forget", 0))
    looks = write.op("Split", peepholes, outputs=3, axis=0, num_outputs=3) if peepholes else []

    def look(gate: str, k: int, cell: str) -> str:
        return write.op("Add", gate, write.op("Mul", looks[k], cell)) if looks else gate

    def step(gates: str, states: list[str]) -> list[str]:
        state, cell = states
        whole = write.op("Add", gates, write.op("MatMul", state, by_state))
        i, o, forget, c = write.op("Split", whole, outputs=4, axis=-1, num_outputs=4)
        i = f(look(i, 0, cell))
        forget = write.op("Sub", np.ones((), write.dtype), i) if coupled else f(look(forget, 2, cell))
        cell = write.op("Add", write.op("Mul", forget, cell), write.op("Mul", i, g(c)))
        return [write.op("Mul", f(look(o, 1, cell)), h(cell)), cell]

    return step


def _gru(write: Replacement, index: int, hidden: int, by_state: str, peepholes: str, bias: str) -> _Step:
    del peepholes
    f, g = _functions(write, index)
    inner = bool(write.node.get("linear_before_reset", 0))
    sizes = np.array([2 * hidden, hidden])
    to_gates, to_state = write.op("Split", by_state, sizes, outputs=2, axis=-1)

    def step(gates: str, states: list[str]) -> list[str]:
        (state,) = states
        outer, new = write.op("Split", gates, sizes, outputs=2, axis=-1)
        if inner:
            seen = write.op("MatMul", state, by_state)
            seen = write.op("Add", seen, bias) if bias else seen
            gate_part, state_part = write.op("Split", seen, sizes, outputs=2, axis=-1)
        else:
            gate_part, state_part = write.op("MatMul", state, to_gates), ""
        update, reset = write.op("Split", f(write.op("Add", outer, gate_part)), outputs=2, axis=-1, num_outputs=2)
        if inner:
            seen = write.op("Mul", reset, state_part)
        else:
            seen = write.op("MatMul", write.op("Mul", reset, state), to_state)
        new = g(write.op("Add", new, seen))
        # (1 - z) new + z state
        return [write.op("Add", new, write.op("Mul", update, write.op("Sub", state, new)))]

    return step


_STEPS = {"RNN": _plain, "GRU": _gru, "LSTM": _lstm}
