"""A Scan over many like steps, and its gradient: a Scan over the same steps in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.backward.operators import Rule
from blackbox_explain_adapters._onnx.backward.tape import Tape
from blackbox_explain_adapters._onnx.graph.node import Node, element_type, rename
from blackbox_explain_adapters._onnx.graph.plain_form import LEAST_IR, prune
from blackbox_explain_adapters._onnx.graph.rewriting import Writer

__all__ = ["Scans", "StepScan"]

Differentiate: TypeAlias = Callable[[onnx.ModelProto], onnx.ModelProto]
"""From a model of one input to the graph whose second output is its gradient, weighted by its second input."""


@dataclass(frozen=True)
class StepScan:
    """Steps that carry one state (N, S), each of which reads one row (N, G) of what there is for all steps.

    Attributes
    ----------
    place
        Beginning of the names of what is written.
    nodes, stored
        One step.
    before
        Nodes that compute what all steps read alike, among others.
    constants
        What is known of what those nodes, and the steps, read.
    carried
        Names of the state before and after the step, and S.
    read
        Name of the row, and G.
    dtype
        Of all of them.
    backwards
        Whether the last row is read first.
    opset
        Of the graph.
    """

    place: str
    nodes: Sequence[onnx.NodeProto]
    stored: Sequence[onnx.TensorProto]
    before: Sequence[onnx.NodeProto]
    constants: Mapping[str, np.ndarray[Any, Any]]
    carried: tuple[str, str, int]
    read: tuple[str, int]
    dtype: np.dtype[Any]
    backwards: bool
    opset: int

    @property
    def name(self) -> str:
        """Name of the node."""
        return f"{self.place}/scan"

    def written(self, write: Writer, first: str, rows: str) -> list[str]:
        """Write the Scan: return the last state, and the states behind all steps, (steps, N, S)."""
        state, after, _ = self.carried
        every = f"{self.place}/every"
        nodes = [*self.nodes, helper.make_node("Identity", [after], [every], name=every)]
        body = self._graph(nodes, [state, self.read[0]], [after, every])
        body.initializer.extend(self.stored)
        return write.op("Scan", first, rows, outputs=2, name=self.name, **self._how(body, 1, self.backwards))

    def rule(self, differentiate: Differentiate) -> Rule:
        """Return the rule of the Scan: each step is computed again from the state before it, and led back."""
        step = differentiate(self._alone())
        outer = {name for node in self.before for name in node.output} | self.constants.keys()

        def led_back(tape: Tape, node: Node, gradients: Sequence[str]) -> Sequence[str]:
            first, rows = node.inputs
            last, every = gradients
            behind = tape.op("Unsqueeze", first, tape.ints([0]))
            part = ([1, np.iinfo(np.int64).max] if self.backwards else [0, -1]) + [0]
            others = tape.op("Slice", node.outputs[1], *(tape.ints([one]) for one in part))
            states = tape.op("Concat", *([others, behind] if self.backwards else [behind, others]), axis=0)
            every = every or tape.zeros_like(node.outputs[1])
            last = last or tape.zeros_like(first)
            body = self._backward(tape, step, outer)
            how = self._how(body, 3, not self.backwards)
            return tape.ops("Scan", last, rows, states, every, outputs=2, **how)

        return led_back

    def _alone(self) -> onnx.ModelProto:
        """Return one step as a model of one input, state and row side by side."""
        (state, after, width), (row, columns) = self.carried, self.read
        kind, whole, sizes = element_type(self.dtype), f"{self.place}/whole", f"{self.place}/sizes"
        cut = helper.make_node("Split", [whole, sizes], [state, row], name=f"{self.place}/cut", axis=-1)
        graph = helper.make_graph(
            [*self.before, cut, *self.nodes],
            "step",
            [helper.make_tensor_value_info(whole, kind, ["N", width + columns])],
            [helper.make_tensor_value_info(after, kind, ["N", width])],
        )
        graph.initializer.extend([*self.stored, numpy_helper.from_array(np.array([width, columns]), sizes)])
        _keep_what_leads(graph, self.constants)
        imports = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=imports, ir_version=LEAST_IR)

    def _backward(self, tape: Tape, step: onnx.ModelProto, outer: set[str]) -> onnx.GraphProto:
        """Return the body that leads one step back: from the gradient behind it to those before it and of its row."""
        graph = onnx.GraphProto()
        graph.CopyFrom(step.graph)
        del graph.output[:-1]
        prune(graph)
        whole, weights, gradient = (one.name for one in (*graph.input[:2], graph.output[0]))
        place = f"{self.place}/back/"
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
        sizes = tape.ints([self.carried[2], self.read[1]])
        nodes = [
            helper.make_node("Add", [behind, more], [names[weights]], name=f"{place}sum"),
            helper.make_node("Concat", [state, row], [names[whole]], name=f"{place}join", axis=-1),
            *made.node,
            helper.make_node("Split", [names[gradient], sizes], [before, of_row], name=f"{place}cut", axis=-1),
        ]
        return self._graph(nodes, [behind, row, state, more], [before, of_row])

    def _graph(self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
        kind = element_type(self.dtype)
        given, left = ([helper.make_tensor_value_info(one, kind, None) for one in names] for names in (inputs, outputs))
        return helper.make_graph(nodes, "step", given, left)

    def _how(self, body: onnx.GraphProto, scanned: int, backwards: bool) -> dict[str, Any]:
        """Return the attributes of a Scan along the first axis that gives one row for each step."""
        way = int(backwards)
        return {
            "body": body,
            "num_scan_inputs": scanned,
            "scan_input_directions": [way] * scanned,
            "scan_output_directions": [way],
        }


@dataclass(frozen=True)
class Scans:
    """The Scan nodes of a graph that have rules of their own.

    Attributes
    ----------
    rules
        By name; more are added.
    differentiate
        Writes the gradient graph of one step.
    """

    rules: dict[str, Rule]
    differentiate: Differentiate

    def add(self, scan: StepScan) -> None:
        """Give a Scan its rule."""
        self.rules[scan.name] = scan.rule(self.differentiate)


def _keep_what_leads(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Drop what does not lead to the output, and store the constants that are read."""
    prune(graph)
    made = {name for node in graph.node for name in node.output} | {one.name for one in graph.initializer}
    for name in {name for node in graph.node for name in node.input} - made:
        if name in constants:
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(constants[name]), name))
