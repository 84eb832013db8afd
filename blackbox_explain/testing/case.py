"""What a check is told and what checks share: the case, what is drawn at random, and how a promise is held."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, along_axes, bilinear_matrix, constant_like, namespace, to_numpy
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import BlackBox

__all__ = [
    "MANY",
    "Case",
    "Check",
    "Host",
    "answers",
    "draw_fields",
    "draw_images",
    "draw_weights",
    "promise",
    "require",
    "require_floats",
    "require_frozen",
    "require_same",
]

Host = np.ndarray[Any, Any]
Check = Callable[["Case"], None]

MANY = 3
"""Images in a batch of many."""


@dataclass(frozen=True)
class Case:
    """A black box to be checked, and what is expected of it.

    Attributes
    ----------
    make
        Returns a fresh black box of the same model each time.
    gradient
        Whether it has ``scores_and_gradient``; if not, it must not have that attribute at all.
    state
        Returns anything that compares unequal once the model has changed: a digest of weights, flags, random state.
    tolerance
        Largest difference between answers that should be the same, relative to the largest absolute value among them.
    gradient_tolerance
        Largest typical error of a directional derivative against differences, relative to its typical size.
    repeat_tolerance
        As `tolerance`, for the same call made twice; 0 is bit for bit, which every CPU can do.
    seed
        Of the images, weights and directions.
    """

    make: Callable[[], BlackBox]
    gradient: bool = True
    state: Callable[[], object] | None = None
    tolerance: float = 1e-5
    gradient_tolerance: float = 0.03
    repeat_tolerance: float = 0.0
    seed: int = 0


def promise(check: Check) -> Check:
    """Let whatever the box raises be a failed promise."""

    @functools.wraps(check)
    def checked(case: Case) -> None:
        try:
            check(case)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} was raised: {error}") from error

    return checked


def answers(case: Case, box: Any, images: Array, weights: Array | None = None) -> dict[str, Array]:
    """Ask for all that a box has to say of images ``(N, *shape)``: scores, and the gradient if the case expects one.

    Parameters
    ----------
    case, box
        The case, and a box that it made.
    images
        Of any array library.
    weights
        (N, K); None draws them.
    """
    scores = box.scores(images)
    if not case.gradient:
        return {"scores": scores}
    if weights is None:
        weights = constant_like(draw_weights(case, scores.shape), images)
    beside, gradient = box.scores_and_gradient(images, weights)
    return {"scores": scores, "scores beside the gradient": beside, "gradient": gradient}


def draw_images(case: Case, box: BlackBox, count: int = MANY, seed: int = 0) -> Host:
    """Draw images ``(count, *shape)`` in single precision, in the middle half of the bounds."""
    low, high = box.spec.bounds
    fields = draw_fields(case, box.spec, count, seed, cells=4)
    noise = np.random.default_rng([case.seed, seed, 0]).uniform(-0.05, 0.05, fields.shape)
    return (low + (high - low) * (0.5 + 0.2 * fields + noise)).astype(np.float32)


def draw_fields(case: Case, spec: InputSpec, count: int, seed: int, cells: int) -> Host:
    """Draw fields ``(count, *shape)`` in [-1, 1], linear between `cells` random values on each axis of each channel."""
    rng = np.random.default_rng([case.seed, seed, 1])
    coarse = rng.uniform(-1, 1, (count, spec.shape[0], *(cells for _ in spec.shape[1:])))
    return along_axes(tuple(bilinear_matrix(size, cells) for size in spec.shape[1:]), coarse)


def draw_weights(case: Case, shape: tuple[int, ...]) -> Host:
    """Draw weights (N, K) in single precision."""
    return np.random.default_rng([case.seed, 2]).standard_normal(shape).astype(np.float32)


def require(condition: Any, message: str) -> None:
    """Raise `AssertionError` with `message` unless `condition` holds, whatever Python's options."""
    if not condition:
        raise AssertionError(message)


def require_floats(found: Array, what: str) -> None:
    """Hold an array to be of a real floating type, and finite."""
    xp = namespace(found)
    require(xp.isdtype(found.dtype, "real floating"), f"{what}: {found.dtype}, not floats")
    require(bool(xp.all(xp.isfinite(found))), f"{what}: NaN or infinity among them")


def require_same(found: Array, expected: Array, tolerance: float, what: str) -> None:
    """Hold two arrays to be equal up to `tolerance` times the largest absolute value expected."""
    one, other = (to_numpy(array).astype(np.float64) for array in (found, expected))
    require(one.shape == other.shape, f"{what}: shape {one.shape}, not {other.shape}")
    error, limit = np.abs(one - other).max(initial=0), tolerance * np.abs(other).max(initial=0)
    require(error <= limit, f"{what}: off by {error:.3g}, at most {limit:.3g} is right")


def require_frozen(chosen: Any) -> None:
    """Require that a method or metric is a frozen dataclass of its settings."""
    kind = type(chosen)
    require(dataclasses.is_dataclass(chosen), f"{kind.__name__} is no dataclass of its settings")
    frozen = kind.__dataclass_params__.frozen  # type: ignore[attr-defined] - what dataclasses keep of themselves
    require(frozen, f"{kind.__name__} is not frozen: settings would change behind a result's back")
