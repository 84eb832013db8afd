"""A box that stands in for the model where a metric asks nothing of it, so that no time is spent on answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_explain import BlackBox

__all__ = ["Silent"]


class Silent:
    """A black box of the same images that scores all of them 0.

    Parameters
    ----------
    box
        Whose images they are.
    classes
        How many scores there are.
    """

    def __init__(self, box: BlackBox, classes: int) -> None:
        names = box.spec.class_names
        self.spec = box.spec
        self._classes = classes if names is None else len(names)

    def scores(self, images: Any) -> Any:
        """Return zeros (N, K)."""
        return np.zeros((len(images), self._classes), np.float32)
