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


CODES = (
    schema.BuiltinOperator.FULLY_CONNECTED,
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.RNN,
    schema.BuiltinOperator.SOFTMAX,
    schema.BuiltinOperator.LOGISTIC,
    schema.BuiltinOperator.MUL,
    schema.BuiltinOperator.SUB,
    schema.BuiltinOperator.REDUCE_MAX,
    schema.BuiltinOperator.DIV,
)


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
    """Operator codes are places in `CODES`."""
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = list(tensors), inputs, outputs, list(operators)
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = []
    for builtin in CODES:
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


def recurrent(units: int, image: Sequence[int], *, batch: int = 1, free: bool = False) -> bytes:
    """Scores are s ← s / 2 + the sums of the pixels by their place modulo `units`, where s is kept between calls."""
    count = int(np.prod(image))
    tensors = [
        tensor("images", "float32", (batch, *image), free=free),
        tensor("shape", "int32", (2,)),
        tensor("flat", "float32", (batch, count), free=free),
        tensor("weights", "float32", (units, count)),
        tensor("recurrent", "float32", (units, units)),
        tensor("bias", "float32", (units,)),
        tensor("state", "float32", (batch, units)),
        tensor("scores", "float32", (batch, units), free=free),
    ]
    tensors[6].isVariable = True
    sums = (np.arange(count)[None] % units == np.arange(units)[:, None]).astype(np.float32)
    constants = {
        1: np.asarray([-1, count], np.int32),
        3: sums,
        4: np.eye(units, dtype=np.float32) / 2,
        5: np.zeros(units, np.float32),
    }
    step = operator(2, (2, 3, 4, 5, 6), (7,))
    step.builtinOptionsType, step.builtinOptions = schema.BuiltinOptions.RNNOptions, schema.RNNOptionsT()
    return file(tensors, [0], [7], [operator(1, (0, 1), (2,)), step], constants)


def ended(head: str | None, weights: np.ndarray, image: Sequence[int]) -> bytes:
    """Scores are products with weights (K, F), through nothing, "softmax" or "logistic"."""
    classes = len(weights)
    tensors = [
        tensor("images", "float32", (1, *image)),
        tensor("weights", "float32", weights.shape),
        tensor("bias", "float32", (classes,)),
        tensor("logits", "float32", (1, classes)),
        tensor("scores", "float32", (1, classes)),
    ]
    constants = {1: weights.astype(np.float32), 2: np.zeros(classes, np.float32)}
    product = operator(0, (0, 1, 2), (3,))
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    product.builtinOptions = schema.FullyConnectedOptionsT()
    if head is None:
        return file(tensors[:4], [0], [3], [product], constants)
    last = operator(3 if head == "softmax" else 4, (3,), (4,))
    if head == "softmax":
        last.builtinOptionsType, last.builtinOptions = schema.BuiltinOptions.SoftmaxOptions, schema.SoftmaxOptionsT()
        last.builtinOptions.beta = 1.0
    return file(tensors, [0], [4], [product, last], constants)


def rescaled(by: float, minus: float, weights: np.ndarray, image: Sequence[int]) -> bytes:
    """Scores are the products of weights (K, F) with ``by · pixels − minus``."""
    classes = len(weights)
    tensors = [
        tensor("images", "float32", (1, *image)),
        tensor("by", "float32", (1,)),
        tensor("scaled", "float32", (1, *image)),
        tensor("minus", "float32", (1,)),
        tensor("moved", "float32", (1, *image)),
        tensor("weights", "float32", weights.shape),
        tensor("bias", "float32", (classes,)),
        tensor("scores", "float32", (1, classes)),
    ]
    one = np.ones(1, np.float32)
    constants = {1: by * one, 3: minus * one, 5: weights.astype(np.float32), 6: np.zeros(classes, np.float32)}
    times, less = operator(5, (0, 1), (2,)), operator(6, (2, 3), (4,))
    times.builtinOptionsType, times.builtinOptions = schema.BuiltinOptions.MulOptions, schema.MulOptionsT()
    less.builtinOptionsType, less.builtinOptions = schema.BuiltinOptions.SubOptions, schema.SubOptionsT()
    product = operator(0, (4, 5, 6), (7,))
    product.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    product.builtinOptions = schema.FullyConnectedOptionsT()
    return file(tensors, [0], [7], [times, less, product], constants)
