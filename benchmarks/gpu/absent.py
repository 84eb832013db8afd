"""Packages that may be absent where a GPU is: found elsewhere, or named with what is skipped for want of them."""

from __future__ import annotations

import importlib
import sys

__all__ = ["WANTED", "missing", "take_array_api_compat"]

WANTED = {
    "array_api_compat": "everything but the bare models: it is what the package needs to be imported",
    "PIL": "objective and deletions of each mode: nothing reads the two sample photos",
    "onnx": "gradients of ONNX models: only their scores are measured",
    "onnxruntime": "ONNX Runtime",
    "pytest": "the tests marked gpu",
}
"""What is skipped without a package."""

COPIES = ("scipy._lib.array_api_compat", "sklearn.externals.array_api_compat")
"""Where others keep a copy of array_api_compat, which is one package of Python files."""


def take_array_api_compat() -> str | None:
    """Make array_api_compat importable from a copy that another package keeps; return whose, None if none is needed."""
    try:
        importlib.import_module("array_api_compat")
    except ModuleNotFoundError:
        for copy in COPIES:
            try:
                sys.modules["array_api_compat"] = importlib.import_module(copy)
            except ModuleNotFoundError:
                continue
            return copy
    return None


def missing() -> dict[str, str]:
    """Return the packages of `WANTED` that cannot be imported, with what is skipped without them."""
    found: dict[str, str] = {}
    for name, skipped in WANTED.items():
        try:
            importlib.import_module(name)
        except ImportError:
            found[name] = skipped
    return found
