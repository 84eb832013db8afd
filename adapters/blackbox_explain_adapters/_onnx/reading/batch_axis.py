"""A squeeze that names no axes: for one image it takes the axis of the batch along, unless it is told which it may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx.shape_inference
from onnx import helper, numpy_helper

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain_adapters._onnx.graph.plain_form import flat, opset_of
from blackbox_explain_adapters._onnx.reading.signature import Signature

__all__ = ["with_batch_axis_kept"]

KEPT = "a squeeze that names no axes is taken to keep that of the batch"

IMAGES = 7
"""Of a batch whose axis is none of size 1."""

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
        The given one where a batch of one image loses no axis, or shapes cannot be told without a run.  Squeezes within
        branches and loops stay as they are.
    notes
        What was assumed.
    """
    bare = [place for place, node in enumerate(model.graph.node) if _is_bare(node)]
    if not bare or signature.batch is not None or signature.reshaped:
        return model, ()
    channels, *places = spec.shape
    image = (*places, channels) if spec.preprocessing.layout == "channels_last" else spec.shape
    made = onnx.ModelProto()
    made.CopyFrom(model)
    many = _shapes(made, signature.source, (IMAGES, *image))
    kept = False
    while True:
        # What one squeeze keeps another may lose.
        alone = _shapes(made, signature.source, (1, *image))
        losing = [place for place in bare if _loses(made.graph.node[place].input[0], many, alone)]
        if not losing:
            return (made, (KEPT,)) if kept else (model, ())
        for place in losing:
            node = made.graph.node[place]
            _name(made, node, [axis for axis, size in enumerate(many[node.input[0]]) if size == 1])
        bare, kept = [place for place in bare if place not in losing], True


def _loses(name: str, many: dict[str, list[int]], alone: dict[str, list[int]]) -> bool:
    """Tell whether a tensor has more axes of size 1 for one image than for many."""
    several, single = many.get(name, []), alone.get(name, [])
    return len(several) == len(single) and several.count(1) < single.count(1)


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
    asked = flat(model)
    # What the file says of other tensors may be of another batch.
    del asked.graph.value_info[:]
    for one in asked.graph.output:
        one.type.tensor_type.ClearField("shape")
    for one in asked.graph.input:
        if one.name == source:
            kind = one.type.tensor_type.elem_type
            one.CopyFrom(helper.make_tensor_value_info(source, kind, list(batch)))
    try:
        found = onnx.shape_inference.infer_shapes(asked, data_prop=True)
    except Exception:  # whatever it cannot do is ONNX Runtime's to judge
        return {}
    sizes = {one.name: one.type.tensor_type.shape.dim for one in found.graph.value_info}
    return {source: list(batch)} | {
        name: [size.dim_value for size in dims]
        for name, dims in sizes.items()
        if all(size.HasField("dim_value") for size in dims)
    }
