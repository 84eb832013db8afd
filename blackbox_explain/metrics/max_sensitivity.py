"""How far an explanation moves when the image hardly does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.entry_points import instance_by_name
from blackbox_explain.box.info import require
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError, NotMeasurableError
from blackbox_explain.explanation.explanation import Explanation

__all__ = ["Explains", "MaxSensitivity"]

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

METHODS = "blackbox_explain.methods"
"""Entry points of methods; they are siblings of metrics, which find them by name."""

OF_RECORD = ("perturbation_settings",)
"""What the settings of a result tell besides those that the method takes."""

SAME = 0.01
"""Largest ratio between the change of a map that is made again and the map itself, where it is the same."""


@runtime_checkable
class Explains(Protocol):
    """What a method is to this metric."""

    name: ClassVar[str]

    def explain(self, oracle: Oracle, images: Array, weights: Array, seed: int) -> Any:
        """Return an object with the ``saliency`` (n, *spatial) of images, and the ``failures`` of some rows."""
        ...


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
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    range: ClassVar[tuple[float, float]] = (0, np.inf)

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 1:
            got, expected = f"radius={self.radius!r}", "above 0 and at most 1, such as 0.2"
            raise InputError("This is no radius", got=got, expected=expected)
        if not isinstance(self.draws, int) or self.draws < 1:
            raise InputError("A largest change takes at least one draw", got=f"draws={self.draws!r}", expected="50")
        if self.method is not None and (isinstance(self.method, type) or not isinstance(self.method, Explains)):
            raise InputError(
                "This is no method", got=f"method={self.method!r}"[:80], expected="an object with explain()"
            )

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
        method = self.method or _made_again(explanation)
        try:
            require(oracle.box, getattr(method, "needs", BlackBox), f"the method {method.name!r}")
        except BlackBoxExplainError as error:
            raise NotMeasurableError(str(error).removesuffix(".")) from error
        seed, images = explanation.provenance.seed, explanation.images
        map_of = _Maps(method, oracle, explanation.weights, seed)
        before = map_of(images)
        if self.method is None:
            _check_same(before, explanation)
        size = _norms(before)
        rng = np.random.default_rng([seed, 0x73656E73])
        low, high = oracle.box.spec.bounds
        largest = np.zeros(len(images))
        for _ in range(self.draws):
            moved = images + self.radius * (high - low) * rng.uniform(-1, 1, size=images.shape[1:])
            # What lies outside of pixel space is no image, and no method is asked to explain it.
            after = map_of(np.clip(moved, low, high).astype(images.dtype))
            largest = np.maximum(largest, _norms(after - before) / np.where(size > 0, size, np.nan))
        return largest


@dataclass(frozen=True, eq=False)
class _Maps:
    """The maps that a method finds."""

    method: Explains
    oracle: Oracle
    weights: Floats
    seed: int

    def __call__(self, images: Floats) -> Floats:
        """Explain images (n, *shape); the first failure of a row is raised, so that rows are tried apart."""
        native = self.oracle.native(images)
        asking = replace(self.oracle, originals=self.oracle.scores(native))
        found = self.method.explain(asking, native, self.oracle.native(self.weights), self.seed)
        if found.failures:
            raise next(iter(found.failures.values()))
        if not np.isfinite(found.saliency).all():
            raise ModelError("Scores or gradients are not finite", got="NaN or infinity in the map of a neighbour")
        return np.asarray(found.saliency, np.float64)


def _made_again(explanation: Explanation) -> Explains:
    """Make the method of an explanation by its name and settings.

    Raises
    ------
    NotMeasurableError
        If it cannot be.
    """
    told = explanation.provenance.settings
    settings = {name: _tuples(value) for name, value in told.items() if name not in OF_RECORD}
    try:
        return instance_by_name(METHODS, "method", Explains, explanation.method, settings)
    except (BlackBoxExplainError, TypeError, ValueError) as error:
        raise NotMeasurableError(
            f"The method {explanation.method!r} cannot be made again from what the result tells of it",
            got=str(error).removesuffix("."),
            hint="MaxSensitivity(method=...) with the method that explained",
        ) from error


def _check_same(again: Floats, explanation: Explanation) -> None:
    """Raise `NotMeasurableError` unless the method finds the map of the explanation again."""
    far = _norms(again - explanation.saliency) > SAME * _norms(explanation.saliency)
    if far.any():
        raise NotMeasurableError(
            f"The method {explanation.method!r}, made again from what the result tells of it, finds another map",
            got="another model, or a perturbation or another setting that the result does not hold",
            hint="MaxSensitivity(method=...) with the method that explained",
        )


def _norms(maps: Floats) -> Floats:
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else dict(value) if isinstance(value, Mapping) else value
