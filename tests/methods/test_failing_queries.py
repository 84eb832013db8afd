"""Models that fail while masks are learned from their scores: what is kept, counted and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, OutOfMemoryError, UnreachableError
from blackbox_explain.explanation.region import REGION_QUERIES
from blackbox_explain.methods import Attribution, Budget
from blackbox_explain.methods.mask.mask import Mask
from tests.methods.test_estimated_gradient import ScoresOnly
from tests.toys import Linear, Regions, Scores, box_region


def test_answers_that_are_not_finite_fail_their_image_only() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        mean = images.mean(axis=(1, 2, 3))
        return np.stack([np.where(mean > 0.95, np.nan, mean), 1 - mean], axis=1)

    images = np.random.default_rng(0).random((2, 1, 16, 16))
    images[1] = 1.0
    result = bx.explain(Scores(scores), images, 0, queries=200, progress=False)
    assert [one.failed for one in result.outcome] == [False, True]


class TornOnTheWay(Linear):
    """Not finite for the first image (whose last pixel is 1) between its ends, where only the start looks."""

    def __init__(self, fault: str) -> None:
        super().__init__(np.full((1, 16, 16), 1 / 256))
        self.fault = fault

    def scores(self, images: np.ndarray) -> np.ndarray:
        return np.where(self._torn(images, "score")[:, None], np.nan, super().scores(images))

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, gradient = super().scores_and_gradient(images, weights)
        gradient = np.where(self._torn(images, "gradient")[:, None, None, None], np.nan, gradient)
        return np.where(self._torn(images, "score")[:, None], np.nan, scores), gradient + 0 * images

    def _torn(self, images: np.ndarray, fault: str) -> np.ndarray:
        # At the midpoint of the second of four steps from all black to white, and at no mask that is learned.
        here = (images.max(axis=(1, 2, 3)) < 0.38) & (images.min(axis=(1, 2, 3)) > 0.37)
        return here & (self.fault == fault)


@pytest.mark.parametrize(("fault", "hidden"), [("score", False), ("gradient", False), ("score", True)])
def test_what_is_not_finite_at_the_start_alone_fails_the_image(fault: str, hidden: bool) -> None:
    images = np.stack([np.ones((1, 16, 16)), np.full((1, 16, 16), 0.4)])
    torn = TornOnTheWay(fault)
    box = OneBad(torn) if hidden else torn
    options: dict[str, Any] = {"perturbation": bx.Constant(0.0), "progress": False, "queries": 300}
    result = bx.explain(box, images, 0, **options)
    assert "not finite. Got NaN or infinity while the mask was learned" in result.outcome[0].message
    assert np.isfinite(result.mask[1]).all()
    assert np.isnan(result.mask[0]).all()


class OneBad(ScoresOnly):
    """Answers NaN once, to the tenth image that is asked for."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        first, found = self.asked, super().scores(images)
        found[max(0, 10 - first) : max(0, 11 - first)] = np.nan
        return found


def test_a_circle_whose_score_is_not_finite_fails_the_image() -> None:
    box = OneBad(Regions([box_region((48, 48), (8, 8), (30, 30))]))
    with pytest.raises(ModelError, match="not finite"):
        bx.explain(box, np.ones((1, 1, 48, 48)), 0, preset="authors", perturbation=bx.Constant(0.0), progress=False)


def test_a_failing_model_and_a_budget_too_small_say_so() -> None:
    def broken(_images: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")

    with pytest.raises(ModelError, match="out of order"):
        bx.explain(Scores(broken), np.zeros((1, 1, 16, 16)), 0, progress=False)
    with pytest.raises(InputError, match="queries"):
        bx.explain(Scores(broken), np.zeros((1, 1, 16, 16)), 0, queries=5, progress=False)


class Hungry(ScoresOnly):
    """Runs out of memory above some number of images; counts what it answers."""

    def __init__(self, box: bx.BlackBox, most: int) -> None:
        super().__init__(box)
        self.most = most
        self.refused: list[int] = []

    def scores(self, images: np.ndarray) -> np.ndarray:
        if len(images) > self.most:
            self.refused.append(len(images))
            raise MemoryError
        return super().scores(images)


@pytest.mark.parametrize("most", [1, 3])
def test_memory_that_runs_out_halves_what_is_asked_at_once_and_changes_nothing(most: int) -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image(), box.image()[:, :, ::-1], box.image()[:, :, :, ::-1]])[:most]
    options: dict[str, Any] = {"queries": 300, "preset": "authors"}
    free = bx.explain(ScoresOnly(box), images, 0, progress=False, **options)
    hungry, done = Hungry(box, most), list[int]()
    found = bx.explain(hungry, images, 0, progress=done.append, **options)
    np.testing.assert_array_equal(found.mask, free.mask)
    np.testing.assert_array_equal(found.queries, free.queries)
    assert hungry.asked == found.queries.sum()
    assert sum(done) == 300 * most
    halved = [note for note in found.provenance.notes if "memory ran out at" in note]
    assert halved == [f"memory ran out at {count} images, halved" for count in hungry.refused]
    # Each size once, over the whole call.
    assert len(set(hungry.refused)) == len(hungry.refused) <= 7


def test_the_smaller_number_of_images_is_kept_for_further_batches() -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image()] * 4)
    hungry = Hungry(box, 5)
    bx.explain(hungry, images, 0, progress=False, queries=200, batch_size=2)
    assert hungry.refused == sorted(set(hungry.refused), reverse=True)


def test_a_single_image_for_which_memory_runs_out_is_an_error() -> None:
    class Starved(ScoresOnly):
        def scores(self, images: np.ndarray) -> np.ndarray:
            if self.asked >= 20:
                raise MemoryError
            return super().scores(images)

    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    with pytest.raises(OutOfMemoryError):
        bx.explain(Starved(box), box.image(), 0, progress=False, queries=200)


class Failing(ScoresOnly):
    """Fails whenever `fails` says so of the images and of what was asked before."""

    def __init__(self, box: bx.BlackBox, fails: Callable[[np.ndarray, int], bool], error: type[Exception]) -> None:
        super().__init__(box)
        self.calls = 0
        self._fails, self._error = fails, error

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self._fails(images, self.asked):
            self.asked += len(images)
            raise self._error("out of order")
        return super().scores(images)


@pytest.mark.parametrize("preset", ["fast", "authors"])
def test_what_failed_attempts_asked_is_counted_and_no_budget_exceeded(preset: Any) -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image()] * 4)
    fault = {"left": 1}

    def once(_images: np.ndarray, asked: int) -> bool:
        fault["left"] -= asked >= 700
        return fault["left"] == 0

    failing, done = Failing(box, once, RuntimeError), list[int]()
    result = bx.explain(failing, images, 0, preset=preset, queries=600, progress=done.append)
    assert fault["left"] <= 0
    assert not any(one.failed for one in result.outcome)
    assert result.queries[:, 0].sum() == failing.asked
    assert result.queries[:, 0].max() <= 600
    assert result.queries[:, 0].min() > 550
    assert sum(done) == 4 * 600
    assert min(done) >= 0
    assert "the model failed at a batch of 4, which was split: " in result.provenance.notes[0]
    assert "out of order" in result.provenance.notes[0]


def test_rows_whose_queries_are_used_up_by_failures_say_so() -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image()] * 4)
    failing, done = Failing(box, lambda _, asked: 250 <= asked < 330, RuntimeError), list[int]()
    with pytest.raises(ModelError, match=r"queries are used up.*of 100 used by attempts that failed.*out of order"):
        bx.explain(failing, images, 0, preset="fast", queries=100, progress=done.append)
    assert sum(done) == 4 * 100
    assert failing.asked <= 4 * 100


def test_a_failure_of_one_image_leaves_the_budget_of_the_others() -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image()] * 8)
    images[5] = 0.25
    failing = Failing(box, lambda images, _: bool((images.reshape(len(images), -1)[:, 0] == 0.25).any()), RuntimeError)
    result = bx.explain(failing, images, 0, queries=100, perturbation="constant", progress=False)
    notes = [note for note in result.provenance.notes if "split" in note]
    assert len(notes) == 1
    assert [one.failed for one in result.outcome] == [False] * 5 + [True] + [False] * 2
    assert result.queries[:, 0].sum() == failing.asked
    assert result.queries[:, 0].max() <= 100


class FailingOnRegions(Regions):
    """Fails on images of the inverted texture some of whose pixels are deleted and all others untouched."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__([box_region((48, 48), (8, 8), (30, 30))])
        self.asked = 0
        self._error = error

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        signs = 2 * (images - 0.5) * (2 * self.image() - 1)
        whole = np.isin(signs, (-1, 0, 1)).all(axis=(1, 2, 3)) & (signs == 0).any(axis=(1, 2, 3))
        if (whole & (signs < 0).any(axis=(1, 2, 3))).any():
            raise self._error("out of order")
        return super().scores(images)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
@pytest.mark.parametrize("exact", [True, False])
def test_a_failure_on_parts_of_one_image_costs_the_others_nothing_that_was_learned(
    exact: bool, error: type[Exception]
) -> None:
    box = FailingOnRegions(error)
    images = np.concatenate([box.image(), 1 - box.image(), box.image()])
    options: dict[str, Any] = {"queries": 200, "perturbation": bx.Constant(0.5), "progress": False}
    given = box if exact else Scores(box.scores, box.spec.shape)
    result = bx.explain(given, images, 0, **options)
    assert [one.failed for one in result.outcome] == [False, True, False]
    assert ("out of order" if error is RuntimeError else "Memory ran out") in result.outcome[1].message
    assert result.provenance.notes == () or error is MemoryError
    # Everything that was asked was counted, and what was learned was learned once.
    gradients = Mask().start_points + Mask().steps if exact else 0
    assert (result.queries[:, 1] == gradients).all()
    assert result.queries[:, 0].max() <= (200 if not exact else 3 + 2 * (REGION_QUERIES + 1))
    good = bx.explain(given, images[::2], 0, **options)
    np.testing.assert_array_equal(result.saliency[::2], good.saliency)
    np.testing.assert_array_equal(result.region[::2], good.region)


def test_a_model_that_cannot_be_reached_is_not_asked_for_every_image() -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30))])
    images = np.concatenate([box.image()] * 16)
    failing = Failing(box, lambda *_: True, UnreachableError)
    with pytest.raises(UnreachableError):
        bx.explain(failing, images, 0, progress=False)
    assert failing.calls == 1
    later = Failing(box, lambda _, asked: asked > 100, UnreachableError)
    with pytest.raises(UnreachableError):
        bx.explain(later, images, 0, progress=False)
    assert later.asked <= 100 + 2 * 64


def test_a_model_that_takes_one_image_at_once_is_explained() -> None:
    class One(Regions):
        def scores(self, images: np.ndarray) -> np.ndarray:
            if len(images) > 1:
                raise RuntimeError("one image only")
            return super().scores(images)

    box = One([box_region((48, 48), (8, 8), (30, 30))])
    whole = Regions([box_region((48, 48), (8, 8), (30, 30))])
    options: dict[str, Any] = {"batch_size": 1, "progress": False}
    result, expected = (bx.explain(one, whole.image(), 0, **options) for one in (box, whole))
    np.testing.assert_array_equal(result.region, expected.region)
    assert result.outcome == expected.outcome


def test_a_score_that_is_not_finite_where_the_region_is_looked_for_fails_the_image() -> None:
    class Torn(Linear):
        def scores(self, images: np.ndarray) -> np.ndarray:
            deleted = (images == 0).mean(axis=(1, 2, 3))
            # Between two shares of the curve, at 30 and 40 %.
            return np.where(((deleted > 0.31) & (deleted < 0.39))[:, None], np.nan, super().scores(images))

    box = Torn(np.full((1, 40, 40), 1 / 1600))
    with pytest.raises(ModelError, match="where the region was looked for"):
        bx.explain(box, np.ones((1, 1, 40, 40)), 0, method=Values(), suppress=0.33, progress=False)


class Values:
    """Returns the order of the pixels, and deletes to zero."""

    name = "values"
    needs = bx.BlackBox

    def budget(self, info: Any) -> Budget:
        return Budget(1)

    def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Attribution:
        saliency = np.arange(images[0, 0].size, dtype=np.float64).reshape(images.shape[2:])
        return Attribution(saliency=np.stack([saliency] * len(images)), perturbation=bx.Constant(0.0))
