"""Values as JSON knows them, for records of what was set: a setting may be anything, such as a model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["fields_of", "json_value"]

LONGEST = 200
"""Characters that are told of what JSON does not know."""


def json_value(value: Any) -> Any:
    """Return a value as JSON knows it: of arrays the shape, of objects that it does not know how they print."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): json_value(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [json_value(one) for one in value]
    if hasattr(value, "shape"):
        return f"array {tuple(value.shape)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fields_of(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    # Where it lies in memory is not what it is.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:LONGEST]


def fields_of(settings: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that it is made from, as JSON knows them; nothing of what is no dataclass."""
    if not dataclasses.is_dataclass(settings) or isinstance(settings, type):
        return {}
    return {one.name: json_value(getattr(settings, one.name)) for one in dataclasses.fields(settings) if one.init}
