"""What metrics say of the map of a method in one image: fig. 7, fig. 8, table 1 and table 2 share it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from benchmarks.paper.kept import Arrays
from benchmarks.paper.methods import explained, map_of, name_of
from benchmarks.paper.plan import Labelled, Plan, remembering
from benchmarks.paper.silent import Silent
from blackbox_explain import BlackBox, Explanation
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.metrics.maps import smoothed, tightest_box
from blackbox_explain.metrics.marked.localization import ALPHAS, Localization, Threshold
from blackbox_explain.metrics.marked.pointing_game import PointingGame
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.representativeness import ALPHAS as OF_REPRESENTATIVENESS
from blackbox_explain.metrics.representativeness import Representativeness, simplified
from blackbox_explain.metrics.smallest_region import SmallestRegion

__all__ = [
    "LOCALIZED",
    "POINTED",
    "REACH",
    "SIGMAS",
    "SUPPRESSION",
    "SUPPRESSIONS",
    "THRESHOLDS",
    "Asked",
    "Measurement",
    "boxes",
    "deleted",
    "representative",
]

SUPPRESSIONS = (0.80, 0.90, 0.95, 0.99)
"""Of section 5.3."""

SIGMAS = (0.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)
"""Pixels by which masks are blurred further before they are cut; section 5.2 does not tell its own."""

THRESHOLDS: tuple[Threshold, ...] = ("value", "energy", "mean")


class Measure(Protocol):
    """Measures a map, given the method's name of `METHODS`, as an explanation."""

    def __call__(self, asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
        """Return what was found."""
        ...


@dataclass(frozen=True)
class Measurement:
    """What is measured of maps.

    Attributes
    ----------
    name
        In the cache.
    measure
        How.
    silent
        Whether the model is not asked.
    """

    name: str
    measure: Measure
    silent: bool = False


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
    _template: list[Explanation] = field(init=False, default_factory=list[Explanation])

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", remembering(self.plan.box))

    def measured(self, what: Measurement, method: str) -> Arrays:
        """Return what is measured of the map of a method of `METHODS`; the map is made only where that is not kept."""

        def make() -> Arrays:
            saliency = map_of(self.plan, self.one, method)["saliency"]
            box = Silent(self.box, self.one.label + 1) if what.silent else self.box
            found = explained(box, self.one, saliency) if what.silent else self._as_explanation(saliency)
            return what.measure(self, method, found, Oracle.of(box, 1))

        return self.plan.kept.get(self._name(what, method), make)

    def _as_explanation(self, saliency: np.ndarray[Any, Any]) -> Explanation:
        # An explanation's region is looked for, which asks the model as often as a metric does: once for all maps,
        # because no metric here reads it.
        if not self._template:
            self._template.append(explained(self.box, self.one, saliency))
        return replace(self._template[0], saliency=saliency[None])

    def has(self, what: Measurement, method: str) -> bool:
        """Tell whether that is measured already."""
        return self.plan.kept.has(self._name(what, method))

    def _name(self, what: Measurement, method: str) -> str:
        return name_of(self.plan, self.one, method, f"measured/{what.name}")


def _suppression(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del asked, method
    boxes = [MinimalBox(one).measure(oracle, explanation)[0] for one in SUPPRESSIONS]
    regions = [SmallestRegion(one).measure(oracle, explanation)[0] for one in SUPPRESSIONS]
    return {"box": np.asarray(boxes), "region": np.asarray(regions)}


SUPPRESSION = Measurement("suppression", _suppression)
"""Minimal ``box`` and smallest ``region`` (4,) as shares of the image, at each of `SUPPRESSIONS`."""


def boxes(sigma: float) -> Measurement:
    """Return the measurement of minimal ``box`` (4,), as `SUPPRESSION` has it, from smoothed maps."""

    def measure(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
        del asked, method
        given = replace(explanation, saliency=smoothed(explanation.saliency, sigma).astype(np.float32))
        return {"box": np.asarray([MinimalBox(one).measure(oracle, given)[0] for one in SUPPRESSIONS])}

    return Measurement(f"boxes-{sigma:g}", measure)


def _reach(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del asked, method, oracle
    (saliency,) = explanation.saliency
    cut = np.quantile(saliency, 0.9)
    # Of a map that is nothing in most places, what is something.
    strongest = saliency >= cut if cut > saliency.min() else saliency > saliency.min()
    if not strongest.any():
        return {"box": np.asarray(1.0), "largest": np.asarray(1.0)}
    sides = [one.stop - one.start for one in tightest_box(strongest)]
    parts = np.empty(strongest.shape, np.int32)
    ndimage.label(strongest, structure=np.ones([3] * strongest.ndim), output=parts)
    largest = np.bincount(parts[strongest]).max() / strongest.sum()
    return {"box": np.asarray(np.prod(sides) / saliency.size), "largest": np.asarray(largest)}


REACH = Measurement("reach", _reach, silent=True)
"""Of the strongest tenth of a map, or of the less that is not its least: the share of the image in the tightest ``box``
around it, and the share of it that its ``largest`` connected part holds."""


def representative(sigma: float) -> Measurement:
    """Return the measurement of ``left`` (3, 20), p' by blur, constant and noise at each α of section 5.2."""

    def measure(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
        del asked, method
        return {"left": Representativeness(sigma=sigma).curves(oracle, explanation)[0]}

    return Measurement(f"representative-{sigma:g}", measure)


def deleted(sigma: float) -> Measurement:
    """Return the measurement of ``share`` (20,), how much of the image `representative` deletes at each α."""

    def measure(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
        del asked, method, oracle
        keeps = simplified(explanation.saliency, sigma)[0]
        return {"share": np.asarray([(keeps <= alpha).mean() for alpha in OF_REPRESENTATIVENESS])}

    return Measurement(f"deleted-{sigma:g}", measure, silent=True)


def _localized(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del method
    objects, label = asked.plan.objects, asked.one.label
    return {
        kind: np.asarray(
            [Localization(objects, kind, alpha, label=label).measure(oracle, explanation)[0] for alpha in ALPHAS[kind]]
        )
        for kind in THRESHOLDS
    }


LOCALIZED = Measurement("localized", _localized, silent=True)
"""Localisation hits by threshold, at each of its α."""


def _pointed(asked: Asked, method: str, explanation: Explanation, oracle: Oracle) -> Arrays:
    del method
    games = [PointingGame(asked.plan.objects, tolerance, label=asked.one.label) for tolerance in (15.0, 0.0)]
    return {"point": np.asarray([game.measure(oracle, explanation)[0] for game in games])}


POINTED = Measurement("pointed", _pointed, silent=True)
"""Hits of the pointing game, ``point`` (2,), within 15 and 0 pixels."""
