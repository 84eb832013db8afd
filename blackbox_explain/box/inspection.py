"""What an adapter can say of a model file before it is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox, Differentiable
from blackbox_explain.errors import BlackBoxExplainError

__all__ = ["Inspection", "Verdict", "judged", "size_of"]


@dataclass(frozen=True)
class Inspection:
    """A model file, looked at.

    Attributes
    ----------
    facts
        What and its value: inputs, outputs, versions, size.
    operators
        Name, count, and whether a gradient passes it ("yes", "no", or how).
    differentiable
        Whether the whole model has a gradient.
    why_not
        The reason, if it has none.
    usable
        Whether it gives scores, as it is and with what was said of it.
    surrogate
        Whether its gradient is that of another function, as if the model rounded nothing.
    """

    facts: tuple[tuple[str, str], ...]
    operators: tuple[tuple[str, int, str], ...]
    differentiable: bool
    why_not: str = ""
    usable: bool = True
    surrogate: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {
            **dict(self.facts),
            "operators": [{"name": name, "count": count, "gradient": how} for name, count, how in self.operators],
            "usable": self.usable,
            "differentiable": self.differentiable,
            "surrogate": self.surrogate,
            "why_not": self.why_not,
        }


@dataclass(frozen=True)
class Verdict:
    """What came of wrapping a model.

    Attributes
    ----------
    box
        None if it cannot be wrapped.
    why_not
        Why that is so, or why there is no gradient; empty if there is one.
    """

    box: BlackBox | None
    why_not: str

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return what a box says of itself."""
        if self.box is None:
            return ()
        spec = self.box.spec
        images = ("images", f"{spec.shape}, {spec.preprocessing.layout.replace('_', ' ')}")
        assumptions = BoxInfo.of(self.box).assumptions
        return (images, ("assumed", "\n".join(assumptions))) if assumptions else (images,)

    def inspection(self, facts: tuple[tuple[str, str], ...], operators: tuple[tuple[str, int, str], ...]) -> Inspection:
        """Return the whole report, given what the file itself tells."""
        surrogate = self.box is not None and not self.why_not and BoxInfo.of(self.box).surrogate
        return Inspection(
            (*facts, *self.facts()), operators, not self.why_not, self.why_not, self.box is not None, surrogate
        )


def judged(make: Callable[[], BlackBox], no_gradient: str = "") -> Verdict:
    """Wrap a model and say what came of it.

    Parameters
    ----------
    make
        Wraps it.
    no_gradient
        Why the format has no gradients at all; empty if it has.
    """
    try:
        box = make()
    except BlackBoxExplainError as error:
        return Verdict(None, str(error))
    if isinstance(box, Differentiable):
        return Verdict(box, "")
    return Verdict(box, no_gradient or str(BoxInfo.of(box).no_gradient or "it gives scores alone"))


def size_of(path: Path) -> str:
    """Return the size of a file, or of all files in a folder, in words."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    size = sum(one.stat().st_size for one in files)
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
