"""Join the scores of many places or steps to those of the whole, as the caller says."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.plain_form import inputs_of, opset_of
from blackbox_explain_adapters._onnx.reading.outputs import float_outputs, type_and_sizes

__all__ = ["with_reduction"]

OPERATORS = {"mean": "ReduceMean", "max": "ReduceMax"}

AXES_ARE_INPUTS = 18
"""The opset since which both take their axes as an input."""

JOINED = "blackbox_explain/joined"


def with_reduction(model: onnx.ModelProto, output: str | None, reduction: Reduction) -> tuple[onnx.ModelProto, str]:
    """Return a model that averages an output over some axes, or takes the largest; the given one stays.

    Parameters
    ----------
    model
        Of several scores for a class.
    output
        The tensor that holds them, None for the only output of floats.
    reduction
        How the scores are joined.

    Returns
    -------
    model
        With the reduced tensor.
    name
        Of that tensor.

    Raises
    ------
    UnsupportedModelError
        If there are several outputs and none was named.
    """
    if output is None:
        floats = float_outputs(model.graph.output)
        if len(floats) != 1:
            raise UnsupportedModelError(
                "The model has several outputs that may be reduced" if floats else "The model has no scores to reduce",
                got=", ".join(f"{one.name!r} ({type_and_sizes(one)})" for one in floats or model.graph.output),
                hint="pass output='name' (--output name)",
            )
        output = floats[0].name
    stated = next((one for one in model.graph.output if one.name == output), None)
    if stated is not None and stated.type.tensor_type.HasField("shape"):
        images = _sizes(inputs_of(model.graph)[0])[:1] or [0]
        reduction.axes_of(_sizes(stated), images[0] or 0)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    node = helper.make_node(OPERATORS[reduction.kind], [output], [JOINED], name=JOINED, keepdims=0)
    if opset_of(model) < AXES_ARE_INPUTS:
        node.attribute.append(helper.make_attribute("axes", reduction.axes))
    else:
        node.input.append(f"{JOINED}/axes")
        made.graph.initializer.append(numpy_helper.from_array(np.array(reduction.axes, np.int64), f"{JOINED}/axes"))
    made.graph.node.append(node)
    return made, JOINED


def _sizes(one: onnx.ValueInfoProto) -> list[Any]:
    """Return numbers, names of what is free, and 0 for what is not told."""
    dims = one.type.tensor_type.shape.dim
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or -1 - place for place, dim in enumerate(dims)
    ]
