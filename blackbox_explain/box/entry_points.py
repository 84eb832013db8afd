"""What this package and others registered: adapters, readers of files, named models, inspectors, methods, metrics."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_explain.box.info import require
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BackendMissingError, BlackBoxExplainError, InputError, install_hint

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
    "availability",
    "entry_points",
    "instance_by_name",
    "kind_by_name",
    "load",
    "named_models",
    "settings_of",
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
    return _registered(group, _folders())


@lru_cache(maxsize=32)
def _registered(group: str, _: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    # Looked up late: it is a seventh of the time that importing the package takes.
    from importlib.metadata import entry_points as registered

    return tuple(registered(group=group))


def _folders() -> tuple[tuple[str, int], ...]:
    """Return where packages are looked for, and when each folder changed last, as it does if one is installed."""
    found: list[tuple[str, int]] = []
    for folder in sys.path:
        with contextlib.suppress(OSError, TypeError, ValueError):  # others put what they like into it
            found.append((folder, Path(folder).stat().st_mtime_ns))
    return tuple(found)


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
            hint=install_hint(EXTRAS.get(missing, missing)),
        ) from error


def availability(group: str, word: str, box: BlackBox) -> dict[str, str | None]:
    """Return every name of a group to None where a box has what it needs, or to the reason why not.

    Parameters
    ----------
    group
        Of entry points; each loads a class with ``needs``, and maybe ``check_box(box)``, a class method that raises
        what else speaks against a box; it may look at its layers, for which some boxes run the model once.
    word
        What they are, such as ``"method"``.
    box
        From `wrap`.
    """
    found: dict[str, str | None] = {}
    for point in sorted(entry_points(group), key=lambda one: one.name):
        try:
            kind = load(point)
            check = getattr(kind, "check_box", None)
            needed = require(box, kind.needs, f"the {word} {point.name!r}")
            if check is not None:
                check(needed)
            found[point.name] = None
        except BlackBoxExplainError as error:
            found[point.name] = str(error)
        except Exception as error:
            warnings.warn(f"the {word} {point.value!r} is broken: {error}", RuntimeWarning, stacklevel=3)
            found[point.name] = f"it cannot be loaded: {error}"
    return found


def instance_by_name(group: str, word: str, protocol: type[Any], chosen: Any, settings: dict[str, Any]) -> Any:
    """Return what was given, or make the one of that name with its settings.

    Parameters
    ----------
    group, word
        As in `availability`.
    protocol
        What it has to be.
    chosen
        It, or its name.
    settings
        Fields of it, beside a name.

    Raises
    ------
    InputError
        If there is no such name or setting, or a value is out of range.
    """
    if not isinstance(chosen, str):
        if isinstance(chosen, type) or not isinstance(chosen, protocol):
            members = [one for one in dir(protocol) if not one.startswith("_")] + list(protocol.__annotations__)
            expected = f"a name, or an object with {', '.join(sorted(members))}"
            raise InputError(f"This is no {word}", got=f"{word}={chosen!r}"[:80], expected=expected)
        if settings:
            got, hint = f"{', '.join(settings)} beside a {word}", f"set them in {type(chosen).__name__}(...)"
            raise InputError(f"A {word} that is given brings its own settings", got=got, hint=hint)
        return chosen
    kind = kind_by_name(group, word, chosen)
    names = list(settings_of(kind))
    unknown = [name for name in settings if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, 3)
        hint = f"did you mean {' or '.join(f'{one}=' for one in near)}?" if near else ""
        expected = f"some of {', '.join(sorted(names))}" if names else "none: it has no settings"
        raise InputError(
            f"The {word} {kind.name!r} has no such setting", got=", ".join(unknown), expected=expected, hint=hint
        )
    try:
        return kind(**settings)
    except TypeError as error:
        got = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise InputError(f"A setting of the {word} {kind.name!r} has another type", got=got, hint=str(error)) from error


def kind_by_name(group: str, word: str, name: str) -> Any:
    """Return the class that was registered by a name.

    Parameters
    ----------
    group, word
        As in `availability`.
    name
        Of an entry point.

    Raises
    ------
    InputError
        If there is no such name.
    """
    points = {one.name: one for one in entry_points(group)}
    if name not in points:
        near = difflib.get_close_matches(name.lower().replace("_", "-"), points, 3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        expected = ", ".join(map(repr, sorted(points)))
        raise InputError(f"There is no such {word}", got=f"{word}={name!r}", expected=expected, hint=hint)
    return load(points[name])


def settings_of(kind: Any) -> dict[str, Any]:
    """Return the settings that a class takes by name, with their types as they are written."""
    if not dataclasses.is_dataclass(kind):
        return {}
    return {one.name: one.type for one in dataclasses.fields(kind) if one.init}
