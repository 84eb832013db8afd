"""Whether an explanation changes when the model that is explained is replaced, layer by layer, by a random one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from blackbox_explain.box.info import BoxInfo, require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox, Randomizable
from blackbox_explain.errors import BlackBoxExplainError, InputError, NotMeasurableError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.explained_again import ExplainedAgain, Explains, check_method
from blackbox_explain.metrics.maps import rank_correlation
from blackbox_explain.metrics.metric import Better
from blackbox_explain.setting_ranges import check_whole

__all__ = ["Randomization"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

_CASCADES: WeakKeyDictionary[Any, dict[Any, BlackBox]] = WeakKeyDictionary()
"""The random boxes of the last cascade of each box: rows come in parts, and each box takes long to make."""


@dataclass(frozen=True)
class Randomization:
    """Measure how alike the maps of the model and of a model with random parameters are.

    The sanity check by cascading randomisation of Adebayo et al., *Sanity checks for saliency maps*, NeurIPS 2018
    (section 3.1): layers get random parameters one after the other, from the output towards the input, and the method
    explains the same target, that of the original model, to each of these models.  The value of a step is Spearman's
    rank correlation of the two maps; a map that is the same everywhere has none to that of the model, 0.  What is
    reported is the last step, by default the model all of whose parameters are random; the curve of all steps is kept
    (`Measurement.curve`).  A method whose map hardly changes, near 1, does not explain what the model has learned;
    nor does one whose map is turned around, near -1: best is 0, of maps that have nothing to do with one another.

    Each parameter is drawn from the normal distribution of its own mean and standard deviation; statistics of
    normalisations stay.  The cost is that of one explanation and one for each step, without their regions.

    Attributes
    ----------
    shares
        Of the layers that have parameters, one step for each, ascending, above 0 and at most 1.
    seed
        Of the parameters that are drawn.
    method
        What explains; None makes the method of the explanation again, by its name and settings.
    """

    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0)
    seed: int = 0
    method: Explains | None = None

    name: ClassVar[str] = "randomization"
    needs: ClassVar[type[Any]] = Randomizable
    also_needs: ClassVar[str] = "the method"
    better: ClassVar[Better] = "nearer 0"
    range: ClassVar[tuple[float, float]] = (-1, 1)

    def __post_init__(self) -> None:
        given: Any = self.shares
        good = isinstance(given, (list, tuple)) and all(isinstance(one, (int, float)) for one in given)
        if not good or not given or list(given) != sorted(set(given)) or not 0 < given[0] <= given[-1] <= 1:
            got, expected = f"shares={given!r}", "ascending numbers above 0 and at most 1, such as (0.5, 1.0)"
            raise InputError("These are no steps of a cascade", got=got, expected=expected)
        check_whole(self, "seed", least=0, most=2**63 - 1)
        check_method(self.method)

    def measure(self, oracle: Oracle, explanation: Explanation) -> Floats:
        """Return the correlations (n, steps), the last of which is the value; NaN where the map is a constant.

        Raises
        ------
        NotMeasurableError
            If the parameters of the model cannot be drawn anew, or the method cannot be made again, does not find the
            same map of the same image, or needs more than the box has.
        ModelError, OutOfMemoryError
            If a random model fails.
        """
        boxes = self._cascade(oracle.box)
        again = ExplainedAgain.of(type(self).__name__, oracle, explanation, self.method)
        found = np.empty((len(explanation), len(boxes)))
        for step, box in enumerate(boxes):
            for row, changed in enumerate(again.maps(explanation.images, box)):
                original = again.original[row]
                same = np.ptp(changed) == 0 and np.ptp(original) > 0
                found[row, step] = 0.0 if same else rank_correlation(original, changed)
        return found

    def _cascade(self, box: BlackBox) -> list[BlackBox]:
        """Return a box for each step; those that were made for the rows before, while the model is the same."""
        given = require(box, Randomizable, f"the metric {self.name!r}")
        fingerprint = BoxInfo.of(box).fingerprint
        try:
            known = _CASCADES.get(box, {})
        except TypeError:  # a box of the user's that has no hash, or no weak references
            known: dict[Any, BlackBox] = {}
        wanted = {(fingerprint, self.seed, share): share for share in self.shares}
        if not wanted.keys() <= known.keys():
            try:
                layers = given.parameter_layers()
                # What is not part of this cascade is let go: each box may hold a copy of the model.
                known = {key: known[key] for key in wanted if key in known}
                for key, share in wanted.items():
                    if key not in known:
                        known[key] = given.randomized(layers[: math.ceil(round(share * len(layers), 9))], self.seed)
            except BlackBoxExplainError as error:
                raise NotMeasurableError(str(error).removesuffix(".")) from error
            with suppress(TypeError):
                _CASCADES[box] = known
        return [known[key] for key in wanted]
