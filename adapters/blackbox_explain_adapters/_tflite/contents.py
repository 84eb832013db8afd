"""What a TensorFlow Lite file tells beyond its interpreter: operators, variables, how it begins and how it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from blackbox_explain.box.activations import Ending
from blackbox_explain.box.adapter_tools.first_layers import FirstSteps
from blackbox_explain.box.adapter_tools.rescaling import Rescaling

schema: Any
try:
    from ai_edge_litert import schema_py_generated as schema
except ModuleNotFoundError:
    from tensorflow.lite.python import schema_py_generated as schema

__all__ = ["Contents"]

NAMES: dict[int, str] = {number: name for name, number in vars(schema.BuiltinOperator).items() if name[0] != "_"}

HEADS: dict[str, Ending] = {"SOFTMAX": "softmax", "LOG_SOFTMAX": "log_softmax", "LOGISTIC": "sigmoid"}

PASSING = (
    "RESHAPE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "QUANTIZE",
    "DEQUANTIZE",
    "CAST",
    "TRANSPOSE",
    "PAD",
    "PADV2",
    "MIRROR_PAD",
)

AVERAGING = ("MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "REDUCE_MAX")

SUMMING = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL")

SUMS = {"ADD": 1, "SUB": -1}

CHANNELS = 4
"""The most that an image has."""

NO_ACTIVATION = 0
"""The number that a file gives to an operator which applies none."""


class Contents:
    """A TensorFlow Lite file, looked at.

    Parameters
    ----------
    content
        Of the file; an interpreter took it already.
    """

    def __init__(self, content: bytes) -> None:
        self._model = schema.Model.GetRootAs(content, 0)
        self._graphs = [self._model.Subgraphs(place) for place in range(self._model.SubgraphsLength())]
        codes = [self._model.OperatorCodes(place) for place in range(self._model.OperatorCodesLength())]
        self._codes = [
            (one.CustomCode() or b"").decode() or NAMES[max(one.BuiltinCode(), one.DeprecatedBuiltinCode())]
            for one in codes
        ]

    def operators(self) -> Counter[str]:
        """Return how often each operator occurs."""
        return Counter(self._name(one) for graph in self._graphs for one in _operators(graph))

    def parameters(self) -> int:
        """Return how many numbers are stored in the file."""
        return sum(
            int(np.prod(one.ShapeAsNumpy(), dtype=np.int64)) if one.ShapeLength() else 1
            for graph in self._graphs
            for one in _tensors(graph)
            if self._model.Buffers(one.Buffer()).DataLength()
        )

    def has_variables(self) -> bool:
        """Tell whether tensors keep their values from one call to the next, as the state of recurrent layers does."""
        return any(one.IsVariable() for graph in self._graphs for one in _tensors(graph))

    def writes_resources(self) -> bool:
        """Tell whether anything but the initialisation writes to variables that `reset_all_variables` leaves alone."""
        first = [self._initialised_by(one) for graph in self._graphs for one in _operators(graph)]
        return any(
            self._name(one) == "ASSIGN_VARIABLE"
            for place, graph in enumerate(self._graphs)
            if place not in first
            for one in _operators(graph)
        )

    def ending(self, output: int) -> Ending | None:
        """Say what the last operation before an output is; None if nothing tells."""
        makers = {made: one for one in _operators(self._graphs[0]) for made in _listed(one.OutputsAsNumpy())}
        averaged = False
        while (maker := makers.get(output)) is not None:
            name = self._name(maker)
            if name in HEADS:
                return HEADS[name]
            if name in SUMMING:
                return "linear" if self._is_plain(maker) else None
            read = [one for one in _listed(maker.InputsAsNumpy()) if one >= 0 and self._constant(one) is None]
            added = name in SUMS and len(read) == 1 and self._is_plain(maker)
            if not read or not (name in PASSING or name in AVERAGING or added):
                return None
            averaged = averaged or added
            output = read[0]
            if averaged and (behind := makers.get(output)) is not None and self._name(behind) in HEADS:
                return None
        return None

    def first_steps(self, source: int) -> FirstSteps:
        """Return what the model does to its input first: products and sums with constants, or a convolution."""
        turned, found, operators = False, Rescaling(), list(_operators(self._graphs[0]))
        while True:
            readers = [one for one in operators if source in _listed(one.InputsAsNumpy())]
            if len(readers) != 1:
                break
            (reader,) = readers
            turned = turned or self._name(reader) == "REVERSE_V2"
            if self._name(reader) not in (*PASSING, "REVERSE_V2", "RESIZE_BILINEAR"):
                after = self._after(found, reader, source)
                if after is None:
                    return (
                        self._convolution(reader, source) if found == Rescaling() else FirstSteps(found, turned=turned)
                    )
                found = after
            source = int(reader.Outputs(0))
        return FirstSteps(None if found == Rescaling() else found, turned=turned)

    def _convolution(self, operator: Any, source: int) -> FirstSteps:
        read = _listed(operator.InputsAsNumpy())
        if self._name(operator) != "CONV_2D" or read[0] != source or len(read) < 3:
            return FirstSteps()
        filters, biases = self._constant(read[1]), self._constant(read[2])
        if filters is None or biases is None or not filters.size or not biases.size or filters.size % biases.size:
            return FirstSteps()
        return FirstSteps(None, filters.reshape(biases.size, -1), biases)

    def _after(self, before: Rescaling, operator: Any, source: int) -> Rescaling | None:
        name, read = self._name(operator), _listed(operator.InputsAsNumpy())
        if name not in ("MUL", "DIV", *SUMS) or len(read) != 2 or not self._is_plain(operator):
            return None
        first = read[0] == source
        other = self._constant(read[1 if first else 0])
        if other is None or not 0 < other.size <= CHANNELS or not (first or name in ("MUL", "ADD")):
            return None
        other = other.reshape(-1).astype(np.float64)
        if name in SUMS:
            return before.then(plus=SUMS[name] * other)
        return before.then(times=other if name == "MUL" else 1 / other) if np.all(other != 0) else None

    def _name(self, operator: Any) -> str:
        return self._codes[operator.OpcodeIndex()]

    def _constant(self, place: int) -> np.ndarray[Any, Any] | None:
        """Return a tensor that the file stores; its numbers are given where they are floats."""
        one = self._graphs[0].Tensors(place)
        buffer = self._model.Buffers(one.Buffer())
        if not buffer.DataLength():
            return None
        raw = buffer.DataAsNumpy()
        kind = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}.get(one.Type())
        return np.frombuffer(raw.tobytes(), kind) if kind is not None and raw.size <= 1 << 16 else np.empty(0)

    def _initialised_by(self, operator: Any) -> int:
        """Return the graph that an operator runs once; -1 if it is another operator."""
        if self._name(operator) != "CALL_ONCE":
            return -1
        return _options(schema.CallOnceOptions(), operator).InitSubgraphIndex()

    def _is_plain(self, operator: Any) -> bool:
        """Tell whether an operator applies no activation of its own."""
        kinds = {
            schema.BuiltinOptions.FullyConnectedOptions: schema.FullyConnectedOptions,
            schema.BuiltinOptions.Conv2DOptions: schema.Conv2DOptions,
            schema.BuiltinOptions.DepthwiseConv2DOptions: schema.DepthwiseConv2DOptions,
            schema.BuiltinOptions.AddOptions: schema.AddOptions,
            schema.BuiltinOptions.SubOptions: schema.SubOptions,
            schema.BuiltinOptions.MulOptions: schema.MulOptions,
            schema.BuiltinOptions.DivOptions: schema.DivOptions,
        }
        kind = kinds.get(operator.BuiltinOptionsType())
        return kind is None or _options(kind(), operator).FusedActivationFunction() == NO_ACTIVATION


def _options(empty: Any, operator: Any) -> Any:
    table = operator.BuiltinOptions()
    empty.Init(table.Bytes, table.Pos)
    return empty


def _operators(graph: Any) -> Iterator[Any]:
    return (graph.Operators(place) for place in range(graph.OperatorsLength()))


def _tensors(graph: Any) -> Iterator[Any]:
    return (graph.Tensors(place) for place in range(graph.TensorsLength()))


def _listed(places: Any) -> list[int]:
    # An empty vector comes back as the number 0.
    return [] if isinstance(places, int) else [int(one) for one in places]
