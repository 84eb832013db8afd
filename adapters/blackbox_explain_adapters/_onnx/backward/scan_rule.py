"""The gradient of a Scan over many like steps: a Scan over the same steps in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, rename
from blackbox_explain_adapters._onnx.graph.plain_form import prune
from blackbox_explain_adapters._onnx.lowering.scans import StepScan

__all__ = ["scan_rule"]

Differentiate: TypeAlias = Callable[[onnx.ModelProto], onnx.ModelProto]
"""From a model of one input to the graph whose second output is its gradient, weighted by its second input."""


def scan_rule(scan: StepScan, differentiate: Differentiate) -> Rule:
    """Return the rule of the Scan: each step is computed again from the state before it, and led back."""
    step = differentiate(scan.alone())
    outer = {name for node in scan.before for name in node.output} | scan.constants.keys()

    def led_back(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
        first, rows = node.inputs
        last, every = gradients
        behind = tape.op("Unsqueeze", first, tape.ints([0]))
        part = ([1, np.iinfo(np.int64).max] if scan.backwards else [0, -1]) + [0]
        others = tape.op("Slice", node.outputs[1], *(tape.ints([one]) for one in part))
        states = tape.op("Concat", *([others, behind] if scan.backwards else [behind, others]), axis=0)
        every = every or tape.zeros_like(node.outputs[1])
        last = last or tape.zeros_like(first)
        body = _backward(scan, tape, step, outer)
        how = scan.how(body, 3, not scan.backwards)
        return tape.ops("Scan", last, rows, states, every, outputs=2, **how)

    return led_back


def _backward(scan: StepScan, tape: Tape, step: onnx.ModelProto, outer: set[str]) -> onnx.GraphProto:
    """Return the body that leads one step back: from the gradient behind it to those before it and of its row."""
    graph = onnx.GraphProto()
    graph.CopyFrom(step.graph)
    del graph.output[:-1]
    prune(graph)
    whole, weights, gradient = (one.name for one in (*graph.input[:2], graph.output[0]))
    place = f"{scan.place}/back/"
    inside = [node for node in graph.node if outer.isdisjoint(node.output)]
    stored = {one.name: numpy_helper.to_array(one) for one in graph.initializer if one.name not in outer}
    names = {name: place + name for node in inside for name in node.output if name}
    names |= {name: place + name for name in (whole, weights, *stored)}
    tape.constants.update((names[name], value) for name, value in stored.items())
    made = onnx.GraphProto(node=inside)
    rename(made, names)
    behind, row, state, more, before, of_row = (
        place + one for one in ("behind", "row", "state", "more", "before", "of_row")
    )
    sizes = tape.ints([scan.carried[2], scan.read[1]])
    nodes = [
        helper.make_node("Add", [behind, more], [names[weights]], name=f"{place}sum"),
        helper.make_node("Concat", [state, row], [names[whole]], name=f"{place}join", axis=-1),
        *made.node,
        helper.make_node("Split", [names[gradient], sizes], [before, of_row], name=f"{place}cut", axis=-1),
    ]
    return scan.body(nodes, [behind, row, state, more], [before, of_row])
