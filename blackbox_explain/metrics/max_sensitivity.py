"""How far an explanation moves when the image hardly does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.explained_again import ExplainedAgain, Explains, check_method, norms
from blackbox_explain.metrics.metric import Better
from blackbox_explain.setting_ranges import check_number, check_whole

__all__ = ["MaxSensitivity"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class MaxSensitivity:
    """Measure the largest relative change of the map when the image is moved a little.

    SENS_max = max over ‖δ‖_∞ ≤ r of ‖Φ(x + δ) − Φ(x)‖ / ‖Φ(x)‖, after Yeh et al., *On the (in)fidelity and sensitivity
    of explanations*, NeurIPS 2019 (definition 3.1), by `draws` uniform draws of δ, the same for all images and methods.
    Φ is the saliency; the change is relative to it, so that methods of any scale can be compared.  Smaller is more
    stable; a map that is the same for all images is most stable of all, and explains nothing.

    Each draw explains all images anew: the cost is `draws` + 1 times that of the explanation, without its region.

    Attributes
    ----------
    radius
        r as a share of the range of pixel space; 0.2 in the authors' experiments.
    draws
        How many neighbours are tried; the authors take 50.
    method
        What explains the neighbours; None makes the method of the explanation again, by its name and settings.
    """

    radius: float = 0.2
    draws: int = 10
    method: Explains | None = None

    name: ClassVar[str] = "max-sensitivity"
    needs: ClassVar[type[Any]] = BlackBox
    also_needs: ClassVar[str] = "the method"
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (0, np.inf)

    def __post_init__(self) -> None:
        check_number(self, "radius", above=0, most=1)
        check_whole(self, "draws")
        check_method(self.method)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the largest relative changes (n,); NaN where the map is 0 everywhere.

        Raises
        ------
        NotMeasurableError
            If the method cannot be made again, does not find the same map of the same image, or needs more than the
            box has.
        ModelError, OutOfMemoryError
            If the model fails on a neighbour.
        """
        again = ExplainedAgain.of(type(self).__name__, oracle, explanation, self.method)
        images = explanation.images
        size = norms(again.original)
        rng = np.random.default_rng([again.seed, 0x73656E73])
        low, high = oracle.box.spec.bounds
        largest = np.zeros(len(images))
        for _ in range(self.draws):
            moved = images + self.radius * (high - low) * rng.uniform(-1, 1, size=images.shape[1:])
            # What lies outside of pixel space is no image, and no method is asked to explain it.
            after = again.maps(np.clip(moved, low, high).astype(images.dtype))
            largest = np.maximum(largest, norms(after - again.original) / np.where(size > 0, size, np.nan))
        return largest
