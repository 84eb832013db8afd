"""The learner's loop by itself, the time that it spends in the black box, and two things timed in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

from blackbox_explain import Blur
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.mask.ranking import learn_ranking
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.mask.settings import Settings
from blackbox_explain.methods.mask.solver import solve
from blackbox_explain.methods.upsampling import make_upsampling, mask_shape_for
from blackbox_explain.perturbations.level_stack import LevelStack

__all__ = ["Paired", "inside_of", "learning_loop", "paired"]


def learning_loop(box: Any, settings: Settings, batch: int) -> tuple[Callable[[], None], Any, Any]:
    """Return the steps of a preset on noise, with the images (N, *shape) and weights (N, K) that they are of.

    Parameters
    ----------
    box
        Differentiable, with at least `batch` classes.
    settings
        Their `steps` are those of one call.
    batch
        N.
    """
    spatial = box.spec.spatial
    cells = mask_shape_for(spatial, settings.mask_shape, settings.stride)
    oracle = Oracle.of(box, batch, batch_size=batch)
    native = oracle.native
    images = native(np.random.default_rng(0).random((batch, *box.spec.shape), dtype=np.float32))
    classes = box.scores(images[:1]).shape[1]
    weights = native(np.eye(classes, dtype=np.float32)[np.arange(batch) % classes])
    levels = Blur(levels_count=settings.blur_levels).levels(images, box.spec, 0)
    score = MaskedScore(
        oracle,
        make_upsampling(settings.upsampling, cells, spatial, images),
        LevelStack(canvas(levels, settings.jitter_kind, settings.jitter), spatial),
        LevelStack(levels, spatial),
        weights,
    )
    regularizer = Regularizer(settings.area_weight, settings.tv_weight, settings.tv_beta, settings.tv_kind, "deletion")
    start, ones = native(np.full((batch, *cells), 0.5, np.float32)), native(np.ones(batch, np.float32))
    ranks = native(np.random.default_rng(1).uniform(-1, 1, (batch, *cells)).astype(np.float32))

    def loop() -> None:
        if settings.learns == "ranking":
            learn_ranking(score, ranks, settings, 0, 0 * ones, ones)
        else:
            solve(score, start, regularizer, settings, 0, ones)

    return loop, images, weights


@dataclass(frozen=True)
class Paired:
    """Two things timed in turns.

    Attributes
    ----------
    times
        (repeats, 2) seconds of both.
    """

    times: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def ratio(self) -> float:
        """The median of the ratios of the pairs: the first over the second."""
        return float(np.median(self.times[:, 0] / self.times[:, 1]))

    def to_dict(self, first: str, second: str, calls: int = 1) -> dict[str, Any]:
        """Return the medians in milliseconds by a name for each, their ratio, and all repetitions.

        Parameters
        ----------
        first, second
            What was timed.
        calls
            That one timing is of.
        """
        each = np.round(self.times / calls * 1e3, 4)
        return {
            f"{first}_ms": float(np.median(each[:, 0])),
            f"{second}_ms": float(np.median(each[:, 1])),
            "ratio": self.ratio,
            "repetitions": {name: {"all_ms": each[:, place].tolist()} for place, name in enumerate((first, second))},
        }


def paired(
    first: Callable[[], None],
    second: Callable[[], None],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    finish: Callable[[], Any] = lambda: None,
) -> Paired:
    """Time two functions in turns, after a pair that warms up and is not kept.

    Parameters
    ----------
    first, second
        What is timed.
    repeats
        Pairs that are kept.
    clock
        Tells the time.
    finish
        Waits for the device, which a call may return before.
    """
    times = np.empty((repeats, 2))
    for repeat in range(-1, repeats):
        # Alternate who goes first.
        for place in (0, 1) if repeat % 2 else (1, 0):
            started = clock()
            (first, second)[place]()
            finish()
            times[max(repeat, 0), place] = clock() - started
    return Paired(times)


@contextmanager
def inside_of(box: Any, finish: Callable[[], Any] = lambda: None) -> Generator[list[float]]:
    """Count the seconds that are spent in the black box's gradients, in the one number of the list.

    `finish` waits for the device before and after each of them: else a GPU's gradients would be counted where the loop
    waits for them.
    """
    real, seconds = type(box).scores_and_gradient, [0.0]

    def timed(self: Any, images: Any, weights: Any) -> Any:
        finish()
        started = time.perf_counter()
        answer = real(self, images, weights)
        finish()
        seconds[0] += time.perf_counter() - started
        return answer

    with patch.object(type(box), "scores_and_gradient", timed):
        yield seconds
