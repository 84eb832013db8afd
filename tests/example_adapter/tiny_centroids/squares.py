"""A method for blackbox_explain: how far the score falls when a square is covered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from blackbox_explain import BlackBox
from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.targets import target_scores
from blackbox_explain.methods import Attribution, Budget


@dataclass(frozen=True)
class Squares:
    """Cover one square after the other with the middle of the bounds."""

    side: int = 4

    name: ClassVar[str] = "squares"
    needs: ClassVar[type] = BlackBox

    def budget(self, info):
        """Return one run for the image and one for each square."""
        return Budget(1 + len(self._places(info.spec.spatial)))

    def explain(self, oracle, images, weights, seed):
        """Return for each pixel the fall of the score when its square is covered."""
        host, chosen = to_numpy(images), to_numpy(weights)
        middle = sum(oracle.box.spec.bounds) / 2
        before = target_scores(to_numpy(oracle.originals), chosen)
        saliency = np.zeros((len(host), *host.shape[2:]))
        for y, x in self._places(host.shape[2:]):
            covered = host.copy()
            covered[:, :, y : y + self.side, x : x + self.side] = middle
            fall = before - oracle.target_scores(covered, chosen)
            saliency[:, y : y + self.side, x : x + self.side] = fall[:, None, None]
        return Attribution(saliency=saliency)

    def _places(self, spatial):
        return [(y, x) for y in range(0, spatial[0], self.side) for x in range(0, spatial[1], self.side)]
