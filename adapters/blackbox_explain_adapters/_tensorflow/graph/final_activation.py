"""What a traced model ends in: softmax, sigmoid, or weighted sums that nothing bounds."""

from __future__ import annotations

from blackbox_explain.box.activations import Ending
from blackbox_explain_adapters._tensorflow.graph.operations import Operations

__all__ = ["ending_of"]

HEADS: dict[str, Ending] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}

PASSING = frozenset(
    ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose", "EnsureShape", "CheckNumerics")
) | {"PreventGradient", "StopGradient", "Mean", "Max", "AvgPool", "MaxPool"}
"""What leaves probabilities probabilities, and sums sums."""

SUMMING = frozenset(("MatMul", "BatchMatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Einsum"))
"""Weighted sums."""

UNBOUNDED = frozenset(
    ("BiasAdd", "Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "Neg", "ConcatV2", "Pack", "StridedSlice", "GatherV2")
) | {"Slice", "Split", "SplitV", "Sum", "Relu", "LeakyRelu", "Elu", "Selu", "Softplus", "FusedBatchNormV3"}
"""What is as unbounded as all that it is made of."""

PICKING = ("ConcatV2", "Pack", "StridedSlice", "GatherV2", "Slice", "Split", "SplitV")
"""What keeps each number as it is, if not its company."""


def ending_of(operations: Operations) -> Ending | None:
    """Say what the last operation of a model is; None if nothing tells."""
    return _ending(operations, operations.target, {})


def _ending(operations: Operations, name: str, known: dict[str, Ending | None]) -> Ending | None:
    while operations.steps[name].kind in PASSING and (read := operations.from_images(name)):
        name = read[0]
    if name not in known:
        known[name] = None
        known[name] = _of_step(operations, name, known)
    return known[name]


def _of_step(operations: Operations, name: str, known: dict[str, Ending | None]) -> Ending | None:
    kind, read = operations.steps[name].kind, operations.from_images(name)
    if kind in HEADS:
        return HEADS[kind]
    if kind in SUMMING:
        # Probabilities may be mixed to others.
        return None if any(_ending(operations, one, known) in ("softmax", "sigmoid") for one in read) else "linear"
    if kind not in UNBOUNDED or (kind in ("Mul", "RealDiv") and len(read) > 1):
        return None
    if kind == "RealDiv" and operations.steps[name].reads[0] not in read:
        return None
    kinds = {_ending(operations, one, known) for one in read}
    if kinds == {"linear"}:
        return "linear"
    return "sigmoid" if kinds == {"sigmoid"} and kind in PICKING else None
