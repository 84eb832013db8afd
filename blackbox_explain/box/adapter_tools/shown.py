"""How black boxes show themselves where Python prints an object."""

from __future__ import annotations

from typing import Any, cast

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import Differentiable

__all__ = ["Shown"]


class Shown:
    """What a black box reads and gives, and a line for each thing that had to be assumed, as its ``repr``."""

    spec: InputSpec
    assumptions: tuple[str, ...]

    def __repr__(self) -> str:
        """Return these lines."""
        box, spec = cast("Any", self), self.spec
        classes = "" if spec.class_names is None else f", {len(spec.class_names):,} class names"
        gives = "scores and gradients" if isinstance(box, Differentiable) else "scores"
        low, high = spec.bounds
        lines = [f"<{type(self).__name__}: images {spec.shape} of {low:g} to {high:g}, {gives}{classes}>"]
        return "\n".join([*lines, *(f"  assumed: {one}" for one in self.assumptions)])
