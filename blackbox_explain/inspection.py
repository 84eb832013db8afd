"""What an adapter can say of a model file before it is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Inspection"]


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
        Whether the whole model has an exact gradient.
    why_not
        The reason, if it has none.
    usable
        Whether it gives scores, as it is and with what was said of it.
    """

    facts: tuple[tuple[str, str], ...]
    operators: tuple[tuple[str, int, str], ...]
    differentiable: bool
    why_not: str = ""
    usable: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {
            **dict(self.facts),
            "operators": [{"name": name, "count": count, "gradient": how} for name, count, how in self.operators],
            "usable": self.usable,
            "differentiable": self.differentiable,
            "why_not": self.why_not,
        }
