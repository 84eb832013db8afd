"""A squeeze that names no axes: for one image it takes the axis of the batch along, unless it is told which it may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx.shape_inference
from onnx import helper, numpy_helper

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain_adapters._onnx.graph.plain_form import opset_of
from blackbox_explain_adapters._onnx.reading.signature import Signature

__all__ = ["BATCH_AXIS_KEPT", "with_batch_axis_kept"]

BATCH_AXIS_KEPT = "a squeeze that names no axes is taken to keep that of the batch"

IMAGES = 2
"""Of a batch; its axis is then none of size 1."""

AXES_ARE_AN_INPUT = 13
"""Version of the operators since which the axes of a squeeze are an input."""


def with_batch_axis_kept(model: onnx.ModelProto, signature: Signature, spec: InputSpec) -> onnx.ModelProto | None:
    """Return a model whose squeezes name the axes that they take out of a batch of several images.

    ``x.squeeze()`` in PyTorch is exported so: a batch of one image loses its first axis, and larger ones do not.

    Parameters
    ----------
    model
        Of one input with a free batch; it stays.
    signature, spec
        Of the model.

    Returns
    -------
    onnx.ModelProto or None
        None where there is no such squeeze, or the shapes cannot be told without running the model.
    """
    bare = [place for place, node in enumerate(model.graph.node) if _is_bare(node)]
    if not bare or signature.batch is not None or signature.reshaped:
        return None
    channels, *places = spec.shape
    image = (*places, channels) if signature.layout == "channels_last" else spec.shape
    shapes = _shapes(model, signature.source, (IMAGES, *image))
    made = onnx.ModelProto()
    made.CopyFrom(model)
    by_input = opset_of(model) >= AXES_ARE_AN_INPUT
    for place in bare:
        node = made.graph.node[place]
        sizes = shapes.get(node.input[0])
        if sizes is None:
            return None
        axes = [axis for axis, size in enumerate(sizes) if size == 1]
        if by_input:
            name = f"blackbox_explain/axes_of/{node.output[0]}"
            made.graph.initializer.append(numpy_helper.from_array(np.asarray(axes, np.int64), name))
            del node.input[1:]
            node.input.append(name)
        else:
            node.attribute.append(helper.make_attribute("axes", axes, attr_type=onnx.AttributeProto.INTS))
    return made


def _is_bare(node: onnx.NodeProto) -> bool:
    named = len(node.input) > 1 and node.input[1] != ""
    return node.op_type == "Squeeze" and not named and not any(one.name == "axes" for one in node.attribute)


def _shapes(model: onnx.ModelProto, source: str, batch: Sequence[int]) -> dict[str, list[int]]:
    """Return the shapes of tensors for a batch, where all of their sizes can be told."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    # What the file says of other tensors may be of another batch.
    del asked.graph.value_info[:]
    for one in asked.graph.output:
        one.type.tensor_type.ClearField("shape")
    for one in asked.graph.input:
        if one.name == source:
            kind = one.type.tensor_type.elem_type
            one.CopyFrom(helper.make_tensor_value_info(source, kind, list(batch)))
    found = onnx.shape_inference.infer_shapes(asked, data_prop=True)
    sizes = {one.name: one.type.tensor_type.shape.dim for one in found.graph.value_info}
    return {
        name: [size.dim_value for size in dims]
        for name, dims in sizes.items()
        if all(size.HasField("dim_value") for size in dims)
    }
