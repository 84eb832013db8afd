"""Tiny TensorFlow Lite files, written tensor by tensor, whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "string": schema.TensorType.STRING,
}


def tensor(
    name: str, dtype: str, shape: Sequence[int], *, quantisation: tuple[float, int] | None = None, free: bool = False
) -> Any:
    made = schema.TensorT()
    made.name, made.type, made.shape, made.buffer, made.hasRank = name, TYPES[dtype], list(shape), 0, True
    made.shapeSignature = [-1, *shape[1:]] if free else None
    if quantisation is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [quantisation[0]], [quantisation[1]]
    return made


def operator(code: int, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, list(inputs), list(outputs)
    return made


def file(
    tensors: Sequence[Any],
    inputs: Sequence[int],
    outputs: Sequence[int],
    operators: Sequence[Any] = (),
    constants: dict[int, np.ndarray] | None = None,
) -> bytes:
    """Operator codes are 0 for FULLY_CONNECTED and 1 for RESHAPE."""
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = list(tensors), inputs, outputs, list(operators)
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = []
    for builtin in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.RESHAPE):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 1
        model.operatorCodes.append(code)
    for index, values in (constants or {}).items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), dtype=np.uint8)
        tensors[index].buffer = len(model.buffers)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def linear(
    weights: np.ndarray,
    image: Sequence[int],
    *,
    batch: int = 1,
    free: bool = False,
    flattens: bool = False,
    dtype: str = "float32",
    quantisation: tuple[float, int] = (1 / 255, 0),
    output: tuple[float, int] = (1.0, 0),
) -> bytes:
    """Scores are the products of an image and whole-numbered weights (K, F).

    `free` leaves the batch size open; `flattens` reshapes to one row, so that it only claims to be open.
    """
    quantised = dtype != "float32"
    steps = quantisation if quantised else None
    middle = dtype if quantised else "float32"
    tensors = [
        tensor("images", dtype, (batch, *image), free=free, quantisation=steps),
        tensor("weights", middle, weights.shape, quantisation=(1.0, 128 if dtype == "uint8" else 0)),
        tensor("bias", "int32" if quantised else "float32", (len(weights),), quantisation=(quantisation[0], 0)),
        tensor("scores", dtype, (batch, len(weights)), free=free, quantisation=output if quantised else None),
    ]
    stored = (weights + 128 if dtype == "uint8" else weights).astype(middle)
    constants = {1: stored, 2: np.zeros(len(weights), "int32" if quantised else "float32")}
    product = operator(0, (0, 1, 2), (3,))
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    product.builtinOptions = schema.FullyConnectedOptionsT()
    operators = [product]
    if flattens:
        tensors += [
            tensor("flat", dtype, (1, weights.shape[1]), quantisation=steps),
            tensor("shape", "int32", (2,)),
        ]
        constants[5] = np.asarray([1, weights.shape[1]], np.int32)
        product.inputs = [4, 1, 2]
        operators = [operator(1, (0, 5), (4,)), product]
    return file(tensors, [0], [3], operators, constants)
