"""Several explanations, by a name for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["named_explanations"]


def named_explanations(
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
) -> dict[str, Explanation]:
    """Return explanations by name: in a sequence, each has that of its method.

    Raises
    ------
    InputError
        If there is none, one is no explanation, or two of a sequence are by the same method.
    """
    named: list[tuple[str, Any]]
    if isinstance(explanations, Mapping):
        named = [(str(name), one) for name, one in explanations.items()]
    else:
        given = [explanations] if isinstance(explanations, Explanation) else explanations
        several: list[Any] = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        named = [(one.method if isinstance(one, Explanation) else "", one) for one in several]
    expected = "an Explanation, several of different methods, or a mapping with a name for each"
    for _, one in named:
        if not isinstance(one, Explanation):
            raise InputError("This is no explanation", got=repr(one)[:80], expected=expected)
    if not named:
        raise InputError("There are no explanations", expected=expected)
    names = [name for name, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        hint = f'a name for each: explanations={{"{twice}, one": ..., "{twice}, other": ...}}'
        raise InputError("Two explanations are by one method", got=repr(twice), hint=hint)
    return dict(named)
