"""How sums and products of several tensors that depend on the image share out relevance."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_explain_adapters._onnx.backward.operators import NOTHING, RULES
from blackbox_explain_adapters._onnx.backward.relevance.passing import pass_on
from blackbox_explain_adapters._onnx.backward.relevance.sharing import TINY, stabilised
from blackbox_explain_adapters._onnx.backward.relevance.surroundings import active_places, gate_of, is_nonnegative
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node

__all__ = ["multiplied", "summed", "summed_by_excitation"]


def summed(tape: Tape, node: Node, gradients: Sequence[str], *, epsilon: float) -> Sequence[str]:
    """Share among addends by the ε rule, in proportion to what each adds: R_a = a R / (a + b)."""
    if len(active_places(tape, node)) == 1:
        return pass_on(tape, node, gradients)
    s = tape.op("Div", gradients[0], stabilised(tape, node.y, epsilon))
    led_back = RULES[node.op](tape, node, [s])
    return [one and tape.mul(one, name) for one, name in zip(led_back, node.inputs, strict=True)]


def summed_by_excitation(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Share among addends in proportion to what of each lies above 0; where none does, nothing goes on."""
    places = active_places(tape, node)
    if len(places) == 1:
        return pass_on(tape, node, gradients)
    parts: dict[int, str] = {}
    for place in places:
        name = node.inputs[place]
        if node.op == "Sub" and place == 1:
            parts[place] = tape.op("Relu", tape.neg(name))
        else:
            parts[place] = name if is_nonnegative(tape, name) else tape.op("Relu", name)
    s = tape.op("Div", gradients[0], tape.op("Sum", *parts.values(), tape.number(TINY, node.y)))
    found = [""] * len(node.inputs)
    for place, part in parts.items():
        found[place] = tape.unbroadcast(tape.mul(part, s), node.y, node.inputs[place])
    return found


def multiplied(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
    """Give all to the signal and nothing to its gate (Arras et al. 2017); half to each where there is no gate.

    Gates are those of x · sigmoid(x), written out, and of squeeze-and-excitation: see `gate_of`.
    """
    if len(active_places(tape, node)) == 1:
        return pass_on(tape, node, gradients)
    gate, (a, b) = gate_of(tape, node), node.inputs
    if gate is None:
        half = tape.scale(gradients[0], 0.5, node.y)
        return [tape.unbroadcast(half, node.y, name) for name in (a, b)]
    signal = tape.unbroadcast(gradients[0], node.y, b if gate == 0 else a)
    return [NOTHING, signal] if gate == 0 else [signal, NOTHING]
