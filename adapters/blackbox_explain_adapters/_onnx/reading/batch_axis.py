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

__all__ = ["with_batch_axis_kept"]

KEPT = "a squeeze that names no axes is taken to keep that of the batch"

IMAGES = 7
"""Of a batch: its axis is then none of size 1, and hardly another of that size."""

AXES_ARE_AN_INPUT = 13
"""Version of the operators since which the axes of a squeeze are an input."""


def with_batch_axis_kept(
    model: onnx.ModelProto, signature: Signature, spec: InputSpec
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return a model whose squeezes name the axes that they take out of a batch of several images.

    ``x.squeeze()`` in PyTorch is exported so: a batch of one image loses its first axis, and larger ones do not.

    Parameters
    ----------
    model
        Of one input; it stays.
    signature, spec
        Of the model.

    Returns
    -------
    model
        The given one where it takes no free batch, there is no such squeeze, or shapes cannot be told without a run.
    notes
        What was assumed.
    """
    bare = [place for place, node in enumerate(model.graph.node) if _is_bare(node)]
    if not bare or signature.batch is not None or signature.reshaped:
        return model, ()
    channels, *places = spec.shape
    image = (*places, channels) if signature.layout == "channels_last" else spec.shape
    shapes = _shapes(model, signature.source, (IMAGES, *image))
    if any(model.graph.node[place].input[0] not in shapes for place in bare):
        return model, ()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for place in bare:
        node = made.graph.node[place]
        _name(made, node, [axis for axis, size in enumerate(shapes[node.input[0]]) if size == 1])
    batched = any(IMAGES in shapes[model.graph.node[place].input[0]][:1] for place in bare)
    return made, (KEPT,) if batched else ()


def _name(model: onnx.ModelProto, node: onnx.NodeProto, axes: list[int]) -> None:
    """Name the axes that a squeeze takes out."""
    del node.input[1:]
    if not axes:
        # Of a squeeze no axes are all of size 1, and so is that of a batch of one image.
        node.op_type = "Identity"
    elif opset_of(model) >= AXES_ARE_AN_INPUT:
        name = f"blackbox_explain/axes_of/{node.output[0]}"
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(axes, np.int64), name))
        node.input.append(name)
    else:
        node.attribute.append(helper.make_attribute("axes", axes))


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
