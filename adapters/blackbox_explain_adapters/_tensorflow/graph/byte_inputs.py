"""Graphs written anew with other gradients: models that read bytes, fed with floats; and slopes that are finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.finite_slopes import finite_slopes, has_finite_slope

__all__ = ["flattened", "taking_floats", "with_finite_slopes"]

MOVES = ("Identity", "Transpose", "Reshape", "ReverseV2", "StridedSlice", "Slice", "Squeeze", "ExpandDims", "Pad")
"""Operations that only move numbers: they do with floats what they do with bytes."""

RESIZES = ("ResizeBilinear", "ResizeBicubic", "ResizeArea")
"""Operations that read any type and give floats."""


def flattened(function: Any) -> Any:
    """Return a concrete function with its variables frozen and all that it calls written out."""
    return convert_variables_to_constants_v2(function)


def taking_floats(function: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a function of floats that does what a concrete function does with the same numbers as bytes, and notes.

    Its weights are those of this moment: they do not follow the model.

    Raises
    ------
    UnsupportedModelError
        If bytes are computed with, before they become floats.
    """
    frozen = flattened(function)
    definition = frozen.graph.as_graph_def()
    source = frozen.inputs[0].op.name
    notes: list[str] = []
    bytes_at = {source}
    for node in definition.node:
        reads = [name.partition(":")[0] for name in node.input if not name.startswith("^")]
        if node.name == source:
            node.attr["dtype"].type = tf.float32.as_datatype_enum
        elif bytes_at.intersection(reads):
            moves = node.op in MOVES and reads[0] in bytes_at
            if not moves and node.op not in ("Cast", "Shape", *RESIZES):
                raise UnsupportedModelError(
                    "The model computes with bytes, through which there is no gradient",
                    got=f"{node.op} {node.name!r} on {frozen.inputs[0].dtype.name}",
                    hint="let the model cast its input to floats first",
                )
            node.attr["SrcT" if node.op == "Cast" else "T"].type = tf.float32.as_datatype_enum
            bytes_at.update([node.name] if moves else [])
    notes += _with_gradients(definition)
    return _imported(definition, frozen, tf.float32), tuple(dict.fromkeys(notes))


def with_finite_slopes(
    function: Any, then: Callable[[tf.Tensor], tf.Tensor] = tf.identity
) -> tuple[Any, tuple[str, ...]]:
    """Return the same function with the gradients of `finite_slopes`, and notes; `then` is what becomes of its outputs.

    Its weights are those of this moment: they do not follow the model.
    """
    frozen = flattened(function)
    definition = frozen.graph.as_graph_def()
    notes = _with_gradients(definition)
    return _imported(definition, frozen, frozen.inputs[0].dtype, then), tuple(notes)


def _with_gradients(definition: Any) -> list[str]:
    """Give the nodes of a graph finite slopes; take away what refers to the graph that it is a copy of."""
    slopes, notes = finite_slopes(), list[str]()
    for node in definition.node:
        if "_gradient_op_type" in node.attr and not has_finite_slope(node):
            del node.attr["_gradient_op_type"]
            notes = ["gradients that the model defines for itself are replaced by those of what it computes"]
        if node.op in slopes:
            node.attr["_gradient_op_type"].s = slopes[node.op].encode()
    return notes


def _imported(
    definition: Any, frozen: Any, dtype: tf.DType, then: Callable[[tf.Tensor], tf.Tensor] = tf.identity
) -> Any:
    source, target = frozen.inputs[0].name, frozen.outputs[0].name

    def imported(images: tf.Tensor) -> Any:
        (found,) = tf.graph_util.import_graph_def(
            definition, input_map={source: images}, return_elements=[target], name=""
        )
        return then(found)

    return tf.compat.v1.wrap_function(imported, [tf.TensorSpec(frozen.inputs[0].shape, dtype)])
