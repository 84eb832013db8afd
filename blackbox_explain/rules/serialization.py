"""Rules and relations are saved as JSON, by their names and fields."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.errors import InputError

__all__ = ["Saved", "from_dict"]


PACKAGE = __name__.partition(".")[0]


class Saved:
    """A frozen dataclass that is saved by its name and fields.

    A class of one's own may be called like another of one's own, of which the later counts, as when a notebook's cell
    is run again.

    Raises
    ------
    InputError
        When a class is defined that has the name of one of this package's: what was saved by that name could no longer
        be told from it.
    """

    kinds: ClassVar[dict[str, type[Any]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        known = Saved.kinds.get(cls.__name__)
        # A class that is made twice, as a reload or slots=True does, has the same place.
        if known is not None and known.__module__.partition(".")[0] == PACKAGE and _place(known) != _place(cls):
            raise InputError(
                "A rule or relation is saved by the name of its class, and this one is taken",
                got=f"class {cls.__name__} in {cls.__module__}",
                expected=f"another name than that of {known.__module__}.{known.__qualname__}",
            )
        Saved.kinds[cls.__name__] = cls

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` makes the same of, for JSON."""
        # Every subclass is a dataclass, which a type checker cannot know of this one.
        fields = {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"kind": type(self).__name__, **fields}


def from_dict(saved: dict[str, Any]) -> Any:
    """Return the rule (or relation) that `to_dict` described.

    Raises
    ------
    InputError
        If it describes none.
    """
    try:
        kind = Saved.kinds[saved["kind"]]
        return kind(**{name: _restored(_renamed(name, value)) for name, value in saved.items() if name != "kind"})
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError("This describes no rule", got=f"{str(saved)[:80]}: {error}") from error


def _renamed(name: str, value: Any) -> Any:
    """Return what a perturbation is called now: the mean colour was ``"mean"``."""
    if name not in ("by", "ways", "fill"):
        return value
    return (
        ["constant" if one == "mean" else one for one in value]
        if isinstance(value, list)
        else ("constant" if value == "mean" else value)
    )


def _place(kind: type[Any]) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _plain(value: Any) -> Any:
    if isinstance(value, Saved):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return from_dict(value)
    return tuple(_restored(one) for one in value) if isinstance(value, list) else value
