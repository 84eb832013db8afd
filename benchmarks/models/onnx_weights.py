"""The weights of an ONNX file by their names, where the package onnx may be absent.

Reads what the message format of ONNX (onnx.proto3) needs for weights kept in the file as raw bytes, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["weights_of"]

GRAPH, INITIALIZER = 7, 5
"""Fields: of the model, its graph; of that, each weight."""

DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
"""Fields of a weight."""

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
"""How a field is written."""

TYPES = {1: np.float32, 7: np.int64, 10: np.float16}

Field = tuple[int, int, Any]


def weights_of(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays that are stored in an ONNX file, in its order; weights in half precision come in single.

    Raises
    ------
    ValueError
        If a weight is kept in another manner than as raw bytes of single or half precision or of 64-bit integers.
    """
    whole = memoryview(path.read_bytes())
    found: dict[str, np.ndarray[Any, Any]] = {}
    for number, _, graph in _fields(whole):
        if number == GRAPH:
            found |= dict(_weight(one) for place, _, one in _fields(graph) if place == INITIALIZER)
    return found


def _weight(message: memoryview) -> tuple[str, np.ndarray[Any, Any]]:
    dims: list[int] = []
    kind, name, raw = 0, "", memoryview(b"")
    for number, how, value in _fields(message):
        if number == DIMS:
            dims += [value] if how == VARINT else list(_varints(value))
        elif number == DATA_TYPE:
            kind = value
        elif number == NAME:
            name = bytes(value).decode()
        elif number == RAW_DATA:
            raw = value
    if kind not in TYPES or len(raw) != np.prod(dims, dtype=int) * np.dtype(TYPES[kind]).itemsize:
        raise ValueError(f"the weight {name!r} of type {kind} is not kept as raw bytes of {sorted(TYPES)}")
    array = np.frombuffer(raw, TYPES[kind]).reshape(dims)
    return name, array.astype(np.float32) if array.dtype == np.float16 else array


def _fields(message: memoryview) -> Iterator[Field]:
    """Return number, manner and value of each field of a message; those of fixed size are passed over."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, how = key >> 3, key & 7
        if how == VARINT:
            value, place = _varint(message, place)
            yield number, how, value
        elif how == BYTES:
            size, place = _varint(message, place)
            yield number, how, message[place : place + size]
            place += size
        elif how in (FIXED_64, FIXED_32):
            place += 8 if how == FIXED_64 else 4
        else:
            raise ValueError(f"this is no ONNX file: a field is written in the manner {how}")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the whole number that is written from a place on, and the place behind it."""
    value, shift = 0, 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _varints(message: memoryview) -> Iterator[int]:
    place = 0
    while place < len(message):
        value, place = _varint(message, place)
        yield value
