"""What is to be explained, as typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from blackbox_explain.box.targets import Difference, Labels, Target, Top
from blackbox_explain.errors import InputError

__all__ = ["TargetOptions", "target_from"]


@dataclass(frozen=True)
class TargetOptions:
    """What is to be explained, as typed."""

    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="Class name or index; repeat it for the sum of several. Default: the top class of each photo.",
        ),
    ] = None
    versus: Annotated[str | None, typer.Option(metavar="CLASS", help="Explain how far --target leads this class.")] = (
        None
    )
    top: Annotated[
        int | None, typer.Option(help="Explain each of the K top classes of a photo by itself.", metavar="K", min=1)
    ] = None
    sum_top: Annotated[
        int | None, typer.Option(help="Explain the sum of the K highest scores.", metavar="K", min=1)
    ] = None

    @property
    def explained(self) -> Target | None:
        """The target; None is the top class of each photo, or its `top` ones.

        Raises
        ------
        InputError
            If the options contradict each other.
        """
        return target_from(self.target or [], self.versus, self.top, self.sum_top)


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
