"""The large weights of a model, held once beside its graph, so that neither copies of the graph nor sessions copy them.

In the graph there stands a tensor without content, whose place says under which key its array is held.  This is how
`onnx.model_container.ModelContainer` keeps models, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.model_container
import onnxruntime
from google.protobuf.message import EncodeError
from onnx import helper, numpy_helper

from blackbox_explain.errors import UnsupportedModelError

__all__ = [
    "LARGE",
    "MARK",
    "NO_WEIGHTS",
    "Place",
    "ReadModel",
    "Weights",
    "apart",
    "array_of",
    "held_at",
    "serialized",
    "size_of",
    "stamp_of",
    "stub",
    "together",
]

LARGE = 1 << 16
"""Bytes from which on a tensor is held beside the graph."""

MARK = "#"
"""What keys begin with: no file is meant."""

HOLDABLE = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
)
"""Types that NumPy and ONNX Runtime hold alike."""


@dataclass(frozen=True)
class Place:
    """Where in a file the content of a tensor lies.

    Attributes
    ----------
    folder, path
        The file is inside of the folder, links followed.
    first
        Byte.
    stamp
        Of the file when it was read.
    """

    folder: Path
    path: Path
    first: int
    stamp: tuple[int, ...]

    def is_unchanged(self) -> bool:
        """Say whether the file is still the one that was read."""
        try:
            return stamp_of(self.path) == self.stamp and self.path.is_relative_to(self.folder)
        except OSError:
            return False


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does."""
    told = path.stat()
    return told.st_size, told.st_mtime_ns, told.st_ino


class Weights(Mapping[str, np.ndarray[Any, Any]]):
    """Arrays by key, none of which may be changed.

    Parameters
    ----------
    arrays
        They are kept, not copied.
    places
        By the same keys, where they were read from.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], places: Mapping[str, Place] | None = None) -> None:
        self._arrays = {key: np.ascontiguousarray(one) for key, one in arrays.items()}
        self.places = {key: one for key, one in (places or {}).items() if key in self._arrays}
        self._values: dict[str, Any] = {}
        self._digests: dict[str, str] = {}

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_values": {}}

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(one.nbytes for one in self._arrays.values())

    def digest(self, model: onnx.ModelProto) -> str:
        """Return a digest of a model and of those of its weights that are held here."""
        digest = hashlib.sha256(model.SerializeToString(deterministic=True))
        for tensor in model.graph.initializer:
            key = held_at(tensor)
            if key:
                if key not in self._digests:
                    self._digests[key] = hashlib.sha256(self._arrays[key].data).hexdigest()
                digest.update(self._digests[key].encode())
        return digest.hexdigest()

    def message(self, model: onnx.ModelProto, options: onnxruntime.SessionOptions, shared: bool = False) -> bytes:
        """Return the message for a session of a model, which reads what is held here; who has the session keeps this.

        Parameters
        ----------
        model
            It stays.
        options
            Changed in place.
        shared
            Whether the session, which must be one for the CPU, computes with these very arrays, and packs none of them
            anew: that would be a copy.

        Raises
        ------
        UnsupportedModelError
            If the graph alone is too large for a message.
        """
        keys = {tensor.name: key for tensor in model.graph.initializer if (key := held_at(tensor))}
        for key in keys.values():
            if key not in self._values:
                self._values[key] = onnxruntime.OrtValue.ortvalue_from_numpy(self._arrays[key])
        if shared:
            options.add_session_config_entry("session.disable_prepacking", "1")
            for name, key in keys.items():
                options.add_initializer(name, self._values[key])
        if shared and keys and (folder := self._folder(keys.values())):
            # ONNX Runtime copies what is given to it, for a while at least; of a file it reads only what it folds.
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
            model = self._placed(model)
        elif keys:
            options.add_external_initializers(list(keys), [self._values[key] for key in keys.values()])
        return serialized(model)

    def _folder(self, keys: Iterable[str]) -> Path | None:
        """Return the folder that some weights were read from, if they are all there as they were."""
        places = [self.places.get(key) for key in keys]
        if None in places or len({one.folder for one in places if one}) != 1:
            return None
        files = {one.path: one for one in places if one}
        return next(iter(files.values())).folder if all(one.is_unchanged() for one in files.values()) else None

    def _placed(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Return a model that says where in files its weights lie."""
        made = onnx.ModelProto()
        made.CopyFrom(model)
        for tensor in made.graph.initializer:
            if key := held_at(tensor):
                place, length = self.places[key], self._arrays[key].nbytes
                where = {"location": place.path.relative_to(place.folder), "offset": place.first, "length": length}
                del tensor.external_data[:]
                for name, value in where.items():
                    tensor.external_data.add(key=name, value=str(value))
        return made


NO_WEIGHTS = Weights({})


def held_at(tensor: onnx.TensorProto) -> str:
    """Return the key under which the content of a tensor is held, empty if it holds it itself."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return ""
    where = next((one.value for one in tensor.external_data if one.key == "location"), "")
    return where if where.startswith(MARK) else ""


def array_of(tensor: onnx.TensorProto, weights: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return the content of a tensor, wherever it is held."""
    key = held_at(tensor)
    return weights[key] if key else numpy_helper.to_array(tensor)


def size_of(tensor: onnx.TensorProto) -> int:
    """Return how many bytes a tensor takes, 0 for types that are not held apart."""
    if tensor.data_type not in HOLDABLE:
        return 0
    return int(np.prod(tensor.dims, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def stub(tensor: onnx.TensorProto, key: str) -> onnx.TensorProto:
    """Return a tensor of the same name, type and shape without content."""
    made = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    made.data_location = onnx.TensorProto.EXTERNAL
    made.external_data.add(key="location", value=key)
    return made


def apart(
    model: onnx.ModelProto,
    held: Mapping[str, np.ndarray[Any, Any]] | None = None,
    places: Mapping[str, Place] | None = None,
) -> tuple[onnx.ModelProto, Weights]:
    """Return the graph of a model, and its large weights by the names of their tensors; the given model stays.

    Parameters
    ----------
    model
        As it was given.
    held
        Arrays by key, where some are held apart already.
    places
        Where they were read from, where that is known.

    Raises
    ------
    ValueError
        If a tensor has not as much content as its shape says.
    """
    light = onnx.ModelProto()
    _copy(model, light, "graph")
    _copy(model.graph, light.graph, "initializer")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for tensor in model.graph.initializer:
        key, name = held_at(tensor), f"{MARK}{tensor.name}"
        if name not in arrays and (key or (size_of(tensor) >= LARGE and tensor.data_location != tensor.EXTERNAL)):
            array = array_of(tensor, held or {})
            if array.shape != tuple(tensor.dims) or array.dtype != helper.tensor_dtype_to_np_dtype(tensor.data_type):
                raise ValueError(f"{tensor.name!r} has other content than its type and shape say")
            arrays[name] = array
            light.graph.initializer.append(stub(tensor, name))
        else:
            light.graph.initializer.append(tensor)
    return light, Weights(arrays, places)


class ReadModel(onnx.model_container.ModelContainer):
    """Graph and weights as one object, which `wrap` takes."""

    def __init__(self, model: onnx.ModelProto, weights: Weights) -> None:
        super().__init__()
        self.model_proto = model
        self.weights = weights
        self.set_large_initializers(dict(weights))


def together(model: onnx.ModelProto, weights: Mapping[str, np.ndarray[Any, Any]]) -> onnx.ModelProto:
    """Return a model that holds its weights itself; the given one stays."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        if key := held_at(tensor):
            del tensor.external_data[:]
            tensor.ClearField("data_location")
            tensor.raw_data = weights[key].tobytes()
    return whole


def serialized(model: onnx.ModelProto) -> bytes:
    """Return the message of a model.

    Raises
    ------
    UnsupportedModelError
        If it is too large for one.
    """
    try:
        return model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise UnsupportedModelError(
            "The graph is too large",
            got="more than 2 GB, which no ONNX message holds",
            hint="explain it from its scores alone, or wrap it in the framework that it comes from",
        ) from error


def _copy(source: Any, target: Any, without: str) -> None:
    """Copy all fields of a message but one."""
    for field, value in source.ListFields():
        if field.name == without:
            continue
        if field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED:
            getattr(target, field.name).extend(value)
        elif field.message_type is not None:
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)
