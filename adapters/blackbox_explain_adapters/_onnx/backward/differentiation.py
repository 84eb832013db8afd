"""Reverse mode over a graph: scores and the gradient of their weighted sum, in standard operators alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain.errors import BlackBoxExplainError, UnsupportedModelError
from blackbox_explain_adapters._onnx.backward.operators import NOTHING, RULES, Rule
from blackbox_explain_adapters._onnx.backward.scan_rule import scan_rule
from blackbox_explain_adapters._onnx.backward.tape import Device, Tape
from blackbox_explain_adapters._onnx.graph.activity import active_tensors, no_path
from blackbox_explain_adapters._onnx.graph.node import FLOATS, Node, Tensor, element_type, read_by, refusal
from blackbox_explain_adapters._onnx.graph.plain_form import flat, in_order, inputs_of, opset_of, prune
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights, held_at
from blackbox_explain_adapters._onnx.lowering.classical import CLASSICAL_DOMAIN
from blackbox_explain_adapters._onnx.lowering.fused import MICROSOFT_DOMAIN
from blackbox_explain_adapters._onnx.lowering.half_precision import widen
from blackbox_explain_adapters._onnx.lowering.loops import count_steps
from blackbox_explain_adapters._onnx.lowering.opset import converted
from blackbox_explain_adapters._onnx.lowering.padding import merge_pads
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from blackbox_explain_adapters._onnx.lowering.passes import lower_by_all_passes, without_control_flow
from blackbox_explain_adapters._onnx.lowering.scans import StepScan

__all__ = ["GRADIENT", "WEIGHTS", "differentiate", "gradient_of"]

WEIGHTS = "blackbox_explain/weights"
"""Input of the gradient graph, in the shape of the scores."""

GRADIENT = "blackbox_explain/gradient"
"""Output of the gradient graph, in the shape of the images."""


SIZED_BY_VALUES = frozenset(("NonZero", "Unique", "Compress", "NonMaxSuppression"))
"""What makes sizes of values: those that were seen in a run say nothing about another."""

OTHERWISE = {
    MICROSOFT_DOMAIN: "use the model as it was exported, before an optimiser fused its nodes",
    CLASSICAL_DOMAIN: "explain it from its scores alone, as one does trees, which have no slopes",
}
"""Hints by domain of a node that cannot be differentiated."""

Constant: TypeAlias = np.ndarray[Any, Any]

BLOCKED_RANK = 4
"""Axes of the tensors whose layout ONNX Runtime changes: images of two dimensions."""


def gradient_of(tensor: str) -> str:
    """Return the name of the output that holds the gradient of an inner tensor that was asked for."""
    return f"{GRADIENT}/of/{tensor}"


def differentiate(
    model: onnx.ModelProto,
    *,
    weights: Weights = NO_WEIGHTS,
    rules: Mapping[str, Rule] | None = None,
    node_rules: Mapping[str, Rule] | None = None,
    check: Callable[[Tape], None] | None = None,
    tensors: Iterable[str] = (),
    device: Device = "cpu",
) -> onnx.ModelProto:
    """Write the graph of scores and input gradient.

    Parameters
    ----------
    model
        One input of images, whose sizes are fixed but for the batch, and one output of scores.  Half precision becomes
        single precision.
    weights
        Those that are held apart from the model, and will be from the graph.
    rules
        Rules by operator that replace the exact ones: guided backpropagation is another rule for Relu.
    node_rules
        Rules by node name, which go before those by operator.
    check
        Called with the tape when the images are reached: it may refuse a model for which the rules mean nothing.
    tensors
        Inner tensors whose values, and gradients `gradient_of`, are outputs in place of `GRADIENT`; what only this one
        needs is left out.
    device
        What the graph is to be fast on.

    Returns
    -------
    onnx.ModelProto
        With the further input `WEIGHTS` and, unless `tensors` are asked for, the output `GRADIENT`: d Σ(weights ·
        scores) / d images.

    Raises
    ------
    UnsupportedModelError
        If an operator has no rule, or the path from images to scores is cut; the message names the node.
    """
    by_operator, by_node, tensors = {**RULES, **(rules or {})}, dict(node_rules or {}), list(tensors)
    model = flat(model)
    widen(model)
    count_steps(model)
    model = without_control_flow(model, weights)
    model = converted(model)
    count_steps(model)
    own = frozenset(rules or {})
    graph = Graph(model, weights, RULES.keys() | own, own, by_node.keys())

    def add(scan: StepScan) -> None:
        by_node[scan.name] = scan_rule(scan, partial(differentiate, rules=rules, device=device))

    lower_by_all_passes(graph, add)
    nodes, constants, observed = graph.nodes, graph.constants, graph.observed
    source, output = inputs_of(model.graph)[0].name, model.graph.output[0].name
    nodes = merge_pads(nodes, constants, {output, *tensors})
    active = active_tensors(nodes, observed.tensors, source, frozenset(by_node))
    if output not in active:
        raise no_path(source, output)
    tape = Tape(observed.tensors, constants, active, opset_of(model), device, nodes)
    found = _sweep(tape, nodes, output, by_operator, by_node, tensors)
    if check is not None:
        check(tape)
    if source not in found:
        raise no_path(source, output)
    if not tensors:
        tape.nodes.append(helper.make_node("Identity", [found[source]], [GRADIENT], name=GRADIENT))
    for name in tensors:
        if name not in found or name not in tape.tensors:
            raise UnsupportedModelError(
                "This tensor has no gradient", got=repr(name), expected="one between the images and the scores"
            )
        tape.nodes.append(helper.make_node("Identity", [found[name]], [gradient_of(name)]))
    return _assembled(model, nodes, tape, source, output, tensors)


def _sweep(
    tape: Tape,
    nodes: Sequence[onnx.NodeProto],
    output: str,
    by_operator: Mapping[str, Rule],
    by_node: Mapping[str, Rule],
    asked: Sequence[str],
) -> dict[str, str]:
    """Walk from the scores to the images, and return the gradients of the input and of the tensors asked for."""
    waiting: dict[str, list[str]] = {output: [WEIGHTS]}
    found: dict[str, str] = {}

    def collect(name: str) -> str:
        parts = waiting.pop(name, None)
        if not parts:
            return ""
        whole = parts[0] if len(parts) == 1 else tape.op("Sum", *parts)
        if name in asked:
            found[name] = whole
        return whole

    for proto in reversed(nodes):
        node = Node(proto)
        gradients = [collect(name) for name in node.outputs]
        if not any(gradients) or not tape.active.intersection(read_by(proto)):
            continue
        rule = by_node.get(proto.name) or (None if node.domain else by_operator.get(node.op))
        if rule is None:
            raise refusal(node, "there is no gradient rule for this operator", OTHERWISE.get(node.domain, ""))
        if any(gradients[1:]) and node.op != "Split" and proto.name not in by_node:
            raise refusal(node, "its second output leads to the scores")
        for name, gradient in zip(node.inputs, _by_inputs(rule, tape, node, gradients), strict=True):
            if gradient == NOTHING:
                continue
            if gradient and name in tape.active:
                tape.gradients[gradient] = name
                waiting.setdefault(name, []).append(gradient)
            elif name in tape.active and proto.name not in by_node:
                raise refusal(node, f"its input {name!r} depends on the image, and the rule does not follow it")
        tape.passed.append(node)
    for name in list(waiting):
        found[name] = collect(name)
    return found


def _by_inputs(rule: Rule, tape: Tape, node: Node, gradients: Sequence[str]) -> list[str]:
    """Apply a rule, and return one gradient for each input."""
    try:
        found = list(rule(tape, node, gradients))
    except BlackBoxExplainError:
        raise
    except Exception as error:
        raise refusal(node, f"its rule fails: {type(error).__name__}: {error}") from error
    if len(found) > len(node.inputs):
        raise refusal(node, f"its rule returns {len(found)} gradients for {len(node.inputs)} inputs")
    return found + [""] * (len(node.inputs) - len(found))


def _assembled(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], tape: Tape, source: str, output: str, asked: Sequence[str]
) -> onnx.ModelProto:
    def described(name: str, like: str) -> onnx.ValueInfoProto:
        tensor: Tensor = tape.tensors[like]
        # A size that follows the batch without being it (windows, say) needs a name of its own.
        sizes = [
            size if size is not None else "N" if tensor.batched else f"{like}_{i}"
            for i, size in enumerate(tensor.shape)
        ]
        return helper.make_tensor_value_info(name, element_type(tensor.dtype), sizes)

    kept = [node for node in nodes if node.output[0] not in tape.replaced]
    everything = [*kept, *tape.nodes]
    if tape.replaced:
        everything = in_order(everything)
    used = {name for node in everything for name in read_by(node)} | {output}
    outputs = [described(output, output)]
    for name in asked:
        outputs += [described(name, name), described(gradient_of(name), name)]
    if not asked:
        outputs.append(described(GRADIENT, source))
    inputs = [described(source, source), described(WEIGHTS, output)]
    known = [
        described(name, like) for name, like in _told(kept, tape, {one.name for one in [*inputs, *outputs]}).items()
    ]
    graph = helper.make_graph(everything, "gradient", inputs, outputs, value_info=known)
    made = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    held = {one.name: one for one in model.graph.initializer if held_at(one)}
    written = {name for node in everything for name in node.output}
    for name, value in tape.constants.items():
        # One by one into their place: the helpers copy whatever they are given.
        if name in held and name in used:
            made.graph.initializer.append(held[name])
        elif name in used and name not in written:
            array = np.ascontiguousarray(value) if value.ndim else value
            made.graph.initializer.append(numpy_helper.from_array(array, name))
    if asked:
        prune(made.graph)
    return made


def _told(kept: Sequence[onnx.NodeProto], tape: Tape, besides: Set[str]) -> dict[str, str]:
    """Return which tensors to state the shapes of, with the tensor of the forward half that has the same.

    ONNX Runtime multiplies gradients by what they pass in the layout of its convolutions if it sees that the sizes are
    the same, and cannot find that out by itself behind a reshape.  A fixed batch it follows without help.
    """
    if any(node.op_type in SIZED_BY_VALUES for node in kept):
        return {}
    likes = {name: name for node in kept for name in node.output} | tape.gradients
    return {
        name: like
        for name, like in likes.items()
        if name not in besides
        and like in tape.tensors
        and tape.tensors[like].batched
        and tape.rank(like) == BLOCKED_RANK
        and tape.dtype(like) in FLOATS
    }
