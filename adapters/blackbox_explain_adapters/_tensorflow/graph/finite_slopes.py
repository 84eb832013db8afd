"""Gradients where there is no finite slope, as of √x at 0: a subgradient, 0, instead of NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from blackbox_explain_adapters._tensorflow.graph.operations import Operations, Step

__all__ = ["endless_slopes", "finite_slopes", "has_finite_slope", "note_on"]

FINITE = (
    "Sqrt", "Rsqrt", "Pow", "Log", "Log1p", "RealDiv", "Div", "Reciprocal", "Inv", "Atan2", "Asin", "Acos", "Acosh",
    "Atanh", "Xlogy", "ComplexAbs", "Angle",
)  # fmt: skip
"""Operations that have an infinite slope, or none, at some point of where they are defined."""

PREFIX = "BlackboxExplainFinite"


def finite_slopes() -> dict[str, str]:
    """Return the gradients to take instead of TensorFlow's, by operation, as ``gradient_override_map`` wants them."""
    for kind in FINITE:
        try:
            ops.gradient_registry.lookup(PREFIX + kind)
        except LookupError:
            tf.RegisterGradient(PREFIX + kind)(_finite(kind))
    return {kind: PREFIX + kind for kind in FINITE}


def has_finite_slope(node: Any) -> bool:
    """Tell whether a node of a graph has a gradient of this module."""
    return node.attr["_gradient_op_type"].s.decode().startswith(PREFIX)


def endless_slopes(operations: Operations) -> list[Step]:
    """Return the operations on the way from images to scores that may have no finite slope for some images."""
    return [operations.steps[name] for name in operations.touched if _may_be_endless(operations, name)]


def note_on(steps: list[Step]) -> tuple[str, ...]:
    """Return a sentence on the operations where a gradient may have to take 0, if any."""
    found = sorted({one.kind for one in steps})
    return (f"where there is no finite slope, as that of √x at 0, the gradient is 0: {', '.join(found)}",) * bool(found)


def _may_be_endless(operations: Operations, name: str) -> bool:
    step = operations.steps[name]
    if step.kind not in FINITE or not step.reads:
        return False
    if step.kind == "Pow":
        power = operations.value(step.reads[1])
        return power is None or bool(np.any((power < 1) & (power != 0)))
    critical = step.reads[1 if step.kind in ("RealDiv", "Div", "Xlogy") else 0]
    return critical in operations.touched and not _is_positive(operations, critical)


def _is_positive(operations: Operations, name: str, depth: int = 8) -> bool:
    """Tell whether numbers are kept away from 0, as by the epsilon of a normalisation or the sum of a softmax."""
    step = operations.steps[name]
    if step.kind in ("Exp", "Softplus"):
        return True
    if depth and step.reads and step.kind in ("Sum", "Mean", "Identity", "Reshape", "Cast", "Sqrt", "Rsqrt", "Max"):
        return _is_positive(operations, step.reads[0], depth - 1)
    if step.kind not in ("Add", "AddV2", "Maximum"):
        return False
    values = [operations.value(one) for one in step.reads]
    return any(one is not None and bool(np.all(one > 0)) for one in values)


def _finite(kind: str) -> Any:
    def gradient(operation: Any, upstream: Any) -> Any:
        slopes = ops.gradient_registry.lookup(kind)(operation, upstream)
        return [_or_zero(one) for one in slopes] if isinstance(slopes, (list, tuple)) else _or_zero(slopes)

    return gradient


def _or_zero(slope: Any) -> Any:
    if slope is None:
        return None
    parts = slope if not slope.dtype.is_complex else tf.math.real(slope) + tf.math.imag(slope)
    return tf.where(tf.math.is_finite(parts), slope, tf.zeros_like(slope))
