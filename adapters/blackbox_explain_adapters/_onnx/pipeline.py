"""Put preprocessing before a graph and the activation behind it, so that one run goes from pixels to scores."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain_adapters._onnx.graph.node import element_type
from blackbox_explain_adapters._onnx.graph.plain_form import LEAST_IR
from blackbox_explain_adapters._onnx.graph.rewriting import Writer
from blackbox_explain_adapters._onnx.reading.signature import Signature

__all__ = ["IMAGES", "ROUNDING_NODE", "SCORES", "pixels_to_scores"]

IMAGES = "blackbox_explain/images"
"""Input: images in pixel space, (N, *shape) float32."""

SCORES = "blackbox_explain/scores"
"""Output: (N, K) float32, activated."""

LOGITS = "blackbox_explain/logits"
"""Output: (N, K) float32, before the last activation."""

ROUNDING_NODE = "blackbox_explain/to_bytes"
"""Where images become bytes; the gradient is taken behind it."""

APPLIED: dict[Activation, str] = {"softmax": "Softmax", "log_softmax": "LogSoftmax", "sigmoid": "Sigmoid"}
"""Operators by activation."""


def pixels_to_scores(
    model: onnx.ModelProto,
    signature: Signature,
    spec: InputSpec,
    activation: Activation,
    output_shape: tuple[int, ...] | None = None,
) -> onnx.ModelProto:
    """Return a model from images in pixel space to scores.

    Parameters
    ----------
    model
        As it was given; it stays.
    signature
        Of it.
    spec
        Shape and preprocessing.
    activation
        What to apply: ``"none"`` leaves the outputs as they are.  Any other is applied to the logits, in place of one
        that the graph ends in.
    output_shape
        Of the model's output, where it is known not to be (N, K).
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.ir_version = max(made.ir_version, LEAST_IR)
    graph = made.graph
    taken: set[str] = set()
    for index, node in enumerate(graph.node):  # rules for single nodes need their names to be unique
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{index}"
        taken.add(node.name)
    before, behind = (Writer(f"blackbox_explain/{place}") for place in ("before", "behind"))
    _preprocess(before, signature, spec)
    output = signature.output
    if activation != "none" and signature.head is not None:
        output = signature.head.logits
    at_logits = activation != "none" and signature.head is not None
    if at_logits or signature.without_axis or (output_shape is not None and len(output_shape) != 2):
        output = behind.op("Flatten", output, axis=0 if signature.batch == 1 else 1)
    # In single precision first: half precision would round small scores to 0.
    applied = APPLIED.get(activation, "")
    target = f"{SCORES}/before_{applied}" if applied else SCORES
    behind.cast(output, np.float32, target, target)
    if applied:
        behind.op(applied, target, to=SCORES, name=SCORES, **({} if applied == "Sigmoid" else {"axis": 1}))
    nodes = [*before.protos, *graph.node, *behind.protos]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.stored, *behind.stored])
    floats = element_type(np.dtype(np.float32))
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info(IMAGES, floats, [signature.batch or "N", *spec.shape]))
    graph.output.append(helper.make_tensor_value_info(SCORES, floats, [signature.batch or "N", None]))
    return made


def pixels_to_logits(whole: onnx.ModelProto, head: str) -> onnx.ModelProto | None:
    """Return a model from images in pixel space to what its last activation is applied to.

    Parameters
    ----------
    whole
        From `pixels_to_scores`.
    head
        Tensor before the activation that the model itself ends in; "" if it ends in none.

    Returns
    -------
    onnx.ModelProto
        None where there is no activation: the scores are the logits.
    """
    written = {name for node in whole.graph.node for name in node.output}
    applied = next((name for one in APPLIED.values() if (name := f"{SCORES}/before_{one}") in written), "")
    if not applied and not head:
        return None
    made = onnx.ModelProto()
    made.CopyFrom(whole)
    behind = Writer("blackbox_explain/logits")
    # Rows of numbers, whatever axes they have.
    behind.op("Flatten", applied or head, to=LOGITS, axis=1)
    made.graph.node.extend(behind.protos)
    made.graph.initializer.extend(behind.stored)
    made.graph.output[0].name = LOGITS
    return made


def _preprocess(write: Writer, signature: Signature, spec: InputSpec) -> None:
    """From pixel space to the model's input, by operators that every opset has."""
    rules, rank = spec.preprocessing, len(spec.shape)
    x = IMAGES
    column = (-1,) + (1,) * (rank - 1)
    if np.any(np.asarray(rules.mean) != 0):
        x = write.op("Sub", x, np.asarray(rules.mean, np.float32).reshape(column))
    if np.any(np.asarray(rules.std) != 1):
        x = write.op("Div", x, np.asarray(rules.std, np.float32).reshape(column))
    if rules.channels == "BGR":
        x = write.op("Gather", x, np.arange(spec.shape[0] - 1, -1, -1), axis=1)
    if rules.layout == "channels_last":
        x = write.op("Transpose", x, perm=[0, *range(2, rank + 1), 1])
    if signature.reshaped:
        x = write.op("Reshape", x, np.array([signature.batch or -1, *signature.reshaped]))
    if signature.dtype == np.uint8:
        # Casting cuts off, so that half is added first.
        x = write.op("Add", x, np.float32(0.5).reshape(1))
        x = write.op("Max", x, np.zeros(1, np.float32))
        x = write.op("Min", x, np.full(1, 255.5, np.float32))
        write.cast(x, signature.dtype, signature.source, ROUNDING_NODE)
    else:
        write.cast(x, signature.dtype, signature.source, "blackbox_explain/input")
