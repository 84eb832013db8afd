"""What a traced model does to its pixels before anything else: Rescaling, Normalization, products and sums."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.first_layers import FirstSteps, joined
from blackbox_explain.box.adapter_tools.rescaling import Rescaling
from blackbox_explain_adapters._tensorflow.graph.operations import Operations
from blackbox_explain_adapters._tensorflow.source import Reading

__all__ = ["first_steps", "rescaled"]

CUTTING = ("StridedSlice", "Split", "Unpack")

JOINING = ("Pack", "ConcatV2")

MOVING = frozenset(
    ("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "ExpandDims", "EnsureShape", "ReverseV2", "StridedSlice")
) | {
    "ResizeBilinear",
    "ResizeBicubic",
    "ResizeNearestNeighbor",
    "Split",
    "Unpack",
    "Pad",
    "PadV2",
    "MirrorPad",
    *JOINING,
}

TURNING = ("ReverseV2", "StridedSlice", "Split", "Unpack")
"""What may bring the channels into another order, so that constants behind it may be in that of blue first."""

SUMS = {"Add": 1, "AddV2": 1, "BiasAdd": 1, "Sub": -1}

CHANNELS = 4
"""The most that an image has: what has more numbers scales features apart."""


def first_steps(operations: Operations) -> FirstSteps:
    """Return what a model does to its pixels first: sums and products with constants, or a convolution."""
    name, found, turned = operations.source, Rescaling(), False
    while (reader := _reader(operations, name)) is not None:
        turned = turned or operations.steps[reader].kind in TURNING
        if operations.steps[reader].kind not in MOVING:
            after = _after(operations, name, reader, found)
            if after is None:
                return (
                    _convolution(operations, name, reader) if found == Rescaling() else FirstSteps(found, turned=turned)
                )
            found = after
        name = reader
    return FirstSteps(None if found == Rescaling() else found, turned=turned)


def rescaled(reading: Reading, described: Described, operations: Operations) -> Reading:
    """Return how a model reads its images once its own first steps are known, with what to tell the user.

    Where nothing was said of mean and std, pixels are brought to the range that those steps ask for.
    """
    spec, assumptions = joined(first_steps(operations), described, reading.spec, reading.assumptions)
    return dataclasses.replace(reading, spec=spec, assumptions=assumptions)


def _convolution(operations: Operations, name: str, reader: str) -> FirstSteps:
    step, after = operations.steps[reader], operations.readers_of(reader)
    if step.kind != "Conv2D" or step.reads[0] != name or len(after) != 1:
        return FirstSteps()
    adding = operations.steps[after[0]]
    if adding.kind not in ("BiasAdd", "Add", "AddV2") or adding.reads[0] != reader:
        return FirstSteps()
    filters, biases = operations.value(step.reads[1]), operations.value(adding.reads[1])
    if filters is None or biases is None or filters.shape[-1] != biases.size:
        return FirstSteps()
    return FirstSteps(None, filters.reshape(-1, biases.size).T, biases.reshape(-1))


def _reader(operations: Operations, name: str) -> str | None:
    """Return the only operation that reads another, or that puts together again what was cut into channels."""
    readers = operations.readers_of(name)
    if len(readers) > 1 and all(operations.steps[one].kind in CUTTING for one in readers):
        readers = list(dict.fromkeys(behind for one in readers for behind in operations.readers_of(one)))
        if len(readers) == 1 and operations.steps[readers[0]].kind not in JOINING:
            return None
    return readers[0] if len(readers) == 1 and readers[0] in operations.touched else None


def _after(operations: Operations, name: str, reader: str, before: Rescaling) -> Rescaling | None:
    step = operations.steps[reader]
    if step.kind == "FusedBatchNormV3":
        parts = [_per_channel(operations.value(one)) for one in step.reads[1:5]]
        if step.node.attr["is_training"].b or any(one is None for one in parts):
            return None
        scale, offset, mean, variance = (np.asarray(one) for one in parts)
        by = scale / np.sqrt(variance + step.node.attr["epsilon"].f)
        return before.then(times=by, plus=offset - by * mean)
    if len(step.reads) != 2 or step.reads[0] == step.reads[1]:
        return None
    first = step.reads[0] == name
    other = _per_channel(operations.value(step.reads[1 if first else 0]))
    if other is None:
        return None
    if step.kind == "Mul":
        return before.then(times=other)
    if step.kind == "RealDiv" and first and np.all(other != 0):
        return before.then(times=1 / other)
    if step.kind in SUMS and (first or step.kind != "Sub"):
        return before.then(plus=SUMS[step.kind] * other)
    return None


def _per_channel(value: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any] | None:
    return value.reshape(-1) if value is not None and 0 < value.size <= CHANNELS else None
