"""Models that read bytes: the same graph fed with floats, so that a gradient passes to where the bytes are made."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from blackbox_explain.errors import UnsupportedModelError

__all__ = ["flattened", "taking_floats"]

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
        if "_gradient_op_type" in node.attr:
            # It refers to the graph that this one is a copy of.
            del node.attr["_gradient_op_type"]
            notes = ["gradients that the model defines for itself are replaced by those of what it computes"]
    target = frozen.outputs[0].name

    def imported(images: tf.Tensor) -> Any:
        (found,) = tf.graph_util.import_graph_def(
            definition, input_map={f"{source}:0": images}, return_elements=[target], name=""
        )
        return found

    signature = [tf.TensorSpec(frozen.inputs[0].shape, tf.float32)]
    return tf.compat.v1.wrap_function(imported, signature), tuple(notes)
