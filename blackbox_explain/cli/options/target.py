"""What is to be explained, as typed."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_explain.box.targets import Difference, Labels, Target, Top
from blackbox_explain.errors import InputError

__all__ = ["target_from"]


def target_from(classes: Sequence[str], versus: str | None, top: int | None, sum_top: int | None) -> Target | None:
    """Turn the options into a target.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    for option, value in (("--top", top), ("--sum-top", sum_top)):
        if value is not None and (classes or versus or None not in (top, sum_top)):
            others = "--target, --versus and " + ("--sum-top" if option == "--top" else "--top")
            raise InputError(f"{option} stands alone", got=f"{option} with another of {others}")
    if versus is not None and len(classes) != 1:
        raise InputError("--versus compares two classes", got=f"{len(classes)} times --target", expected="one --target")
    if sum_top is not None:
        return Top(sum_top)
    if versus is not None:
        return Difference(classes[0], versus)
    return None if not classes else classes[0] if len(classes) == 1 else Labels(*classes)
