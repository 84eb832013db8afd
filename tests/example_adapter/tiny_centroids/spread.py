"""A metric for blackbox_explain: over how much of the image the importance is spread."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from blackbox_explain import BlackBox


@dataclass(frozen=True)
class Spread:
    """The least share of the pixels that holds a part of all importance."""

    part: float = 0.9

    name: ClassVar[str] = "spread"
    needs: ClassVar[type] = BlackBox
    better: ClassVar[str] = "lower"
    range: ClassVar[tuple[float, float]] = (0, 1)

    def measure(self, oracle, explanation):
        """Return a share for each image; nothing is asked."""
        largest = -np.sort(-np.maximum(explanation.saliency, 0).reshape(len(explanation), -1), axis=1)
        held = np.cumsum(largest, axis=1) / largest.sum(axis=1, keepdims=True)
        return (1 + (held < self.part).sum(axis=1)) / largest.shape[1]
