"""Which tensors that were the same for a few batches change with the batch, found without running the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from blackbox_explain_adapters._onnx.graph.node import read_by
from blackbox_explain_adapters._onnx.graph.pixel_dependence import READ_SHAPE_ALONE

__all__ = ["changing_with_batch"]

OTHER_BATCHES = (3, 4, 8, 16, 67, 257)

GUESSES = (0, 1, 3, 20, 90, 300)
"""For the same batches, what stands for sizes that do not grow by the same for each image."""


def changing_with_batch(
    model: onnx.ModelProto,
    plain: Set[str],
    same: Set[str],
    batches: Sequence[int],
    runs: Sequence[Mapping[str, Any]],
    started: Callable[[onnx.ModelProto], onnxruntime.InferenceSession],
) -> set[str]:
    """Return which of some tensors would have other values for other batches.

    Whether there are more than six images, say, has the same answer for one, two and five.  What is made of sizes is
    computed again from the sizes that further batches have, which nearly always grow by the same for each image.

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
        if node.op_type in READ_SHAPE_ALONE and name in plain
    }
    unsteady = {name for name, values in sizes.items() if len({one.shape for one in values}) > 1}
    found = _made_of(model, plain, unsteady) & same
    asked = sorted((_made_of(model, plain, sizes.keys() - same) & same) - found)
    grown = {name: _grown(values, batches) for name, values in sizes.items() if name not in unsteady}
    if not asked:
        return found
    together = _Part(model, sizes.keys(), asked, started)
    apart: list[_Part] = []
    for place in range(len(OTHER_BATCHES)):
        feeds = {name: made[place] for name, made in grown.items()}
        values = together.run(feeds)
        if values is None:  # one of them cannot be computed for such a batch, which says nothing about the others
            apart = apart or [_Part(model, sizes.keys(), [name], started) for name in asked]
            values = {name: value for one in apart for name, value in (one.run(feeds) or {}).items()}
        found |= {name for name, value in values.items() if not _equal(value, runs[0][name])}
    return found


def _equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _grown(values: Sequence[np.ndarray[Any, Any]], batches: Sequence[int]) -> list[np.ndarray[Any, Any]]:
    """Return the sizes for further batches: those that grow by the same for each image, and guesses for the others."""
    first = values[0]
    step = (values[1] - first) // (batches[1] - batches[0])
    steady = np.ones(first.shape, bool)
    for value, batch in zip(values, batches, strict=True):
        steady &= value == first + step * (batch - batches[0])
    return [
        np.asarray(np.where(steady, first + step * (batch - batches[0]), guess), np.int64)
        for batch, guess in zip(OTHER_BATCHES, GUESSES, strict=True)
    ]


class _Part:
    """The part of a model that makes some tensors of sizes."""

    def __init__(
        self,
        model: onnx.ModelProto,
        given: Set[str],
        wanted: Sequence[str],
        started: Callable[[onnx.ModelProto], onnxruntime.InferenceSession],
    ) -> None:
        self._wanted = wanted
        part = _part(model, given, wanted)
        self._reads = [one.name for one in part.graph.input]
        self._session = started(part)

    def run(self, sizes: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the tensors by name, or None if they cannot be computed."""
        try:
            found = self._session.run(None, {name: sizes[name] for name in self._reads})
        except Exception:
            return None
        return dict(zip(self._wanted, map(np.asarray, found), strict=True))


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
