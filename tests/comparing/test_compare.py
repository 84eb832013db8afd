"""Two exports of one model: when they are the same, and when they only look it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.comparing.models import Tolerances, compare
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.explanation.map_similarity import equal_area_iou
from tests.toys import Faulty, Regions, box_region

REGIONS = [box_region((64, 64), (8, 8), (32, 32)), box_region((64, 64), (36, 36), (58, 58))]


def options() -> dict[str, Any]:
    return {"perturbation": "constant"}


def test_a_model_is_the_same_as_itself() -> None:
    box = Regions(REGIONS[:1])
    found = compare(box, box, box.image(), **options())
    assert found.score_difference[0] == 0
    assert found.correlation[0] == pytest.approx(1)
    assert found.iou[0] == 1
    assert found.effect[0, 0, 0] == pytest.approx(found.effect[0, 0, 1])
    assert all(kept for _, _, kept in found.verdicts(Tolerances()).values())


def test_equal_scores_for_other_reasons_are_told_apart() -> None:
    first, second = Regions(REGIONS[:1]), Regions(REGIONS[1:])
    found = compare(first, second, first.image(), **options())
    assert found.score_difference[0] < 1e-12
    assert found.correlation[0] < 0.2
    assert found.iou[0] < 0.1
    # Each mask does its work on its own model and none on the other.
    assert found.effect[0].diagonal().min() > 0.8
    assert np.abs(found.effect[0][~np.eye(2, dtype=bool)]).max() < 0.3
    kept = {name: one[2] for name, one in found.verdicts(Tolerances()).items()}
    assert kept == {
        "largest difference of a score": True,
        "same top class": True,
        "mean correlation of masks": False,
        "mean IoU at equal area": False,
    }


def test_masks_that_are_constant_and_scores_that_are_infinite() -> None:
    constant = bx.wrap(lambda images: np.tile([0.6, 0.4], (len(images), 1)), shape=(1, 64, 64), activation="none")
    image = Regions(REGIONS).image()
    assert compare(constant, constant, image, queries=120).correlation[0] == pytest.approx(1)

    def scores(images: np.ndarray) -> np.ndarray:
        known = Regions(REGIONS[:1]).scores(images)
        return np.concatenate([known, np.full((len(images), 1), -np.inf)], axis=1)

    box = bx.wrap(scores, shape=(1, 64, 64), activation="none")
    found = compare(box, box, image, queries=300, **options())
    assert found.score_difference[0] == 0
    assert np.isfinite(found.effect).all()


def test_the_first_of_a_ranking_are_compared_as_they_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two models look at the same place; what comes first in it, far less than what a picture shows white, differs.
    box = Regions(REGIONS[:1])
    made = bx.explain(box, box.image(), 0, progress=False, **options())
    rank = np.arange(64 * 64).reshape(64, 64)
    first = 1 - rank / rank.size
    second = 1 - np.where(rank < 82, (rank + 41) % 82, rank) / rank.size
    ranked = iter([replace(made, saliency=one[None], share=np.asarray([0.01])) for one in (first, second)])
    monkeypatch.setattr("blackbox_explain.comparing.models.explain", lambda *_a, **_k: next(ranked))
    found = compare(box, box, box.image(), **options())
    assert found.iou[0] == 0
    assert found.correlation[0] > 0.99


def test_regions_of_equal_area() -> None:
    ramp = np.linspace(0, 1, 100).reshape(10, 10)
    assert equal_area_iou(ramp, ramp / 5, 0.5) == 1
    assert equal_area_iou(ramp, 1 - ramp, 0.5) == 0
    assert equal_area_iou(ramp, 1 - ramp, 0.75) == 0.5 / 1.0
    assert equal_area_iou(ramp * 0, ramp * 0, 0) == 1


def test_equal_pixels_are_in_a_region_in_part_wherever_they_lie() -> None:
    first, second = np.zeros((2, 10, 10))
    first[0, :4] = 1
    second[9, 6:] = 1
    # Of the 10 pixels of either, 4 are its own, and 6 are shared out among the 96 others.
    expected = 100 * 6 / 96 / (4 + 4 + 92 * 6 / 96)
    for one, other in ((first, second), (first.T, second.T), (first[::-1], second[::-1])):
        assert equal_area_iou(one, other, 0.1) == pytest.approx(expected)
    assert equal_area_iou(first, first, 0.1) == 1
    assert equal_area_iou(first, second, 0.04) == 0


def test_what_is_kept_counts_in_the_preservation_game() -> None:
    first, second = Regions(REGIONS[:1]), Regions(REGIONS[1:])
    found = compare(first, second, first.image(), game="preservation", **options())
    assert found.effect[0].diagonal().min() > 0.8
    assert np.abs(found.effect[0][~np.eye(2, dtype=bool)]).max() < 0.3


def test_masks_that_explain_nothing_are_in_no_mean() -> None:
    box = Regions(REGIONS[:1])
    flat = np.full_like(box.image(), 0.5)
    found = compare(box, box, np.concatenate([box.image(), flat]), **options())
    assert found.compared.all()
    assert found.explained.tolist() == [True, False]
    assert found.notes == ("1 image is in no mean of masks: neither score depends on what is perturbed",)
    both = found.verdicts(Tolerances())
    assert both["mean IoU at equal area"][0] == found.iou[0]
    assert both["mean correlation of masks"][0] == found.correlation[0]
    nothing = compare(box, box, flat, **options()).verdicts(Tolerances())
    assert np.isnan(nothing["mean IoU at equal area"][0])
    assert not nothing["mean IoU at equal area"][2]
    assert nothing["same top class"][2]


def broken(scores: np.ndarray) -> np.ndarray:
    raise ValueError("a bright pixel")


def grey_bright_grey() -> np.ndarray:
    images = np.random.default_rng(0).uniform(0.2, 0.8, (3, 1, 16, 16))
    images[1, 0, 0, 0] = 1
    return images


@pytest.mark.parametrize("second_fails", [False, True])
def test_an_image_that_one_model_fails_on_is_set_apart(second_fails: bool) -> None:
    faulty, sound = Faulty(broken), Faulty(lambda scores: scores)
    pair = (sound, faulty) if second_fails else (faulty, sound)
    images = grey_bright_grey()
    found = compare(*pair, images, batch_size=2)
    assert found.compared.tolist() == [True, False, True]
    assert str(found.outcome[1][second_fails]).startswith(
        "failed: The model raised an error. Got ValueError: a bright pixel"
    )
    assert not found.outcome[1][not second_fails].failed
    name = ("first", "second")[second_fails]
    assert found.error(1).startswith(f"{name} model: The model raised")
    assert found.error(0) == ""
    alone = compare(*pair, images[[0, 2]])
    for figure in ("score_difference", "top", "correlation", "iou", "effect"):
        np.testing.assert_allclose(getattr(found, figure)[[0, 2]], getattr(alone, figure), atol=1e-12)
    for name, verdict in alone.verdicts(Tolerances()).items():
        assert found.verdicts(Tolerances())[name] == pytest.approx(verdict)
    whole = json.loads(json.dumps(found.to_dict(Tolerances()), allow_nan=False))
    row = whole["rows"][1]
    assert row.pop("error") == found.error(1)
    assert row.pop("outcome") == [str(one) for one in found.outcome[1]]
    assert set(row) == {"target", "score_difference", "top", "scores", "predictions", "correlation", "iou", "effect"}
    assert set(row.values()) == {None}
    assert whole["rows"][0]["error"] is None
    assert whole["rows"][0]["effect"] == found.effect[0].tolist()


class Counting(Regions):
    """Counts what is asked, and fails at some of the calls for scores."""

    def __init__(self, fails: tuple[int, ...] = ()) -> None:
        super().__init__(REGIONS[:1])
        self.calls, self._fails = 0, fails

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls in self._fails:
            raise ValueError("tired")
        return super().scores(images)

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, gradient = super().scores_and_gradient(images, weights)
        self.calls -= 1
        return super().scores(images), gradient


def test_an_image_that_fails_under_the_mask_of_the_other_model_is_set_apart_too() -> None:
    counting = Counting()
    images = np.concatenate([counting.image()] * 2)
    compare(Regions(REGIONS[:1]), counting, images, **options())
    last = counting.calls
    found = compare(Regions(REGIONS[:1]), Counting(fails=(last, last + 1)), images, **options())
    assert found.outcome[0][0].kind == "ok"
    assert found.error(0).startswith("second model: The model raised an error. Got ValueError: tired")
    assert np.isnan(found.effect[0]).all()
    assert found.top[0].tolist() == [-1, -1]
    assert [one.kind for one in found.outcome[1]] == ["ok", "ok"]
    assert np.isfinite(found.effect[1]).all()


def test_without_an_image_that_both_models_answer_there_is_an_error() -> None:
    faulty, sound = Faulty(broken), Faulty(lambda scores: scores)
    bright = grey_bright_grey()[1:2]
    with pytest.raises(ModelError, match=r"No image is left to compare; the second model: .* a bright pixel"):
        compare(sound, faulty, bright)
    # Answered, but not explained.
    silent = Faulty(lambda scores: scores * np.nan)
    with pytest.raises(ModelError, match="the first model: Scores or gradients are not finite"):
        compare(silent, sound, bright)

    class Dark(Faulty):
        def scores(self, images: np.ndarray) -> np.ndarray:
            return 0 - super().scores(1 - images)

    both = np.stack([np.full((1, 16, 16), value) for value in (0.0, 1.0)])
    with pytest.raises(ModelError, match="No image is left to compare; the second model"):
        compare(faulty, Dark(broken), both)


def test_arguments_are_checked_before_any_model_is_asked() -> None:
    box = Counting()
    other: Any = object()
    wrong: list[tuple[bx.BlackBox, dict[str, Any], str]] = [
        (box, {"batch_size": 0}, "at least one image"),
        (box, {"seed": -1}, "no seed"),
        (other, {}, "not a black box"),
    ]
    for second, given, message in wrong:
        with pytest.raises(InputError, match=message):
            compare(box, second, box.image(), **given)
    assert box.calls == 0


@pytest.mark.parametrize(
    "given", [{"score": -0.1}, {"score": math.nan}, {"top": 1.5}, {"correlation": -2}, {"iou": math.nan}]
)
def test_tolerances_have_a_range(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match="tolerance is out of range"):
        Tolerances(**given)


def named(*names: str) -> bx.BlackBox:
    return bx.wrap(
        lambda images: np.tile([0.5, 0.3, 0.2], (len(images), 1)),
        shape=(1, 64, 64),
        activation="none",
        class_names=names,
    )


def test_names_of_classes_must_stand_in_the_same_order() -> None:
    image = Regions(REGIONS).image()
    first = named("cat", "dog", "crane")
    for others in (("dog", "cat", "crane"), ("dog", "wolf", "crane")):
        with pytest.raises(ModelError, match="different order"):
            compare(first, named(*others), image)
    found = compare(first, named("cat", "hound", "crane"), image, queries=120)
    note, nothing = found.notes
    assert nothing == "1 image is in no mean of masks: neither score depends on what is perturbed"
    assert note == "1 of 3 class names differ, such as class 1: 'dog' and 'hound'; classes are compared by index"
    assert found.to_dict(Tolerances())["notes"] == [note, nothing]
    # A name that one of them gives twice has not moved.
    twice = compare(first, named("cat", "dog", "cat"), image, queries=120)
    assert "'crane' and 'cat'" in twice.notes[0]
    assert compare(first, first, image, queries=120).notes == (nothing,)
    assert compare(Regions(REGIONS), Regions(REGIONS), image, queries=120).notes == ()


def test_what_is_not_finite_is_broken_and_none_in_json() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        return np.concatenate([Regions(REGIONS[:1]).scores(images), np.full((len(images), 1), np.nan)], axis=1)

    box = bx.wrap(scores, shape=(1, 64, 64), activation="none")
    found = compare(box, box, Regions(REGIONS).image(), queries=120, **options())
    tolerances = Tolerances(score=math.inf)
    assert not found.verdicts(tolerances)["largest difference of a score"][2]
    whole = json.loads(json.dumps(found.to_dict(tolerances), allow_nan=False))
    assert whole["verdicts"]["largest difference of a score"] == {"found": None, "allowed": None, "kept": False}
    assert whole["rows"][0]["score_difference"] is None
    assert whole["rows"][0]["top"] == [0, 0]


def test_a_model_that_fails_on_every_masked_image_is_named() -> None:
    counting = Counting()
    images = np.concatenate([counting.image()] * 2)
    compare(Regions(REGIONS[:1]), counting, images, **options())
    last = counting.calls
    every = Counting(fails=tuple(range(last, last + 4)))
    with pytest.raises(ModelError, match=r"No image is left to compare; the second model: .*tired"):
        compare(Regions(REGIONS[:1]), every, images, **options())


def test_json_says_what_both_models_share_and_what_is_of_either() -> None:
    exact = Regions(REGIONS[:1])
    estimated = bx.wrap(exact.scores, shape=exact.spec.shape, activation="softmax")
    found = compare(exact, estimated, exact.image(), queries=150, seed=3, **options())
    whole = found.to_dict(Tolerances())
    a, b = whole["models"]
    assert (a["gradients"], b["gradients"]) == ("exact", "estimated")
    assert (a["activation"], b["activation"]) == ("none", "softmax")
    assert a["notes"] == a["assumptions"] == []
    assert b["why_estimated"] == "the black box has none"
    assert "bounds" in " ".join(b["assumptions"])
    assert whole["provenance"]["seed"] == 3
    assert not {"notes", "assumptions", "gradients", "activation"} & set(whole["provenance"])


def test_the_images_that_are_asked_are_those_that_are_told() -> None:
    asked = 0

    def scores(images: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(images)
        return Regions(REGIONS[:1]).scores(images)

    box = bx.wrap(scores, shape=(1, 64, 64), activation="none")
    # Wrapping asks about a few plain images of its own.
    asked = 0
    found = compare(box, Regions(REGIONS[:1]), np.concatenate([Regions(REGIONS).image()] * 2), queries=150, **options())
    assert asked == found.first.queries.sum() + 2 * 2
    assert found.first.queries.sum(axis=1).max() <= 150


def test_models_that_cannot_be_compared() -> None:
    box = Regions(REGIONS[:1])
    with pytest.raises(InputError, match="read different images"):
        compare(box, Regions([box_region((32, 32), (2, 2), (9, 9))]), box.image())
    three = bx.wrap(lambda images: np.ones((len(images), 3)) / 3, shape=(1, 64, 64))
    with pytest.raises(ModelError, match="different classes"):
        compare(box, three, box.image())


def test_a_comparison_prints_what_differs() -> None:
    box = Regions([box_region((24, 24), (6, 6), (16, 16))])
    told = repr(bx.compare(box, box, np.concatenate([box.image()] * 2), steps=2))
    assert told.count("texture") == 4
    assert "kept   largest difference of a score: 0 (at most 0.01)" in told
    assert "BROKEN same top class" not in told


@pytest.mark.parametrize(
    ("options", "message"), [({"target": 1}, "top class of the first model"), ({"progress": True}, "shows no progress")]
)
def test_what_compare_does_not_take(options: dict[str, Any], message: str) -> None:
    box = Regions([box_region((24, 24), (6, 6), (16, 16))])
    with pytest.raises(InputError, match=message):
        bx.compare(box, box, box.image(), **options)
