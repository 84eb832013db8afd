"""Options that several commands share: a dataclass of them is one parameter of a command."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from copy import copy
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

__all__ = ["with_groups"]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its groups.

    Parameters
    ----------
    command
        A function as Typer takes it, in which the type of some parameters is a dataclass.  Each field of such a class
        that is ``Annotated[type, typer.Option(...)]`` becomes an option, and the command gets an object of the class.
        A class variable ``panel`` is the heading of its options in ``--help``.

    Returns
    -------
    Callable
        For Typer; called with the options by name.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            own = _options(hints[name])
            groups[name] = hints[name], [one.name for one in own]
            parameters += own
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @functools.wraps(command)
    def grouped(**values: Any) -> None:
        for name, (group, names) in groups.items():
            values[name] = group(**{one: values.pop(one) for one in names})
        command(**values)

    # Typer reads both, and would look through to the command itself.
    del grouped.__wrapped__
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    grouped.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined] - a function may have one of its own
    grouped.__annotations__ = {one.name: one.annotation for one in parameters}
    return grouped


def _options(group: type) -> list[inspect.Parameter]:
    hints, panel = get_type_hints(group, include_extras=True), getattr(group, "panel", None)
    found: list[inspect.Parameter] = []
    for one in dataclasses.fields(group):
        if get_origin(hints[one.name]) is not Annotated:
            continue
        kind, option = get_args(hints[one.name])
        if isinstance(option, OptionInfo):
            option = copy(option)
            option.rich_help_panel = option.rich_help_panel or panel
            annotation: Any = Annotated[kind, option]
            found.append(
                inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=annotation)
            )
    return found
