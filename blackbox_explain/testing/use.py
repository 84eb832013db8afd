"""What holds in use: any memory order, wrong images, threads, pickling, a model that stays as it was, `explain`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.errors import BlackBoxExplainError
from blackbox_explain.explaining import explain
from blackbox_explain.testing.case import (
    Case,
    Host,
    answers,
    draw_images,
    draw_weights,
    promise,
    require,
    require_same,
)

__all__ = [
    "check_errors",
    "check_explain",
    "check_inputs_left_alone",
    "check_memory_layout",
    "check_model_untouched",
    "check_pickling",
    "check_threads",
]

THREADS, CALLS = 4, 3

REFUSALS = (BlackBoxExplainError, pickle.PicklingError, TypeError, AttributeError)
"""How a black box may refuse to be pickled."""

LEARN: Mapping[str, Any] = {"steps": 3}
LEARN_FROM_SCORES: Mapping[str, Any] = {"steps": 3, "queries": 100}
"""Settings of `explain` for black boxes with and without gradients: as little as it takes."""


@promise
def check_memory_layout(case: Case) -> None:
    """Check that arrays in any memory order, and read-only ones, are read all the same."""
    box = case.make()
    images = draw_images(case, box)
    expected = answers(case, box, images)
    layouts: dict[str, Callable[[Host], Host]] = {
        "in Fortran order": np.asfortranarray,
        "with a stride of two": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        "with negative strides": lambda array: np.flip(np.flip(array).copy()),
        "read-only": _read_only,
    }
    weights = draw_weights(case, expected["scores"].shape)
    for layout, arrange in layouts.items():
        for name, found in answers(case, box, arrange(images), arrange(weights)).items():
            require_same(found, expected[name], case.tolerance, f"{name} of images {layout}")


@promise
def check_inputs_left_alone(case: Case) -> None:
    """Check that neither images nor weights are written to, nor handed back as answers."""
    box = case.make()
    images = draw_images(case, box)
    weights = draw_weights(case, box.scores(images.copy()).shape)
    given, chosen = images.copy(), weights.copy()
    for name, found in answers(case, box, given, chosen).items():
        require(np.array_equal(given, images), "the images were written to")
        require(np.array_equal(chosen, weights), "the weights were written to")
        shared = any(np.shares_memory(found, array) for array in (given, chosen))
        require(not shared, f"{name} share memory with what was passed in")


@promise
def check_model_untouched(case: Case) -> None:
    """Check that the model's state and the fingerprint outlive use, which all boxes of one model share."""
    before = case.state() if case.state else None
    box = case.make()
    prints = [BoxInfo.of(box).fingerprint]
    answers(case, box, draw_images(case, box))
    prints += [BoxInfo.of(box).fingerprint, BoxInfo.of(case.make()).fingerprint]
    require(not case.state or case.state() == before, "the model's state changed")
    require(prints[0] == prints[1], "the fingerprint changed with use")
    require(prints[0] == prints[2], "two boxes of one model have different fingerprints")
    require(isinstance(prints[0], str), f"the fingerprint is {prints[0]!r}, not a string")
    require(prints[0] != "" or not BoxInfo.of(box).has_fingerprint, "the fingerprint is empty")


@promise
def check_errors(case: Case) -> None:
    """Check that images of other channels, rank or size are refused by a `BlackBoxExplainError`."""
    box: Any = case.make()
    classes = box.scores(draw_images(case, box)).shape[1]
    channels, *spatial = box.spec.shape
    wrong = {
        "a channel too many": (2, channels + 1, *spatial),
        "no batch axis": (channels, *spatial),
        "an axis too many": (2, channels, *spatial, 1),
        "another size": (2, channels, *spatial[:-1], spatial[-1] + 1),
    }
    for what, shape in wrong.items():
        images = np.full(shape, np.mean(box.spec.bounds), np.float32)
        calls = [box.scores]
        if case.gradient:
            calls.append(lambda images: box.scores_and_gradient(images, np.ones((len(images), classes), np.float32)))
        for call in calls:
            try:
                call(images)
            except BlackBoxExplainError as error:
                require(str(error) != "", f"images with {what} are refused without a message")
            except Exception as error:
                message = f"images with {what} raise {type(error).__name__}, not a BlackBoxExplainError: {error}"
                raise AssertionError(message) from error
            else:
                raise AssertionError(f"images with {what}, of shape {shape}, are not refused")


@promise
def check_pickling(case: Case) -> None:
    """Check that a pickled box comes back with the same answers, or that pickling is refused with a message."""
    box = case.make()
    images = draw_images(case, box)
    expected = answers(case, box, images)
    try:
        stored = pickle.dumps(box)
    except REFUSALS as refusal:
        require(str(refusal) != "", f"pickling is refused by {type(refusal).__name__} without a message")
        return
    again = pickle.loads(stored)  # noqa: S301 - written two lines above
    for name, found in answers(case, again, images).items():
        require_same(found, expected[name], case.tolerance, f"{name} after pickling")
    require(BoxInfo.of(again).fingerprint == BoxInfo.of(box).fingerprint, "the fingerprint changed by pickling")


@promise
def check_threads(case: Case) -> None:
    """Check that threads that share a box, from its first call on, get what one gets, and leave the model as it was."""
    before = case.state() if case.state else None
    alone, shared = case.make(), case.make()
    batches = [draw_images(case, alone, 2, seed) for seed in range(THREADS)]
    expected = [answers(case, alone, images) for images in batches]
    start = Barrier(THREADS)

    def work(which: int) -> list[dict[str, Array]]:
        start.wait(timeout=60)
        return [answers(case, shared, batches[which]) for _ in range(CALLS)]

    with ThreadPoolExecutor(THREADS) as pool:
        heard = list(pool.map(work, range(THREADS)))
    for wanted, calls in zip(expected, heard, strict=True):
        for call in calls:
            for name, found in call.items():
                require_same(found, wanted[name], case.tolerance, f"{name} with {THREADS} threads")
    require(not case.state or case.state() == before, f"{THREADS} threads changed the model's state")


@promise
def check_explain(case: Case) -> None:
    """Check that `explain` learns masks of it, from gradients or from scores alone."""
    box = case.make()
    images = draw_images(case, box, 2)
    result = explain(box, images, progress=False, seed=case.seed, **(LEARN if case.gradient else LEARN_FROM_SCORES))
    failed = [str(outcome) for outcome in result.outcome if outcome.failed]
    require(not failed, f"explain() {failed}")
    require(result.saliency.shape == (2, *box.spec.spatial), f"the saliency has shape {result.saliency.shape}")
    require(np.isfinite(result.saliency).all(), "the masks are not finite")
    top = to_numpy(box.scores(images)).max(axis=1)
    require_same(result.score, top, case.tolerance, "the scores that explain() records")


def _read_only(array: Host) -> Host:
    copy = array.copy()
    copy.setflags(write=False)
    return copy
