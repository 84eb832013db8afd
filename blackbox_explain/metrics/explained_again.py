"""The method of a result made again from what the result tells of it, and asked for further maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.entry_points import instance_by_name
from blackbox_explain.box.info import require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import (
    BlackBoxExplainError,
    InputError,
    ModelError,
    NotMeasurableError,
    UnsupportedModelError,
)
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["ExplainedAgain", "Explains", "check_method", "maps_by", "norms"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

METHODS = "blackbox_explain.methods"
"""Entry points of methods; they are siblings of metrics, which find them by name."""

OF_RECORD = ("perturbation_settings",)
"""What the settings of a result tell besides those that the method takes."""

SAME = 0.01
"""Largest ratio between the change of a map that is made again and the map itself, where it is the same."""


@runtime_checkable
class Explains(Protocol):
    """What a method is to these metrics."""

    name: ClassVar[str]

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Any:
        """Return an object with the ``saliency`` (n, *spatial) of images, and the ``failures`` of some rows."""
        ...


def check_method(method: Any) -> None:
    """Raise `InputError` unless this is a method, or None."""
    if method is not None and (isinstance(method, type) or not isinstance(method, Explains)):
        raise InputError("This is no method", got=f"method={method!r}"[:80], expected="an object with explain()")


@dataclass(frozen=True, eq=False)
class ExplainedAgain:
    """A method, ready to explain the images of a result anew for the same targets.

    Attributes
    ----------
    method
        It, or the one that was given in its place.
    oracle
        Asks the model, on behalf of the rows of the result.
    weights
        (n, K) the targets as weights over the scores.
    seed
        As in `explain`.
    original
        (n, *spatial) the maps of the images of the result.
    """

    method: Explains
    oracle: Oracle
    weights: Floats
    seed: int
    original: Floats

    @classmethod
    def of(cls, metric: str, oracle: Oracle, explanation: Explanation, method: Explains | None) -> ExplainedAgain:
        """Make the method of a result again, by its name and settings, and explain the images by it.

        Parameters
        ----------
        metric
            Name of the class that asks, for messages.
        oracle, explanation
            As a metric is given them.
        method
            What explains in its place; the maps need not be those of the result then.

        Raises
        ------
        NotMeasurableError
            If the method cannot be made again, does not find the same maps of the same images, or needs more than the
            box has.
        ModelError, OutOfMemoryError
            If the model fails.
        """
        hint = f"{metric}(method=...) with the method that explained"
        chosen = method or _made_again(explanation, hint)
        try:
            require(oracle.box, getattr(chosen, "needs", BlackBox), f"the method {chosen.name!r}")
        except BlackBoxExplainError as error:
            raise NotMeasurableError(str(error).removesuffix(".")) from error
        weights, seed = explanation.weights, explanation.provenance.seed
        original = maps_by(chosen, oracle, weights, seed, explanation.images)
        far = norms(original - explanation.saliency) > SAME * norms(explanation.saliency)
        if method is None and far.any():
            raise NotMeasurableError(
                f"The method {explanation.method!r}, made again from what the result tells of it, finds another map",
                got="another model, or a perturbation or another setting that the result does not hold",
                hint=hint,
            )
        return cls(chosen, oracle, weights, seed, original)

    def maps(self, images: Floats, box: BlackBox | None = None) -> Floats:
        """Explain images (n, *shape), to the box or to another; the maps (n, *spatial).

        The first failure of a row is raised, so that rows are tried apart.

        Raises
        ------
        ModelError, OutOfMemoryError
            If the model fails, or a map is not finite.
        """
        oracle = self.oracle if box is None else self.oracle.asking(box)
        return maps_by(self.method, oracle, self.weights, self.seed, images)


def norms(maps: Floats) -> Floats:
    """Return the Euclidean norms (n,) of maps (n, *spatial)."""
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)


def maps_by(method: Explains, oracle: Oracle, weights: Floats, seed: int, images: Floats) -> Floats:
    """Explain images (n, *shape) by a method alone, without their regions; the maps (n, *spatial), float64.

    Parameters
    ----------
    method
        What explains.
    oracle
        Asks the model, on behalf of n rows.
    weights
        (n, K) the targets as weights over the scores.
    seed
        As in `explain`.
    images
        In pixel space.

    Raises
    ------
    ModelError, OutOfMemoryError
        If the model fails on a row, the first of them, or a map is not finite.
    NotMeasurableError
        If the model does not allow the method.
    """
    native = oracle.native(images)
    # Counted from 0: a method that estimates slopes plans with what was not asked yet.
    counts = np.zeros_like(oracle.counts)
    asking = replace(oracle, counts=counts)
    try:
        asking = replace(asking, originals=asking.scores(native))
        found = method.explain(asking, native, oracle.native(weights), seed)
    except UnsupportedModelError as error:
        raise NotMeasurableError(str(error).removesuffix(".")) from error
    finally:
        np.add(oracle.counts, counts, out=oracle.counts)
    if found.failures:
        raise next(iter(found.failures.values()))
    if not np.isfinite(found.saliency).all():
        raise ModelError("Scores or gradients are not finite", got="NaN or infinity in a map that is made again")
    return np.asarray(found.saliency, np.float64)


def _made_again(explanation: Explanation, hint: str) -> Explains:
    told = explanation.provenance.settings
    settings = {name: _tuples(value) for name, value in told.items() if name not in OF_RECORD}
    try:
        return instance_by_name(METHODS, "method", Explains, explanation.method, settings)
    except (BlackBoxExplainError, TypeError, ValueError) as error:
        raise NotMeasurableError(
            f"The method {explanation.method!r} cannot be made again from what the result tells of it",
            got=str(error).removesuffix("."),
            hint=hint,
        ) from error


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else dict(value) if isinstance(value, Mapping) else value
