"""Why a model has no gradient: the operation at which the way from scores back to images ends."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.byte_inputs import flattened
from blackbox_explain_adapters._tensorflow.source import short

SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")
"""Operations that read shapes alone."""

__all__ = ["why_no_gradient"]


def why_no_gradient(function: Any, error: Exception) -> UnsupportedModelError:
    """Return the reason as an error to raise when a gradient is asked for.

    Parameters
    ----------
    function
        Concrete function from the model's input to its outputs.
    error
        That differentiating it raised.
    """
    if isinstance(error, UnsupportedModelError):
        return error
    found = _ends(function)
    if found:
        got, hint = found[0], "replace it, or explain from scores alone"
    else:
        got, hint = short(error), "differentiate the model by tf.GradientTape yourself"
    return UnsupportedModelError("No gradient of the scores reaches the images", got=got, hint=hint)


def _ends(function: Any) -> list[str]:
    """Return the operations on the way from images to scores that have no gradient, from the images on."""
    try:
        frozen = flattened(function)
    except Exception:  # a graph that cannot be written out is looked at as it is
        frozen = function
    graph: Any = frozen.graph
    ahead = _reached([frozen.inputs[0].op], lambda one: [user for out in one.outputs for user in out.consumers()])
    behind = _reached([one.op for one in frozen.outputs], lambda one: [tensor.op for tensor in one.inputs])
    return [
        reason
        for one in graph.get_operations()
        if one in ahead and one in behind and one.inputs and (reason := _reason(graph, one, ahead))
    ]


def _reached(start: list[Any], neighbours: Any) -> set[Any]:
    found, ahead = set(start), list(start)
    while ahead:
        new = [one for one in neighbours(ahead.pop()) if one not in found]
        found.update(new)
        ahead += new
    return found


def _reason(graph: Any, operation: Any, ahead: set[Any]) -> str:
    """Say why an operation has no gradient by what comes from the images; "" if it has one."""
    name = f"{operation.type} {operation.name!r}"
    read = [one for one in operation.inputs if one.op in ahead]
    floats = [one for one in read if one.dtype.is_floating]
    if not floats or operation.type in SHAPES:
        return ""
    if not any(one.dtype.is_floating for one in operation.outputs):
        return f"{name}, which gives whole numbers or truths"
    try:
        with graph.as_default():
            slopes = tf.gradients([one for one in operation.outputs if one.dtype.is_floating], floats)
    except LookupError:
        return f"{name}, for which TensorFlow has no gradient"
    except Exception as error:
        return f"{name}: {short(error)}"
    return "" if any(one is not None for one in slopes) else f"{name}, whose gradient is none by definition"
