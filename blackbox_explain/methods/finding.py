"""Methods by name: those of this package and of others, through entry points."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from typing import Any

from blackbox_explain.box.entry_points import entry_points, load
from blackbox_explain.box.info import require
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError
from blackbox_explain.methods.method import Method

__all__ = ["METHODS", "method_of", "methods_for"]

METHODS = "blackbox_explain.methods"
"""Entry points named by a method; each loads a class of `Method`."""


def methods_for(box: BlackBox) -> dict[str, str | None]:
    """Say which methods a box allows.

    Parameters
    ----------
    box
        From `wrap`.

    Returns
    -------
    dict
        Every name to None where the box allows the method, or to the reason why not.
    """
    found: dict[str, str | None] = {}
    for point in sorted(entry_points(METHODS), key=lambda one: one.name):
        try:
            require(box, load(point).needs, f"the method {point.name!r}")
            found[point.name] = None
        except BlackBoxExplainError as error:
            found[point.name] = str(error)
        except Exception as error:
            warnings.warn(f"the method {point.value!r} is broken: {error}", RuntimeWarning, stacklevel=2)
            found[point.name] = f"it cannot be loaded: {error}"
    return found


def method_of(method: str | Method, settings: dict[str, Any]) -> Method:
    """Return a method, given one or the name of one with its settings.

    Raises
    ------
    InputError
        If there is no such method or setting, or a value is out of range.
    """
    if not isinstance(method, str):
        if not isinstance(method, Method):
            expected = "a name, or an object with name, needs, budget and explain"
            raise InputError("This is no method", got=f"method={method!r}"[:80], expected=expected)
        if settings:
            got, hint = f"{', '.join(settings)} beside a method", f"set them in {type(method).__name__}(...)"
            raise InputError("A method that is given brings its own settings", got=got, hint=hint)
        return method
    points = {one.name: one for one in entry_points(METHODS)}
    if method not in points:
        near = difflib.get_close_matches(method, points, 3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise InputError("There is no such method", got=f"method={method!r}", expected=_listed(points), hint=hint)
    return _made(load(points[method]), settings)


def _made(kind: type[Any], settings: dict[str, Any]) -> Method:
    names = [one.name for one in dataclasses.fields(kind) if one.init] if dataclasses.is_dataclass(kind) else []
    unknown = [name for name in settings if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, 3)
        hint = f"did you mean {' or '.join(f'{one}=' for one in near)}?" if near else ""
        expected = f"some of {', '.join(sorted(names))}" if names else "none: it has no settings"
        raise InputError(
            f"The method {kind.name!r} has no such setting", got=", ".join(unknown), expected=expected, hint=hint
        )
    return kind(**settings)


def _listed(names: Any) -> str:
    return ", ".join(map(repr, sorted(names)))
