"""A digest of what a traced model computes: its graph without names, and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["captured", "changes_variables", "digest"]


def digest(function: Any) -> str:
    """Return sha256 over a concrete function: operations, constants, and all that it captures.

    Names are left out: TensorFlow numbers functions anew at every trace, and Keras names variables anew at every load.
    The graph says which is which.
    """
    definition = function.graph.as_graph_def()
    bodies = {one.signature.name: one.node_def for one in definition.library.function}
    found = hashlib.sha256(_graph(definition.node, bodies, {}).encode())
    for _, array in captured(function):
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return f"sha256:{found.hexdigest()}"


def captured(function: Any) -> list[tuple[Any, np.ndarray[Any, Any]]]:
    """Return the variables that a concrete function reads, each with its value, and with None the constants."""
    variables = {id(one.handle): one for one in function.graph.variables}
    found: list[tuple[Any, np.ndarray[Any, Any]]] = []
    for outside, _ in function.graph.captures:
        variable = variables.get(id(outside))
        if variable is not None:
            found.append((variable, variable.numpy()))
        elif isinstance(outside, tf.Tensor) and hasattr(outside, "numpy") and outside.dtype != tf.resource:
            found.append((None, outside.numpy()))
    return found


def changes_variables(function: Any) -> bool:
    """Tell whether anything in a concrete function, or in what it calls, could write to a variable."""
    definition = function.graph.as_graph_def()
    nodes = [*definition.node, *(node for one in definition.library.function for node in one.node_def)]
    return any("Assign" in node.op or ("Scatter" in node.op and "Resource" in node.op) for node in nodes)


def _graph(nodes: Any, bodies: Mapping[str, Any], known: dict[str, str]) -> str:
    """Return the digest of a graph, in the order in which it was made."""
    places = {node.name: str(place) for place, node in enumerate(nodes)}
    found = hashlib.sha256()
    for node in nodes:
        reads = [places.get(part, "in") + rest for part, rest in (_split(name) for name in node.input)]
        found.update(f"{node.op}{reads}".encode())
        for name in sorted(node.attr):
            value = node.attr[name]
            if name.startswith("_"):
                continue
            if value.WhichOneof("value") == "func":
                inner = value.func.name
                if inner not in known and inner in bodies:
                    known[inner] = _graph(bodies[inner], bodies, known)
                found.update(f"{name}{known.get(inner, inner)}".encode())
            elif name not in ("container", "shared_name", "config_proto"):
                found.update(name.encode() + value.SerializeToString(deterministic=True))
    return found.hexdigest()


def _split(name: str) -> tuple[str, str]:
    """Return the node and the rest of an input, as graphs ("node:0") and functions ("node:output:0") write it."""
    node, colon, rest = name.lstrip("^").partition(":")
    return node, colon + rest
