"""What this package and others registered: adapters, readers of files, named models, inspectors, methods, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blackbox_explain.errors import BackendMissingError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "ADAPTERS",
    "BYTES",
    "CALLABLE",
    "DEFAULT_MODEL",
    "FOLDERS",
    "FORMATS",
    "INSPECTORS",
    "MODELS",
    "SCHEMES",
    "entry_points",
    "load",
    "named_models",
]

ADAPTERS = "blackbox_explain.adapters"
"""Entry points named by a framework's import root; each loads an `Adapter`."""

FORMATS = "blackbox_explain.formats"
"""Entry points named by a file suffix without its dot, or by what a folder holds (`FOLDERS`); each loads a function
(path, **options) -> model."""

FOLDERS = {"saved_model.pb": "saved_model"}
"""Formats that are folders, by a file in them."""

SCHEMES = "blackbox_explain.schemes"
"""Entry points named by what stands before the first colon of an address; each loads an `Adapter` that takes it."""

BYTES = "onnx"
"""The format that a model given as bytes is in."""

MODELS = "blackbox_explain.models"
"""Entry points named by a model; each loads a function (**options) -> BlackBox, with one line of documentation."""

INSPECTORS = "blackbox_explain.inspectors"
"""Entry points named by a file suffix or one of `FOLDERS`; each loads a function (path, shape) -> Inspection."""

DEFAULT_MODEL = "efficientnet-lite0"

CALLABLE = "callable"

EXTRAS = {
    "onnxruntime": "onnx",
    "platformdirs": "onnx",
    "keras": "tensorflow",
    "h5py": "tensorflow",
    "ai_edge_litert": "tflite",
    "httpx": "http",
    "tenacity": "http",
}
"""What to install for a module that is missing, where the extra has another name."""


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Return what this package and others registered in a group: one of those above, methods or metrics."""
    # Looked up late: it is a seventh of the time that importing the package takes.
    from importlib.metadata import entry_points as registered

    return tuple(registered(group=group))


def named_models() -> dict[str, str]:
    """Return the names of the models that are embedded or installed, each with the package that brings it."""
    found = entry_points(MODELS)
    return {one.name: one.dist.name if one.dist else "" for one in found}


def load(point: EntryPoint) -> Any:
    """Load what was registered.

    Raises
    ------
    BackendMissingError
        If a package that it needs is not installed, with what to install.
    """
    try:
        return point.load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", point.module.partition(".")[0]):
            raise
        raise BackendMissingError(
            f"The model needs {missing}, which is not installed",
            hint=f"pip install 'blackbox-explain[{EXTRAS.get(missing, missing)}]'",
        ) from error
