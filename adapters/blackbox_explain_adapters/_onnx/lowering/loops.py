"""Write Loop and Scan as the steps they take, where their number does not depend on the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from blackbox_explain_adapters._onnx.graph.node import Node, bodies_of, read_by, refusal, rename, set_nodes
from blackbox_explain_adapters._onnx.graph.pixel_dependence import READ_SHAPE_ALONE, without_pixels
from blackbox_explain_adapters._onnx.graph.plain_form import opset_of, prune
from blackbox_explain_adapters._onnx.graph.rewriting import Writer
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph

__all__ = ["count_steps", "unroll_loops"]

MOST_STEPS = 1024
"""Of one loop: each is as many nodes as its body has, which ONNX Runtime plans and optimises one by one: some 20 ms of
wrapping for a step of ten nodes."""

AXES_AS_INPUT = 13
"""The opset since which Unsqueeze reads its axes."""

SCAN_WITHOUT_BATCH = 9

COUNTER = "blackbox_explain/steps_of/"
"""Beginning of the name of an output of a Loop that has a row for each of its steps."""


@dataclass(frozen=True)
class _Loop:
    """What Loop and Scan have in common.

    Attributes
    ----------
    node, body
        The loop, and what it does in each step.
    states
        Tensors that it begins with; the body reads them at `first_state`, and its outputs at `first_result` follow.
    sliced
        Tensors of which each step reads one slice, with axis and direction.
    gathered
        Axes and directions along which the other results of all steps are put together.
    """

    node: Node
    body: onnx.GraphProto
    first_state: int
    first_result: int
    states: Sequence[str]
    sliced: Sequence[tuple[str, int, bool]]
    gathered: Sequence[tuple[int, bool]]


def _loop_of(proto: onnx.NodeProto) -> _Loop:
    node, body = Node(proto), bodies_of(proto)[0]
    if proto.op_type == "Loop":
        states = node.inputs[2:]
        return _Loop(node, body, 2, 1, states, (), [(0, False)] * (len(body.output) - 1 - len(states)))
    number = int(node.get("num_scan_inputs"))
    states, scanned = node.inputs[: len(node.inputs) - number], node.inputs[len(node.inputs) - number :]
    results = len(body.output) - len(states)
    axes = (node.get("scan_input_axes") or [0] * number, node.get("scan_input_directions") or [0] * number)
    joined = (node.get("scan_output_axes") or [0] * results, node.get("scan_output_directions") or [0] * results)
    sliced = [(name, axis, bool(back)) for name, axis, back in zip(scanned, *axes, strict=True)]
    return _Loop(node, body, 0, 0, states, sliced, [(axis, bool(back)) for axis, back in zip(*joined, strict=True)])


def count_steps(model: onnx.ModelProto) -> None:
    """Let each Loop say by one more output how many steps it takes, in place."""
    for proto in model.graph.node:
        if proto.op_type != "Loop" or proto.domain not in ("", "ai.onnx") or proto.output[-1].startswith(COUNTER):
            continue
        body = bodies_of(proto)[0]
        place = f"{COUNTER}{next(name for name in proto.output if name)}"
        proto.output.append(place)
        body.node.append(helper.make_node("Identity", [body.input[0].name], [f"{place}/step"]))
        body.output.append(helper.make_tensor_value_info(f"{place}/step", TensorProto.INT64, []))


def unroll_loops(graph: Graph) -> bool:
    """Replace each Loop and Scan that reads pixels by its steps; say whether there were any.

    Parameters
    ----------
    graph
        Changed in place; `count_steps` was applied to its model before it was run.

    Raises
    ------
    UnsupportedModelError
        If the number of steps depends on the image or on the batch, or is too large.
    """
    model = graph.model
    plain = without_pixels(model) | {one.name for one in model.graph.initializer}
    shapes = {name: one.shape for name, one in graph.tensors.items()}
    shapes |= {name: one.shape for name, one in graph.constants.items()}
    nodes: list[onnx.NodeProto] = []
    found = False
    for proto in model.graph.node:
        loop = proto.op_type in ("Loop", "Scan") and proto.domain in ("", "ai.onnx")
        if not loop or proto.name in graph.named or plain.issuperset(name for name in proto.output if name):
            nodes.append(proto)
            continue
        one = _loop_of(proto)
        if one.node.op == "Scan" and opset_of(model) < SCAN_WITHOUT_BATCH:
            raise refusal(one.node, "is of an opset in which it had an axis of its own for the batch")
        nodes += _Steps(model, one, _number(one, shapes, plain)).written()
        found = True
    if found:
        set_nodes(model.graph, nodes)
        prune(model.graph)
    return found


def _number(loop: _Loop, shapes: Mapping[str, tuple[int | None, ...]], plain: set[str]) -> int:
    """Return how many steps are taken, or refuse the node."""
    node = loop.node
    if node.op == "Loop":
        if (node.x and node.x not in plain) or _ends_by_pixels(loop, plain):
            raise refusal(node, "it ends when the image says so", "export the model without such a loop")
        number = shapes.get(node.outputs[-1], (None,))[0]
    else:
        name, axis, _ = loop.sliced[0]
        number = shapes[name][axis] if name in shapes else None
    if number is None or not 0 < number <= MOST_STEPS:
        why = f"takes {'an unknown number of' if number is None else number} steps"
        hint = f"at most {MOST_STEPS} are written out; export LSTM, GRU or RNN nodes, which may take any number"
        raise refusal(node, why, hint if number else "")
    return number


def _ends_by_pixels(loop: _Loop, plain: set[str]) -> bool:
    """Say whether the condition to go on depends on the image, by whatever is carried from step to step."""
    body, first = loop.body, loop.first_state
    carried = [one.name for one in body.input[first:]]
    pixels = {inner for inner, name in zip(carried, loop.states, strict=True) if name not in plain}
    own = {one.name for one in [*body.input, *body.initializer]} | {name for node in body.node for name in node.output}
    while True:
        depends = set(pixels)
        for node in body.node:
            read = read_by(node)
            outside = any(name not in own and name not in plain for name in read if not _is_inner(node, name))
            if node.op_type not in READ_SHAPE_ALONE and (outside or depends.intersection(read)):
                depends.update(node.output)
        spread = {inner for inner, out in zip(carried, body.output[1:], strict=False) if out.name in depends}
        if spread <= pixels:
            return body.output[0].name in depends or (bool(loop.node.input(1)) and loop.node.input(1) not in plain)
        pixels |= spread


def _is_inner(node: onnx.NodeProto, name: str) -> bool:
    """Say whether a tensor that a node reads is made, or comes in, inside of the node's own bodies."""
    for body in bodies_of(node):
        made = {one.name for one in [*body.input, *body.initializer]} | {out for one in body.node for out in one.output}
        if name in made or any(_is_inner(one, name) for one in body.node):
            return True
    return False


class _Steps:
    """The steps of one loop, one after the other."""

    def __init__(self, model: onnx.ModelProto, loop: _Loop, number: int) -> None:
        self._graph, self._loop, self._number = model.graph, loop, number
        self._opset = opset_of(model)
        self._place = f"blackbox_explain/steps/{loop.node.proto.name or loop.node.outputs[0]}"
        self._write = Writer(self._place)

    def written(self) -> list[onnx.NodeProto]:
        loop, body = self._loop, self._loop.body
        stored = {one.name: f"{self._place}/{one.name}" for one in body.initializer}
        for one in body.initializer:
            kept = onnx.TensorProto()
            kept.CopyFrom(one)
            kept.name = stored[one.name]
            self._graph.initializer.append(kept)
        states = list(loop.states)
        results: list[list[str]] = []
        for step in range(self._number):
            given = self._given(step, states)
            outputs = self._step(step, stored, dict(zip((one.name for one in body.input), given, strict=True)))
            outputs = outputs[loop.first_result :]
            states = outputs[: len(states)]
            results.append(outputs[len(states) :])
        every = [*states, *(self._joined(k, [one[k] for one in results]) for k in range(len(loop.gathered)))]
        # A model may leave out the last outputs.
        for inner, outer in zip(every, loop.node.outputs, strict=False):
            if outer:
                self._write.op("Identity", inner, to=outer)
        self._graph.initializer.extend(self._write.stored)
        return self._write.protos

    def _given(self, step: int, states: Sequence[str]) -> list[str]:
        """Return what one step reads: its number and whether to go on, or slices, and what is carried."""
        if self._loop.node.op == "Loop":
            return [self._write.constant(np.array(step)), self._write.constant(np.array(True)), *states]
        slices: list[str] = []
        for name, axis, back in self._loop.sliced:
            index = np.array(self._number - 1 - step if back else step)
            slices.append(self._write.op("Gather", name, index, axis=axis))
        return [*states, *slices]

    def _step(self, step: int, stored: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
        """Write the body once, and return the names of its outputs."""
        place = f"{self._place}/{step}/"
        body = onnx.GraphProto()
        body.CopyFrom(self._loop.body)
        own = {name: place + name for node in body.node for name in node.output if name}
        names = {**own, **stored, **given}
        rename(body, names)
        for node in body.node:
            node.name = place + node.name if node.name else ""
        self._write.protos += body.node
        return [one.name for one in body.output]

    def _joined(self, index: int, parts: Sequence[str]) -> str:
        axis, back = self._loop.gathered[index]
        rows = [self._unsqueezed(one, axis) for one in (parts[::-1] if back else parts)]
        return self._write.op("Concat", *rows, axis=axis)

    def _unsqueezed(self, name: str, axis: int) -> str:
        if self._opset < AXES_AS_INPUT:
            return self._write.op("Unsqueeze", name, axes=[axis])
        return self._write.op("Unsqueeze", name, np.array([axis]))
