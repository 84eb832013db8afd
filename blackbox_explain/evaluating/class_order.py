"""Whether a model has the classes that were explained where they were."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.class_names import shown_name
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import ModelError, TargetError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["check_class_order"]


def check_class_order(explanation: Explanation, box: BlackBox) -> None:
    """Check that no class that was explained stands elsewhere among those of a model, which may have other names.

    Raises
    ------
    ModelError
        If one does, or the model has another number of names than the explanation of classes.
    """
    names, count = box.spec.class_names, explanation.weights.shape[1]
    if names is None:
        return
    if len(names) != count:
        what = "The model has other classes than the explanation"
        raise ModelError(what, got=f"{len(names)} class names", expected=str(count))
    for row in explanation.good:
        explained = np.flatnonzero(explanation.weights[row]).tolist()
        called = {shown_name(one, names) for one in explained}
        for stated in _classes(explanation.target[row], len(explained)):
            try:
                elsewhere = class_index(stated, count, names)
            except TargetError:
                continue  # another model may call it otherwise
            if stated not in called and elsewhere not in explained:
                raise ModelError(
                    "The model has its classes in another order than the explanation",
                    got=f"{stated!r} as class {elsewhere}, and class {_listed(explained)} as {_listed(sorted(called))}",
                    hint="class_names= (--classes) as they were when it was explained",
                )


def _listed(values: list[Any]) -> str:
    return " and ".join(map(repr, values))


def _classes(target: str, count: int) -> list[str]:
    """Return the names of the classes of a target; none where they have no names, or cannot be told apart."""
    parts = [target] if count == 1 else target.split(" + " if " + " in target else " - ")
    return [] if len(parts) != count else [one for one in parts if not one.isdigit() and not one.startswith("class ")]
