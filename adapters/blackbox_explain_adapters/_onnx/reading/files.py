"""Where an ONNX model comes from: file, bytes, message or session; nothing in it is executed here."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.external_data_helper
import onnx.model_container
from onnx import helper, numpy_helper

from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.node import nodes_of
from blackbox_explain_adapters._onnx.graph.plain_form import inputs_of
from blackbox_explain_adapters._onnx.graph.weights import (
    LARGE,
    MARK,
    Place,
    ReadModel,
    Weights,
    apart,
    array_of,
    held_at,
    size_of,
    stamp_of,
    stub,
)
from blackbox_explain_adapters._onnx.reading.parsing import Span, read_apart, read_array

__all__ = ["check_version", "check_weights", "external_tensors", "model_of", "read_model", "reading", "with_constants"]

OLDEST_OPSET = 6
"""The first whose Cast reads its type as all later ones do; ONNX Runtime promises to run 7 and newer."""

LARGEST = 2**31 - 2**24
"""Bytes of weights, so that a whole message stays below 2 GiB."""


@contextlib.contextmanager
def reading() -> Generator[None]:
    """Turn whatever a malformed model makes fail into an error that says so."""
    try:
        yield
    except (BlackBoxExplainError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedModelError(
            "The model is malformed",
            got=f"{type(error).__name__}: {error}",
            hint="onnx.checker.check_model says more; copy or export it again",
        ) from error


def read_model(source: Path | bytes) -> ReadModel:
    """Read a model from a file, with the weights that lie beside it, or from bytes.

    Returns
    -------
    ReadModel
        Graph and large weights apart: of these there is one copy, the one that sessions read.

    Raises
    ------
    UnsupportedModelError
        If the file is missing, empty, truncated or something else, or if its weights lie outside its folder or
        nowhere.
    """
    if isinstance(source, bytes):
        model = _parsed(source, "bytes")
        for tensor in external_tensors(model):
            _check_location(tensor, None, "bytes")
        return ReadModel(*apart(model))
    if not source.is_file():
        raise UnsupportedModelError("There is no such model file", got=str(source))
    spans: dict[str, Span] = {}
    try:
        content, spans = read_apart(source)
    except Exception:  # whatever it is: the parser of messages says what is wrong
        content = source.read_bytes()
    model = _parsed(content, str(source))
    inside = [one for one in model.graph.initializer if held_at(one) == f"{MARK}{one.name}" and held_at(one) in spans]
    known = set(map(id, inside))
    beside = [one for one in external_tensors(model) if id(one) not in known]
    for tensor in beside:
        _check_location(tensor, source.parent, str(source))
    try:
        reader = _Reader(source.parent.resolve())
        for tensor in inside:
            reader.read(tensor, source, spans[held_at(tensor)])
        own = {id(one) for one in model.graph.initializer}
        for tensor in beside:
            if id(tensor) in own and size_of(tensor) >= LARGE:
                reader.read_beside(tensor)
            else:
                onnx.external_data_helper.load_external_data_for_tensor(tensor, str(source.parent))
                tensor.data_location = onnx.TensorProto.DEFAULT
                del tensor.external_data[:]
    except Exception as error:
        raise UnsupportedModelError("The weights beside the model cannot be read", got=str(error)) from error
    return ReadModel(model, Weights(reader.arrays, reader.places))


class _Reader:
    """Reads large weights into arrays, and leaves the keys that they are held under in their tensors."""

    def __init__(self, folder: Path) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.places: dict[str, Place] = {}
        self._folder = folder

    def read(self, tensor: onnx.TensorProto, path: Path, span: Span) -> None:
        key, path = f"{MARK}{tensor.name}", path.resolve()
        stamp = stamp_of(path)
        with path.open("rb", buffering=0) as file:
            self.arrays[key] = read_array(file, span, tensor)
        self.places[key] = Place(self._folder, path, span[0], stamp)
        tensor.CopyFrom(stub(tensor, key))

    def read_beside(self, tensor: onnx.TensorProto) -> None:
        told = onnx.external_data_helper.ExternalDataInfo(tensor)
        path, first = self._folder / told.location, int(told.offset or 0)
        self.read(tensor, path, (first, path.stat().st_size - first if told.length is None else int(told.length)))


def model_of(model: Any) -> tuple[onnx.ModelProto, Weights]:
    """Return graph and large weights of a ``ModelProto``, ``ModelContainer`` or ``onnxruntime.InferenceSession``."""
    if isinstance(model, onnx.model_container.ModelContainer):
        _check_parts(model.model_proto, "a ModelContainer")
        for tensor in external_tensors(model.model_proto):
            if held_at(tensor) not in model.large_initializers:
                _check_location(tensor, None, "a ModelContainer")
        known = isinstance(model, ReadModel)
        return apart(model.model_proto, model.large_initializers, model.weights.places if known else None)
    if isinstance(model, onnx.ModelProto):
        _check_parts(model, "a ModelProto")
        for tensor in external_tensors(model):
            _check_location(tensor, None, "a ModelProto")
        return apart(model)
    stored = getattr(model, "_model_bytes", None)
    if stored:
        return model_of(read_model(bytes(stored)))
    path = getattr(model, "_model_path", None)
    if path:
        return model_of(read_model(Path(path)))
    raise UnsupportedModelError(
        "This is no ONNX classifier", got=f"a {type(model).__name__}", expected="a file, ModelProto or InferenceSession"
    )


def check_version(model: onnx.ModelProto) -> None:
    """Refuse operators of a version that nothing here is written for.

    Raises
    ------
    UnsupportedModelError
        If the opset is older than `OLDEST_OPSET`.
    """
    told = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    if told and max(told) < OLDEST_OPSET:
        raise UnsupportedModelError(
            "The operators of this model are too old",
            got=f"opset {max(told)}",
            expected=f"at least {OLDEST_OPSET}",
            hint="onnx.version_converter.convert_version(model, 18)",
        )


def check_weights(model: onnx.ModelProto, weights: Weights) -> None:
    """Refuse weights that are not numbers, or too many.

    Raises
    ------
    ModelError
        With the name of the first tensor that holds NaN.
    UnsupportedModelError
        If they take more than `LARGEST` bytes.
    """
    size = 0
    for tensor in model.graph.initializer:
        try:
            array = array_of(tensor, weights)
        except Exception as error:
            raise UnsupportedModelError(
                "The weights of the model cannot be read",
                got=f"{tensor.name!r}: {error}",
                hint="copy or export it again",
            ) from error
        size += array.nbytes
        if size > LARGEST:
            raise UnsupportedModelError(
                "The model is too large",
                got=f"weights of more than {LARGEST / 1e9:.1f} GB",
                expected="less, which is what one ONNX message holds",
                hint="wrap the model in the framework that it comes from",
            )
        if array.dtype.kind == "f" and array.size and np.isnan(array.min()):  # which is NaN if one of them is
            raise ModelError("The weights of the model hold NaN", got=repr(tensor.name), expected="numbers")


def _parsed(content: bytes, origin: str) -> onnx.ModelProto:
    if not content:
        raise UnsupportedModelError("The model file is empty", got=origin, expected="an ONNX model")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        raise UnsupportedModelError(
            "This is not an ONNX model, or it is truncated", got=origin, hint="copy or export it again"
        ) from error
    _check_parts(model, origin)
    return model


def _check_parts(model: onnx.ModelProto, origin: str) -> None:
    if model.graph.sparse_initializer:
        raise UnsupportedModelError("Sparse weights are not read", got=origin, hint="store them dense")
    if not model.graph.node or not model.graph.output or not model.opset_import:
        raise UnsupportedModelError("This is not an ONNX model", got=origin, expected="a graph with nodes and outputs")


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Walk through the tensors whose numbers lie in another file."""
    tensors = [*model.graph.initializer]
    nodes = [*nodes_of(model.graph), *(node for function in model.functions for node in function.node)]
    for attribute in (one for node in nodes for one in node.attribute):
        tensors += [attribute.t, *attribute.tensors]
        sparse = (attribute.sparse_tensor, *attribute.sparse_tensors)
        tensors += [part for one in sparse for part in (one.values, one.indices)]
        tensors += [one for body in (attribute.g, *attribute.graphs) for one in body.initializer]
    return (one for one in tensors if one.data_location == onnx.TensorProto.EXTERNAL)


def _check_location(tensor: onnx.TensorProto, folder: Path | None, origin: str) -> None:
    where = next((one.value for one in tensor.external_data if one.key == "location"), "")
    if folder is None:
        raise UnsupportedModelError(
            "The weights of this model lie in another file",
            got=f"{origin}, {tensor.name!r} in {where!r}",
            hint="give its path",
        )
    path = folder / where
    try:
        inside = bool(where) and not Path(where).is_absolute() and path.resolve().is_relative_to(folder.resolve())
        there = inside and path.is_file()
    except (OSError, ValueError):
        inside = there = False
    if not inside:
        raise UnsupportedModelError(
            "The model keeps weights outside its folder, which is not opened",
            got=f"{tensor.name!r} in {where!r}",
            expected="a file beside the model",
            hint="copy it there; links that lead elsewhere are not followed",
        )
    if not there:
        raise UnsupportedModelError("The weights beside the model are missing", got=str(path))


def with_constants(model: onnx.ModelProto, constants: Mapping[str, Any]) -> onnx.ModelProto:
    """Return a model some of whose inputs are constants; the given one stays.

    Parameters
    ----------
    model
        With more inputs than the images.
    constants
        Values by name of input; a number is repeated over the input's shape, whose free sizes are 1.

    Raises
    ------
    InputError
        If there is no such input, or the value does not fit it.
    """
    if not isinstance(constants, Mapping):
        raise InputError("Constants are given by the names of inputs", got=repr(constants), expected="{'name': value}")
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    inputs = {one.name: one for one in inputs_of(model.graph)}
    for name, value in constants.items():
        if name not in inputs:
            raise InputError("The model has no such input", got=repr(name), expected=" or ".join(map(repr, inputs)))
        told = inputs[name].type.tensor_type
        try:
            array = _exactly(value, told.elem_type)
            if told.HasField("shape"):
                # A size of 0 is one that the model leaves free.
                free = array.shape if array.ndim == len(told.shape.dim) else [1] * len(told.shape.dim)
                sizes = tuple(one.dim_value or size for one, size in zip(told.shape.dim, free, strict=True))
                array = _repeated(array, sizes)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise InputError(f"The constant for input {name!r} does not fit", got=str(error)) from error
        changed.graph.initializer.append(numpy_helper.from_array(np.array(array), name))
    kept = [one for one in changed.graph.input if one.name not in constants]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    return changed


def _repeated(array: np.ndarray[Any, Any], sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    try:
        return np.broadcast_to(array, sizes)
    except ValueError:
        raise ValueError(f"an array of shape {array.shape}, where the model reads {sizes} or one number") from None


def _exactly(value: Any, kind: int) -> np.ndarray[Any, Any]:
    """Return an array of an ONNX type; only rounding of floats may be lost."""
    given, dtype = np.asarray(value), np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{value!r} for {dtype}")
    with np.errstate(all="ignore"):
        array = given.astype(dtype)
    whole = dtype.kind in "biu"
    same = array == given if whole else np.isfinite(array.astype(np.float64)) == np.isfinite(given)
    if not np.all(same):
        raise ValueError(f"{value!r}, which {dtype} does not hold")
    return array
