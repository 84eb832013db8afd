"""Read a model file without its large weights, which go straight from the file into the arrays that hold them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from blackbox_explain_adapters._onnx.graph.weights import LARGE, MARK, size_of

__all__ = ["read_apart", "read_array"]

GRAPH, INITIALIZER, RAW = 7, 5, 9
"""Numbers of fields: of the graph in a model, of a tensor in a graph, of its bytes in a tensor."""

BYTES = 2
"""The wire type of whatever has a length."""

LENGTHS = {1: 8, 5: 4}
"""Of the wire types of fixed length."""

Span = tuple[int, int]


def read_apart(path: Path) -> tuple[bytes, dict[str, Span]]:
    """Return the message in a file without the large weights of its main graph, and where those lie in it.

    Returns
    -------
    message
        Serialized; in the place of the content of a large tensor stands the key that it is to be held under.
    spans
        First byte and length by key.

    Raises
    ------
    ValueError
        If the file is no such message.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        spans: dict[str, Span] = {}
        parts: list[bytes] = []
        for number, start, first, end in _fields(content, 0, len(content)):
            if number == GRAPH:
                inner = b"".join(_graph(content, first, end, spans))
                parts.append(_header(GRAPH, len(inner)) + inner)
            else:
                parts.append(content[start:end])
        return b"".join(parts), spans


def read_array(file: FileIO, span: Span, tensor: onnx.TensorProto) -> np.ndarray[Any, Any]:
    """Read the content of a tensor.

    Raises
    ------
    ValueError
        If there is less of it, or more, than its shape says.
    """
    first, length = span
    array = np.empty(tuple(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type).newbyteorder("<"))
    if array.nbytes != length:
        raise ValueError(f"{tensor.name!r} has {length} bytes of content, and its shape says {array.nbytes}")
    place: Any = array.reshape(-1).view(np.uint8)  # the same bytes
    file.seek(first)
    done = 0
    while done < length:  # one call reads 2 GB at most
        count = file.readinto(place[done:])
        if not count:
            raise ValueError(f"{tensor.name!r} has less content than its shape says")
        done += count
    return array


def _graph(content: mmap.mmap, first: int, end: int, spans: dict[str, Span]) -> Iterator[bytes]:
    for number, start, inside, behind in _fields(content, first, end):
        short = _tensor(content, inside, behind, spans) if number == INITIALIZER and behind - inside >= LARGE else None
        yield content[start:behind] if short is None else _header(INITIALIZER, len(short)) + short


def _tensor(content: mmap.mmap, first: int, end: int, spans: dict[str, Span]) -> bytes | None:
    """Return a tensor without its bytes, or None where they are not to be held apart."""
    rest: list[bytes] = []
    spot: Span | None = None
    for number, start, inside, behind in _fields(content, first, end):
        if number == RAW:
            spot = (inside, behind - inside)
        elif behind - start >= LARGE:
            return None  # content of another form
        else:
            rest.append(content[start:behind])
    if spot is None or spot[1] < LARGE:
        return None
    tensor = onnx.TensorProto.FromString(b"".join(rest))
    key = f"{MARK}{tensor.name}"
    if key in spans or tensor.external_data or size_of(tensor) != spot[1]:
        return None
    spans[key] = spot
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=key)
    return tensor.SerializeToString()


def _fields(content: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk through the fields of a message: number, where it starts, where its content starts, and where it ends."""
    while place < end:
        start = place
        tag, place = _number(content, place, end)
        kind = tag & 7
        if kind == 0:
            first = place
            _, place = _number(content, place, end)
        elif kind == BYTES:
            length, first = _number(content, place, end)
            place = first + length
        elif kind in LENGTHS:
            first, place = place, place + LENGTHS[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if place > end:
            raise ValueError("a field that ends behind its message")
        yield tag >> 3, start, first, place


def _number(content: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """Read a number of seven bits in each byte."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without an end")


def _header(field: int, length: int) -> bytes:
    made = bytearray([field << 3 | BYTES])
    while length >= 0x80:
        made.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*made, length])
