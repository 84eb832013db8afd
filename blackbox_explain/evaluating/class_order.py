"""Whether a model has the classes that were explained where they were."""

from __future__ import annotations

import numpy as np

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import resolve
from blackbox_explain.errors import ModelError, TargetError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["check_class_order"]


def check_class_order(explanation: Explanation, box: BlackBox) -> None:
    """Check that no class that was explained stands elsewhere among those of a model, which may have other names.

    Raises
    ------
    ModelError
        If one does.
    InputError, TargetError
        If the model has another number of classes than names.
    """
    names, count = box.spec.class_names, explanation.weights.shape[1]
    if names is None:
        return
    for row in explanation.good:
        explained, stated = np.flatnonzero(explanation.weights[row]), explanation.target[row]
        if len(explained) != 1 or stated.isdigit():
            continue
        _, (called,) = resolve([int(explained[0])], np.zeros((1, count)), names)
        try:
            elsewhere = class_index(stated, count, names)
        except TargetError:
            continue  # another model may call it otherwise
        if called != stated and elsewhere != explained[0]:
            raise ModelError(
                "The model has its classes in another order than the explanation",
                got=f"{stated!r} as class {elsewhere}, and class {explained[0]} as {called!r}",
                hint="class_names= (--classes) as they were when it was explained",
            )
