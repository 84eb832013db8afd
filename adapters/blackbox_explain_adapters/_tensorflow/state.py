"""Variables that a model writes when it is asked: they are given back what they held, so that each answer is the first.

Counters, the state of recurrent layers, statistics of a BatchNormalization that trains, and the seeds of Keras's
dropout are such variables.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from blackbox_explain_adapters._tensorflow.fingerprint import captured, changes_variables

__all__ = ["State"]

SHOWN = 3


class State:
    """The variables of a model that change when it is asked.

    Parameters
    ----------
    function
        Concrete function from the model's input to its outputs.

    Attributes
    ----------
    changing
        The variables that were seen to change.
    """

    def __init__(self, function: Any) -> None:
        self._all = [one for one, _ in captured(function) if one is not None] if changes_variables(function) else []
        self._lock = threading.Lock()
        self.changing: tuple[Any, ...] = ()

    @contextmanager
    def watched(self) -> Generator[None]:
        """See which variables change in here, and give them back what they held."""
        before = [(one, one.numpy()) for one in self._all]
        try:
            yield
        finally:
            changed = [(one, value) for one, value in before if not np.array_equal(one.numpy(), value)]
            known = {id(one) for one in self.changing}
            self.changing += tuple(one for one, _ in changed if id(one) not in known)
            _restore(changed)

    @contextmanager
    def kept(self) -> Generator[None]:
        """Give the variables back what they held before, one caller after the other."""
        if not self.changing:
            yield
            return
        with self._lock:
            before = [(one, one.numpy()) for one in self.changing]
            try:
                yield
            finally:
                _restore(before)

    def note(self) -> str:
        """Return a sentence for the user."""
        names = ", ".join(str(one.name) for one in self.changing[:SHOWN])
        more = f" and {len(self.changing) - SHOWN} more" if len(self.changing) > SHOWN else ""
        return (
            f"the model changes its own variables when it is asked ({names}{more}), as in training or between the "
            "frames of a stream: they are set back before each call, and images are given one at a time"
        )


def _restore(values: list[tuple[Any, np.ndarray[Any, Any]]]) -> None:
    for variable, value in values:
        variable.assign(value)
