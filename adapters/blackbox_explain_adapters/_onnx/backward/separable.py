"""Separable linear operators as one matrix for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from blackbox_explain_adapters._onnx.graph.observation import session_options

__all__ = ["line_matrix"]


def line_matrix(
    operator: str,
    shape: tuple[int, ...],
    opset: int,
    inputs: Sequence[np.ndarray[Any, Any] | None] = (),
    **attributes: Any,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the matrix (old size, new size) of an operator along the last axis.

    ONNX Runtime itself is asked for it, on unit vectors, so that its every mode is met to the last rounding.

    Parameters
    ----------
    operator
        A linear one.
    shape
        Of the unit vectors: as many as the last axis is long, with ones between.
    opset
        Of the operator.
    inputs
        Further inputs; None for one that is left out.
    **attributes
        Of the operator.
    """
    names = [f"i{k}" if one is not None else "" for k, one in enumerate(inputs)]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(one, name) for one, name in zip(inputs, names, strict=True) if one is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads=1), providers=["CPUExecutionProvider"]
    )
    units = np.eye(shape[-1], dtype=np.float32).reshape(shape)
    return np.asarray(session.run(None, {"x": units})[0]).reshape(shape[-1], -1)
