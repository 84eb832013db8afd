"""Run a model with every tensor exposed: shapes, types, and what does not depend on the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from blackbox_explain.errors import ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.node import FLOATS, Tensor, element_type, read_by
from blackbox_explain_adapters._onnx.prepare import inputs_of

__all__ = ["Observed", "fold", "observe", "session_options"]

LARGEST_CONSTANT = 1 << 24
"""Elements; nothing larger is folded, since it would only swell the file."""

BATCHES = (1, 2, 5)
"""What is the same for all of them is taken to be the same for every batch."""


@dataclass(frozen=True)
class Observed:
    """What a run showed.

    Attributes
    ----------
    tensors
        Shape and type of every tensor, a size None where it follows the batch.
    values
        Tensors with the same value in all runs.
    """

    tensors: dict[str, Tensor]
    values: dict[str, np.ndarray[Any, Any]]


def session_options(threads: int | None = None, optimise: bool = True) -> onnxruntime.SessionOptions:
    """Return options of a session that keeps quiet."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def observe(model: onnx.ModelProto) -> Observed:
    """Run the forward half once, or for several batches if it is dynamic, on noise between 0 and 1.

    Raises
    ------
    UnsupportedModelError
        If the input has a size that is neither fixed nor the batch.
    ModelError
        If ONNX Runtime cannot run the model.
    """
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    source = inputs_of(exposed.graph)[0]
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in source.type.tensor_type.shape.dim]
    if None in sizes[1:]:
        raise UnsupportedModelError(
            "The shape of one image is not fixed",
            got=f"{source.name}: {sizes}",
            hint="wrap(model, shape=(3, 224, 224))",
        )
    names = [name for node in exposed.graph.node for name in node.output if name]
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    dtype = helper.tensor_dtype_to_np_dtype(source.type.tensor_type.elem_type)
    try:
        session = onnxruntime.InferenceSession(
            exposed.SerializeToString(), session_options(optimise=False), providers=["CPUExecutionProvider"]
        )
        runs: list[dict[str, Any]] = []
        for batch in BATCHES if not sizes[0] else (sizes[0],):
            noise = np.random.default_rng(batch).random((batch, *(size or 1 for size in sizes[1:])))
            image = noise.astype(dtype)
            runs.append({source.name: image, **dict(zip(names, session.run(None, {source.name: image}), strict=True))})
    except Exception as error:
        raise ModelError("ONNX Runtime cannot run the model", got=str(error).strip().splitlines()[0]) from error
    first = runs[0]
    tensors: dict[str, Tensor] = {}
    values: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in first.items():
        seen = [run[name] for run in runs]
        if not all(isinstance(one, np.ndarray) and one.ndim == value.ndim for one in seen):
            continue
        shape = tuple(
            sizes_of[0] if len(set(sizes_of)) == 1 else None
            for sizes_of in zip(*(one.shape for one in seen), strict=True)
        )
        if sizes[0] and name == source.name:
            shape = value.shape
        batched = shape[:1] == (None,) and None not in shape[1:] and tuple(len(one) for one in seen) == BATCHES
        has_nan = value.dtype in FLOATS and any(bool(np.isnan(one).any()) for one in seen)
        tensors[name] = Tensor(shape, value.dtype, batched, has_nan)
        if None not in shape and value.size < LARGEST_CONSTANT and all(np.array_equal(value, one) for one in seen[1:]):
            values[name] = value
    return Observed(tensors, values)


def fold(model: onnx.ModelProto, observed: Observed) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray[Any, Any]]]:
    """Turn nodes that do not depend on the image, except by its shape, into constants.

    Returns
    -------
    nodes
        The others, in order.
    constants
        Initializers and folded values by name.
    """
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    depends = {inputs_of(model.graph)[0].name}
    nodes: list[onnx.NodeProto] = []
    for proto in model.graph.node:
        node = proto
        if node.op_type == "CastLike" and node.output[0] in observed.tensors:
            to = element_type(observed.tensors[node.output[0]].dtype)
            node = helper.make_node("Cast", [node.input[0]], list(node.output), name=node.name, to=to)
        reads_shape_alone = node.op_type in ("Shape", "Size")
        if (not reads_shape_alone and depends.intersection(read_by(node))) or node.op_type.startswith("Random"):
            depends.update(node.output)
        outputs = [name for name in node.output if name]
        if not depends.intersection(outputs) and all(name in observed.values for name in outputs):
            constants.update((name, observed.values[name]) for name in outputs)
        else:
            nodes.append(node)
    return nodes, constants
