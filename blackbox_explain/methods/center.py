"""The centre of the image: what every method has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.methods.method import Attribution, Budget

__all__ = ["Center", "centre_distance"]


@dataclass(frozen=True)
class Center:
    """Take the pixels by how near they are to the centre: photos mostly have their object there.

    A baseline of Table 2 of the paper.  The model is not asked, and the map is the same for all images.
    """

    name: ClassVar[str] = "center"
    needs: ClassVar[type[Any]] = BlackBox

    def budget(self, info: BoxInfo) -> Budget:
        """Return one run for the image."""
        del info
        return Budget(1)

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Attribution:
        """Return 1 at the centre, 0 at the corners."""
        del weights, seed
        host = to_numpy(images)
        near = 1 - centre_distance(oracle.box.spec.spatial)
        return Attribution(saliency=np.broadcast_to(near, (len(host), *near.shape)).astype(host.dtype))


def centre_distance(sizes: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how far each place (*sizes) is from the centre, as a share of the farthest."""
    axes = [(np.arange(n) - (n - 1) / 2) / n for n in sizes]
    distance = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    return distance / max(float(distance.max()), 1e-12)
