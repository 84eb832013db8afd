"""Masks that move with what is seen, on a toy that looks everywhere and on one that looks at one place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.rules.measuring.faithfulness import faithfulness
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations import Brightness, HorizontalFlip, Rotation, Scale, Translation
from blackbox_explain.rules.serialization import from_dict
from blackbox_explain.rules.statements.equivariance import Equivariance, moved_mask, seen_in_both
from blackbox_explain.rules.statements.invariance import apply
from tests.toys import Regions, Scores, box_region

SIZE = 40
WINDOW = 8
OPTIONS = (("mask_shape", (10, 10)),)

Array = np.ndarray[Any, Any]


class Anywhere:
    """Scores the contrast of the window that has most of it, wherever it is: moved or mirrored, it says the same."""

    def __init__(self) -> None:
        self.spec = InputSpec((1, SIZE, SIZE), class_names=("texture", "nothing"))

    def scores(self, images: Array) -> Array:
        contrast = self._windows(images).max(axis=(1, 2))
        return np.stack([contrast, 1 - contrast], axis=1)

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        gradient = np.zeros_like(images)
        for row, windows in enumerate(self._windows(images)):
            down, right = np.unravel_index(windows.argmax(), windows.shape)
            place = (row, 0, slice(down, down + WINDOW), slice(right, right + WINDOW))
            slope = np.sign(images[place] - 0.5) * 2 / WINDOW**2
            gradient[place] = (weights[row, 0] - weights[row, 1]) * slope
        return self.scores(images), gradient

    def _windows(self, images: Array) -> Array:
        contrast = np.abs(2 * images[:, 0] - 1)
        return np.lib.stride_tricks.sliding_window_view(contrast, (WINDOW, WINDOW), axis=(1, 2)).mean(axis=(3, 4))


def patches(count: int = 4) -> Array:
    rng = np.random.default_rng(0)
    images = np.full((count, 1, SIZE, SIZE), 0.5, dtype=np.float32)
    for image in images:
        down, right = rng.integers(6, 11, size=2)
        image[0, down : down + 10, right : right + 10] = rng.integers(0, 2, size=(10, 10))
    return images


def looking_left() -> tuple[Regions, Samples]:
    box = Regions([box_region((SIZE, SIZE), (14, 4), (26, 14))])
    return box, Samples.of(np.repeat(box.image(), 4, axis=0), box.spec)


# Of one level each, so that no draw is too small to tell.
RELATIONS = [(HorizontalFlip(), 1), (Translation(20, 20), 20), (Rotation(45, 45), 45), (Scale(50, 50), 50)]


@pytest.mark.parametrize(("relation", "theta"), RELATIONS)
@pytest.mark.parametrize("measure", ["correlation", "iou"])
def test_masks_of_a_box_that_looks_everywhere_move_along(relation: Any, theta: float, measure: str) -> None:
    box = Anywhere()
    rule = Equivariance(relation, theta, measure, 0.7 if measure == "correlation" else 0.5, options=OPTIONS)
    found = rule.check(Questions(box, Samples.of(patches(), box.spec)), np.arange(4))
    assert found.applies.all()
    assert found.held.all(), found.amount
    assert (found.amount <= 0).all()


@pytest.mark.parametrize(("relation", "theta"), RELATIONS[:3])
def test_masks_that_were_left_where_they_were_would_not_agree(
    relation: Any, theta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blackbox_explain.rules.statements.equivariance.moved_mask", lambda _relation, mask, *_: mask)
    box = Anywhere()
    rule = Equivariance(relation, theta, "iou", 0.5, options=OPTIONS)
    found = rule.check(Questions(box, Samples.of(patches(), box.spec)), np.arange(4))
    assert not found.held.any(), found.amount


@pytest.mark.parametrize(("relation", "theta"), [(HorizontalFlip(), 1), (Translation(50, 50), 50)])
def test_masks_of_a_box_that_looks_at_one_place_stay_behind(relation: Any, theta: float) -> None:
    found = Equivariance(relation, theta, options=OPTIONS).check(Questions(*looking_left()), np.arange(4))
    assert found.applies.all()
    assert not found.held.any()
    assert (found.amount > 0).all()


def test_without_gradients_masks_are_estimated() -> None:
    toy = Anywhere()
    options = (*OPTIONS, ("queries", 300))
    for box, samples, held in (
        (Scores(toy.scores, (1, SIZE, SIZE)), patches(2), True),
        (Scores(looking_left()[0].scores, (1, SIZE, SIZE)), looking_left()[1].images[:2], False),
    ):
        questions = Questions(box, Samples.of(samples, box.spec))
        found = Equivariance(HorizontalFlip(), 1, options=options).check(questions, np.arange(2))
        assert found.held.tolist() == [held] * 2, found.amount
        assert 400 < questions.queries <= 4 * 300 + 2


def test_its_error_is_measured_like_any_other() -> None:
    box, samples = looking_left()
    found = faithfulness(Equivariance(HorizontalFlip(), 1, options=OPTIONS), box, samples, progress=False)
    assert (found.errors, found.n) == (4, 4)
    assert found.sentence.startswith(
        "if the image is flipped left to right, the mask of its top class moves along "
        "(correlation of at least 0.7): wrong for 100 % of 4 images"
    )
    assert found.queries > 4


def test_it_says_nothing_of_images_without_a_mask() -> None:
    box = Scores(lambda images: np.tile([0.8, 0.2], (len(images), 1)), (1, SIZE, SIZE))
    questions = Questions(box, Samples.of(patches(2), box.spec))
    found = Equivariance(HorizontalFlip(), 1, options=(*OPTIONS, ("queries", 120))).check(questions, np.arange(2))
    assert not found.applies.any()


def test_a_mask_moves_exactly_as_its_image_does() -> None:
    box = Anywhere()
    images = np.random.default_rng(1).random((3, 1, SIZE, SIZE)).astype(np.float32)
    questions = Questions(box, Samples.of(images, box.spec))
    for relation, amount in ((Translation(), 20), (Rotation(), -30), (HorizontalFlip(), 1)):
        moved = apply(relation, images, [amount] * 3, questions, np.arange(3))
        for row in range(3):
            mask = moved_mask(relation, images[row, 0], amount, questions, row)
            assert np.allclose(mask, moved[row, 0], atol=1e-6)


def test_what_came_from_outside_is_left_out() -> None:
    box = Anywhere()
    questions = Questions(box, Samples.of(patches(1), box.spec))
    assert seen_in_both(HorizontalFlip(), (SIZE, SIZE), 1, questions, 0).all()
    shifted = seen_in_both(Translation(), (SIZE, SIZE), 25, questions, 0)
    rows, columns = np.flatnonzero(shifted.any(axis=1)), np.flatnonzero(shifted.any(axis=0))
    assert shifted.sum() == len(rows) * len(columns) == (rows.max() - rows.min() + 1) * len(columns)
    assert np.hypot(SIZE - len(rows), SIZE - len(columns)) == pytest.approx(0.25 * SIZE, abs=0.8)
    turned = seen_in_both(Rotation(), (SIZE, SIZE), 45, questions, 0)
    assert not turned[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert turned[10:30, 10:30].all()
    # What of a square lies inside of itself turned by 45°.
    assert turned.mean() == pytest.approx(2 * (2**0.5 - 1), abs=0.03)
    assert seen_in_both(Scale(), (SIZE, SIZE), 100, questions, 0).all()
    assert seen_in_both(Scale(), (SIZE, SIZE), -100, questions, 0).mean() == pytest.approx(0.25, abs=0.03)


def test_a_saved_rule_is_the_same_rule() -> None:
    rule = Equivariance(Translation(20, 2), 10, "iou", 0.5, options=(("queries", 500), ("mask_shape", (10, 10))))
    assert from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    assert "overlap (IoU) of at least 0.5" in rule.sentence


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Equivariance(Brightness(), 10), "A mask cannot be moved like this. Got brightness"),
        (lambda: Equivariance(Rotation(), 90), "out of the range of the relation rotation"),
        (lambda: Equivariance(Rotation(), 10, "cosine"), "no such measure"),
        (lambda: Equivariance(Rotation(), 10, least=1.5), "least=1.5"),
    ],
)
def test_what_makes_no_sense_is_an_error(make: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        make()


def test_an_image_that_cannot_be_explained_is_an_error() -> None:
    calls = []

    def fails_later(images: Array) -> Array:
        calls.append(len(images))
        return np.full((len(images), 2), 0.5 if len(calls) < 2 else np.nan)

    box = Scores(fails_later, (1, SIZE, SIZE))
    with pytest.raises(ModelError):
        Equivariance(HorizontalFlip(), 1).check(Questions(box, Samples.of(patches(2), box.spec)), np.arange(2))
