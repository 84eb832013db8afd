"""Methods by name: those of this package and of others, through entry points.

A name is an entry point: see ``pyproject.toml``, where those of this package are.  It counts once the package has been
installed again.
"""

from __future__ import annotations

from typing import Any, cast

from blackbox_explain.box.entry_points import availability, instance_by_name, kind_by_name, settings_of
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.methods.method import Method
from blackbox_explain.methods.with_region import OF_REGION, WithRegion

__all__ = ["METHODS", "kind_of", "method_of", "methods_for"]

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

    Raises
    ------
    InputError
        If this is no black box, such as a model that was not wrapped.
    """
    BoxInfo.of(box)
    return availability(METHODS, "method", box)


def kind_of(name: str) -> type[Any]:
    """Return the class of a method, by its name.

    Raises
    ------
    InputError
        If there is no such method.
    """
    return kind_by_name(METHODS, "method", name)


def method_of(method: str | Method, settings: dict[str, Any]) -> Method:
    """Return a method, given one or the name of one with its settings.

    Every method takes ``game=`` and ``perturbation=``, beside a name or an object: where they are no fields of it, they
    say how its region is looked for; what is a field of an object is set where it is made.

    Raises
    ------
    InputError
        If there is no such method or setting, or a value is out of range.
    """
    own = settings_of(kind_of(method) if isinstance(method, str) else type(method))
    of_region = {name: value for name, value in settings.items() if name in OF_REGION and name not in own}
    rest = {name: value for name, value in settings.items() if name not in of_region}
    made = instance_by_name(METHODS, "method", Method, method, rest)
    # Its name and needs are those of what it wraps, where methods have them of their class.
    return cast("Method", WithRegion(made, **of_region)) if of_region else made
