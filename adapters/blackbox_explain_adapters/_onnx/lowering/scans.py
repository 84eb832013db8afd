"""A Scan over many like steps, as which recurrent nodes are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.node import element_type
from blackbox_explain_adapters._onnx.graph.plain_form import LEAST_IR, prune
from blackbox_explain_adapters._onnx.graph.rewriting import Writer

__all__ = ["StepScan"]


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
        body = self.body(nodes, [state, self.read[0]], [after, every])
        body.initializer.extend(self.stored)
        return write.op("Scan", first, rows, outputs=2, name=self.name, **self.how(body, 1, self.backwards))

    def alone(self) -> onnx.ModelProto:
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

    def body(self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
        """Return the body of a Scan."""
        kind = element_type(self.dtype)
        given, left = ([helper.make_tensor_value_info(one, kind, None) for one in names] for names in (inputs, outputs))
        return helper.make_graph(nodes, "step", given, left)

    def how(self, body: onnx.GraphProto, scanned: int, backwards: bool) -> dict[str, Any]:
        """Return the attributes of a Scan along the first axis that gives one row for each step."""
        way = int(backwards)
        return {
            "body": body,
            "num_scan_inputs": scanned,
            "scan_input_directions": [way] * scanned,
            "scan_output_directions": [way],
        }


def _keep_what_leads(graph: onnx.GraphProto, constants: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Drop what does not lead to the output, and store the constants that are read."""
    prune(graph)
    made = {name for node in graph.node for name in node.output} | {one.name for one in graph.initializer}
    for name in {name for node in graph.node for name in node.input} - made:
        if name in constants:
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(constants[name]), name))
