"""What has settings and a name, such as methods and metrics: found by its name, made with its settings."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from typing import Any

from blackbox_explain.box.entry_points import entry_points, load
from blackbox_explain.box.info import require
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError

__all__ = ["availability", "instance_by_name"]


def availability(group: str, word: str, box: BlackBox) -> dict[str, str | None]:
    """Return every name of a group to None where a box has what it needs, or to the reason why not.

    Parameters
    ----------
    group
        Of entry points; each loads a class with ``needs``.
    word
        What they are, such as ``"method"``.
    box
        From `wrap`.
    """
    found: dict[str, str | None] = {}
    for point in sorted(entry_points(group), key=lambda one: one.name):
        try:
            require(box, load(point).needs, f"the {word} {point.name!r}")
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
        if not isinstance(chosen, protocol):
            members = [one for one in dir(protocol) if not one.startswith("_")] + list(protocol.__annotations__)
            expected = f"a name, or an object with {', '.join(sorted(members))}"
            raise InputError(f"This is no {word}", got=f"{word}={chosen!r}"[:80], expected=expected)
        if settings:
            got, hint = f"{', '.join(settings)} beside a {word}", f"set them in {type(chosen).__name__}(...)"
            raise InputError(f"A {word} that is given brings its own settings", got=got, hint=hint)
        return chosen
    points = {one.name: one for one in entry_points(group)}
    if chosen not in points:
        near = difflib.get_close_matches(chosen, points, 3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        expected = ", ".join(map(repr, sorted(points)))
        raise InputError(f"There is no such {word}", got=f"{word}={chosen!r}", expected=expected, hint=hint)
    kind: Any = load(points[chosen])
    names = _settings_of(kind)
    unknown = [name for name in settings if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, 3)
        hint = f"did you mean {' or '.join(f'{one}=' for one in near)}?" if near else ""
        expected = f"some of {', '.join(sorted(names))}" if names else "none: it has no settings"
        raise InputError(
            f"The {word} {kind.name!r} has no such setting", got=", ".join(unknown), expected=expected, hint=hint
        )
    return kind(**settings)


def _settings_of(kind: Any) -> list[str]:
    return [one.name for one in dataclasses.fields(kind) if one.init] if dataclasses.is_dataclass(kind) else []
