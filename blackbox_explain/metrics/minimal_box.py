"""The smallest box around what is salient whose deletion takes the score away, or that is enough for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.region import SUPPRESS, check_suppress
from blackbox_explain.metrics.maps import normalised, tightest_box
from blackbox_explain.metrics.metric import Better
from blackbox_explain.metrics.suppressing import Suppressing
from blackbox_explain.perturbations.named import perturbation_of
from blackbox_explain.perturbations.perturbation import Game, Perturbation

__all__ = ["MinimalBox"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

Variant = Literal["paper", "authors"]

THRESHOLDS: dict[Variant, Floats] = {"paper": np.arange(11) / 10, "authors": np.arange(100) / 99}
"""h that the map is cut at."""


@dataclass(frozen=True)
class MinimalBox:
    """Measure the share of the image in the smallest box around the salient pixels that does what is asked.

    Section 5.3: the map is scaled to reach from 0 to 1 and cut at h ∈ [0 : 0.1 : 1]; the image is perturbed in the
    tightest box around the pixels of at least h; of the boxes with 1 − p' ≥ `suppress`, where
    p' = (p − p_b) / (p_0 − p_b), the smallest counts.  The box of h = 0 is the whole image, which always does it: a
    map that misses what matters gets 1, and no value is left out.

    Attributes
    ----------
    suppress
        As in `SmallestRegion`; the paper has 0.80, 0.90, 0.95, 0.99.
    variant
        ``"paper"``, or ``"authors"``, whose code cuts at 100 values and takes the last box that does it: the boxes lie
        in each other, so that it is the smallest again.
    game
        ``"deletion"``, or ``"preservation"``: all but the box is perturbed, and p' ≥ `suppress`.
    perturbation
        What stands in for deleted pixels: a name of `named`, or a `Perturbation`.
    """

    suppress: float = SUPPRESS
    variant: Variant = "paper"
    game: Game = "deletion"
    perturbation: str | Perturbation = "blur"

    name: ClassVar[str] = "minimal-box"
    needs: ClassVar[type[Any]] = BlackBox
    better: ClassVar[Better] = "lower"
    range: ClassVar[tuple[float, float]] = (0, 1)

    def __post_init__(self) -> None:
        check_suppress(self.suppress)
        for setting, given, choices in (("variant", self.variant, Variant), ("game", self.game, Game)):
            if given not in get_args(choices):
                expected = " or ".join(map(repr, get_args(choices)))
                raise InputError(f"There is no such {setting}", got=f"{setting}={given!r}", expected=expected)
        perturbation_of(self.perturbation)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the shares (n,); NaN where perturbing the whole image hardly lowers the score.

        Raises
        ------
        ModelError
            If the model fails, or a score is not finite.
        """
        ends = Suppressing.of(oracle, explanation, perturbation_of(self.perturbation))
        boxes = [_boxes(one, THRESHOLDS[self.variant]) for one in normalised(explanation.saliency)]
        rows = np.repeat(np.arange(len(boxes)), [len(own) for own in boxes])
        regions = np.concatenate(boxes)
        done = ends.done(regions, rows, self.game)
        share = regions.reshape(len(regions), -1).mean(axis=1)
        # The whole image does it by definition, whatever rounding makes of it.
        enough = (done >= self.suppress) | (share == 1)
        smallest = [share[enough & (rows == row)].min() for row in range(len(boxes))]
        return np.where(ends.there, smallest, np.nan)


def _boxes(saliency: Floats, thresholds: Floats) -> Booleans:
    """Return the boxes (b, *spatial) of a map from 0 to 1, each once, the whole image among them."""
    found: dict[tuple[tuple[int, int], ...], Booleans] = {}
    for threshold in thresholds:
        region = saliency >= threshold
        if region.any():
            box = tightest_box(region)
            drawn = np.zeros(saliency.shape, dtype=bool)
            drawn[box] = True
            found.setdefault(tuple((one.start, one.stop) for one in box), drawn)
    return np.stack(list(found.values()))
