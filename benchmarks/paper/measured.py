"""What metrics say of the map of a method in one image: fig. 7, fig. 8, table 1 and table 2 share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.paper.kept import Arrays
from benchmarks.paper.methods import explained, map_name, map_of
from benchmarks.paper.plan import Labelled, Plan, remembering
from benchmarks.paper.silent import Silent
from blackbox_explain import BlackBox, Explanation
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.metrics.marked.localization import ALPHAS, Localization, Threshold
from blackbox_explain.metrics.marked.pointing_game import PointingGame
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.representativeness import Representativeness
from blackbox_explain.metrics.smallest_region import SmallestRegion

__all__ = ["SIGMAS", "SUPPRESSIONS", "THRESHOLDS", "Asked"]

SUPPRESSIONS = (0.80, 0.90, 0.95, 0.99)
"""Of section 5.3."""

SIGMAS = (0.0, 5.0, 10.0)
"""Pixels by which masks are blurred further before they are cut; section 5.2 does not tell its own."""

THRESHOLDS: tuple[Threshold, ...] = ("value", "energy", "mean")


@dataclass(frozen=True)
class Asked:
    """One image, and the model that remembers what it was asked about it.

    Attributes
    ----------
    plan, one
        The run, and the image.
    box
        Forgotten with this object.
    """

    plan: Plan
    one: Labelled
    box: BlackBox = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", remembering(self.plan.box))

    def map(self, method: str) -> Arrays:
        """Return the map of a method of `METHODS`."""
        return map_of(self.plan, self.one, method)

    def suppression(self, method: str) -> Arrays:
        """Return minimal ``box`` and smallest ``region`` (4,) as shares of the image, at each of `SUPPRESSIONS`."""

        def measure(explanation: Explanation, oracle: Oracle) -> Arrays:
            boxes = [MinimalBox(one).measure(oracle, explanation)[0] for one in SUPPRESSIONS]
            regions = [SmallestRegion(one).measure(oracle, explanation)[0] for one in SUPPRESSIONS]
            return {"box": np.asarray(boxes), "region": np.asarray(regions)}

        return self._kept("suppression", method, measure)

    def representative(self, method: str, sigma: float) -> Arrays:
        """Return ``left`` (3, 20), p' by blur, constant and noise at each α of section 5.2."""

        def measure(explanation: Explanation, oracle: Oracle) -> Arrays:
            return {"left": Representativeness(sigma=sigma).curves(oracle, explanation)[0]}

        return self._kept(f"representative-{sigma:g}", method, measure)

    def has_representative(self, method: str, sigma: float) -> bool:
        """Tell whether that is measured already."""
        return self.plan.kept.has(f"{map_name(self.plan, self.one, method)}.representative-{sigma:g}")

    def marked(self, method: str) -> Arrays:
        """Return localisation hits by threshold, at each of its α, and pointing hits ``at`` 15 and 0 pixels."""

        def measure(explanation: Explanation, oracle: Oracle) -> Arrays:
            objects, label = self.plan.objects, self.one.label
            found = {
                kind: np.asarray(
                    [
                        Localization(objects, kind, alpha, label=label).measure(oracle, explanation)[0]
                        for alpha in ALPHAS[kind]
                    ]
                )
                for kind in THRESHOLDS
            }
            games = [PointingGame(objects, tolerance, label=label) for tolerance in (15.0, 0.0)]
            return {**found, "point": np.asarray([game.measure(oracle, explanation)[0] for game in games])}

        return self._kept("marked", method, measure, silent=True)

    def _kept(
        self, what: str, method: str, measure: Callable[[Explanation, Oracle], Arrays], *, silent: bool = False
    ) -> Arrays:
        saliency = self.map(method)["saliency"]
        # The name of the map holds its settings, and stands for them here.
        place = map_name(self.plan, self.one, method)

        def make() -> Arrays:
            box = Silent(self.box, self.one.label + 1) if silent else self.box
            return measure(explained(box, self.one, saliency), Oracle.of(box, 1))

        return self.plan.kept.get(f"{place}.{what}", make)
