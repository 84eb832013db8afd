"""Whether what was the same for a few numbers of images is the same for others, without running the network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from blackbox_explain_adapters._onnx.node import read_by
from blackbox_explain_adapters._onnx.prepare import READ_SHAPE_ALONE

__all__ = ["changing"]

OTHER_BATCHES = (3, 9, 67)


def changing(
    model: onnx.ModelProto,
    plain: Set[str],
    same: Set[str],
    batches: Sequence[int],
    runs: Sequence[Mapping[str, Any]],
    started: Callable[[onnx.ModelProto], onnxruntime.InferenceSession],
) -> set[str]:
    """Return which of some tensors would have other values for other batches.

    Whether there are more than six images, say, has the same answer for one, two and five.  What is made of sizes is
    computed again from the sizes that further batches have: they grow by the same for each image.

    Parameters
    ----------
    model
        Whose shapes follow the batch.
    plain
        Tensors that are made without pixels.
    same
        Those of them that had the same value in all runs.
    batches
        Numbers of images in the runs.
    runs
        Values of all that is plain.
    started
        Makes a session.
    """
    sizes = {
        name: [np.asarray(run[name]) for run in runs]
        for node in model.graph.node
        for name in node.output
        if node.op_type in READ_SHAPE_ALONE and name in plain and name not in same
    }
    steady = {name: _by_image(values, batches) for name, values in sizes.items()}
    found = _made_of(model, plain, {name for name, grown in steady.items() if grown is None}) & same
    asked = sorted((_made_of(model, plain, sizes.keys()) & same) - found)
    if not asked:
        return found
    part = _part(model, sizes.keys(), asked)
    session = started(part)
    for batch in OTHER_BATCHES:
        feeds: dict[str, Any] = {}
        for one in part.graph.input:
            first, grown = sizes[one.name][0], steady[one.name]
            feeds[one.name] = first + (0 if grown is None else grown * (batch - batches[0]))
        with contextlib.suppress(Exception):  # the model takes no such batch
            pairs = zip(asked, map(np.asarray, session.run(None, feeds)), strict=True)
            found |= {name for name, value in pairs if not np.array_equal(value, runs[0][name], equal_nan=True)}
    return found


def _by_image(values: Sequence[np.ndarray[Any, Any]], batches: Sequence[int]) -> np.ndarray[Any, Any] | None:
    """Return by how much sizes grow for each image, or None if not by the same."""
    if len({one.shape for one in values}) > 1:
        return None
    grown = (values[1] - values[0]) // (batches[1] - batches[0])
    straight = all(
        np.array_equal(one, values[0] + grown * (batch - batches[0]))
        for one, batch in zip(values, batches, strict=True)
    )
    return grown if straight else None


def _made_of(model: onnx.ModelProto, plain: Set[str], names: Set[str]) -> set[str]:
    """Return some tensors, and what is made of them without pixels."""
    found = set(names)
    for node in model.graph.node:
        made = [name for name in node.output if name]
        if found.intersection(read_by(node)) and set(made) <= plain:
            found.update(made)
    return found


def _part(model: onnx.ModelProto, given: Set[str], wanted: Sequence[str]) -> onnx.ModelProto:
    """Return the part of a model that makes some tensors of others, which are whole numbers."""
    needed = set(wanted)
    nodes: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output) and not given & set(node.output):
            nodes.append(node)
            needed.update(read_by(node))
    inputs = [helper.make_tensor_value_info(one, onnx.TensorProto.INT64, None) for one in sorted(given & needed)]
    graph = onnx.GraphProto(name="sizes", input=inputs, output=[onnx.ValueInfoProto(name=one) for one in wanted])
    graph.node.extend(nodes[::-1])
    graph.initializer.extend(one for one in model.graph.initializer if one.name in needed)
    return onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, graph=graph)
