"""Saliency maps as predictors of deletions."""

from __future__ import annotations

import json

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.errors import InputError
from blackbox_explain.rules.studies.saliency_maps import compare_predictors, maps_of
from tests.rules.toys import attribution
from tests.toys import Linear, Regions, Scores, box_region

SHAPE = (3, 24, 20)
PATTERN = box_region((32, 32), (6, 6), (18, 18))


class Saturated(Regions):
    """Half of the contrast is enough: at the image itself the score is flat, and the gradient zero."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        score = np.minimum(1, 2 * super().scores(images)[:, 0])
        return np.stack([score, 1 - score], axis=1)

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        contrast, gradient = super().scores_and_gradient(images, weights)
        return self.scores(images), 2 * gradient * (contrast[:, 0] < 0.5)[:, None, None, None]


def linear() -> tuple[Linear, np.ndarray]:
    generator = np.random.default_rng(0)
    return Linear(generator.normal(size=SHAPE) / 100), generator.random((2, *SHAPE)).astype(np.float32)


def test_gradient_times_input_is_never_wrong_about_a_linear_model_and_deletion_to_zero() -> None:
    box, images = linear()
    good = attribution(box, images, 0, "gradient-times-input").sum(axis=1)
    maps = {"S2": good, "minus S2": -good, "constant": np.ones_like(good)}
    found = compare_predictors(box, images, 0, maps, by="zero", area=0.3, pairs=50, margin=0.0, progress=False)
    best, guess, worst = found.rows
    assert (best.name, best.errors, best.n) == ("S2", 0, 100)
    assert best.correlation == pytest.approx(1.0)
    assert (best.low, best.high) == clopper_pearson(0, 100)
    assert (worst.name, worst.errors) == ("minus S2", 100)
    assert worst.correlation == pytest.approx(-1.0)
    assert guess.name == "constant"
    assert guess.low < 0.5 < guess.high
    assert np.isnan(guess.correlation)
    assert (best.uncorrelated, guess.uncorrelated) == (0, 2)
    assert next(line for line in found.summary().splitlines() if line.startswith("constant ")).endswith(" –")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"][1]["correlation"] is None


def test_one_image_whose_map_says_nothing_leaves_the_correlation_of_the_others() -> None:
    box, images = linear()
    good = attribution(box, images, 0, "gradient-times-input").sum(axis=1)
    good[1] = 1
    options = {"by": "zero", "area": 0.3, "pairs": 50, "margin": 0.0, "times": 0, "progress": False}
    found = compare_predictors(box, images, 0, {"S2": good}, **options)  # type: ignore[arg-type]
    assert found.rows[0].correlation == pytest.approx(1.0)
    assert found.rows[0].uncorrelated == 1
    assert "rank corr. of S2 without 1 of 2 images: nothing varies" in found.summary()


def test_scores_without_end_are_compared_and_no_number_in_json() -> None:
    def scores(images: np.ndarray) -> np.ndarray:
        value = images.mean(axis=(1, 2, 3))
        return np.stack([np.where(value > 0.3, value, -np.inf), 0 * value], axis=1)

    images = np.random.default_rng(1).random((2, *SHAPE)).astype(np.float32)
    maps = {"mass": images.sum(axis=1)}
    box = Scores(scores, SHAPE)
    options = {"by": "zero", "area": 0.4, "pairs": 30, "margin": 0.0, "times": 0, "progress": False}
    found = compare_predictors(box, images, 0, maps, **options)  # type: ignore[arg-type]
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.rows[0].correlation > 0.5


@pytest.mark.parametrize("options", [{"confidence": 95}, {"seed": -1}, {"batch_size": 0}])
def test_settings_are_checked_before_the_model_is_asked(options: dict[str, int]) -> None:
    box, images = linear()
    with pytest.raises(InputError, match=f"{next(iter(options))}="):
        compare_predictors(box, images, 0, progress=False, **options)  # type: ignore[arg-type]


def test_where_a_model_saturates_the_learned_mask_tells_more_than_the_gradient() -> None:
    box = Saturated([PATTERN])
    found = compare_predictors(box, box.image(), "texture", pairs=300, area=0.25, progress=False)
    errors = {one.name: one.error for one in found.rows}
    assert set(errors) == {"gradient", "gradient × input", "learned mask", "centre of the image"}
    assert errors["learned mask"] < 0.05
    assert 0.3 < errors["gradient"] < 0.7
    assert 0.3 < errors["gradient × input"] < 0.7
    lines = found.summary().splitlines()
    assert lines[0] == "Which of two deletions (25 % of the image, blur) lowers the score more?"
    assert len(lines) == 13
    regions = {one.name: one.region for one in found.rows}
    assert regions["learned mask"] is not None
    assert regions["learned mask"].error == 0
    assert regions["centre of the image"] is not None
    assert regions["centre of the image"].error > 0.5
    assert max(map(len, lines)) <= 80


def test_the_same_deletions_whatever_the_maps_and_the_batches() -> None:
    box, images = linear()
    maps = {"S2": attribution(box, images, 0, "gradient-times-input").sum(axis=1)}
    found = [
        compare_predictors(box, images, 0, some, pairs=10, batch_size=size, progress=False, margin=0.0, times=0).rows
        for some, size in ((maps, 32), (maps, 7), ({**maps, "other": np.ones((2, 24, 20))}, 32))
    ]
    assert found[0] == found[1]
    assert [one for one in found[2] if one.name == "S2"] == list(found[0])


def test_scores_suffice_for_the_learned_mask() -> None:
    toy = Regions([PATTERN])
    box = Scores(toy.scores, toy.spec.shape)
    maps = maps_of(box, toy.image(), 0)
    assert set(maps) == {"learned mask", "centre of the image"}
    found = compare_predictors(box, toy.image(), 0, maps, pairs=100, progress=False)
    assert next(one for one in found.rows if one.name == "learned mask").error < 0.2


def test_what_cannot_be_compared() -> None:
    box, images = linear()
    right = np.ones((2, 24, 20))
    for maps, options in (
        ({}, {}),
        ({"a": right[:1]}, {}),
        ({"a": right * np.nan}, {}),
        ({"a": right}, {"area": 0.0}),
        ({"a": right}, {"area": 1.0}),
        ({"a": right}, {"pairs": 1}),
        ({"a": right}, {"margin": -1.0}),
        ({"a": right}, {"by": "paint"}),
        ({"a": right}, {"margin": 100.0}),
    ):
        with pytest.raises(InputError):
            compare_predictors(box, images, 0, maps, progress=False, **{"pairs": 3, **options})  # type: ignore[arg-type]
    with pytest.raises(InputError):
        compare_predictors(box, images[:, :1], 0, progress=False)


def test_signals_too() -> None:
    box = Linear(np.random.default_rng(0).normal(size=(2, 60)))
    images = np.random.default_rng(1).random((1, 2, 60))
    maps = {"S2": attribution(box, images, 0, "gradient-times-input").sum(axis=1)}
    found = compare_predictors(box, images, bx.Difference(0, 1), maps, by="zero", pairs=10, margin=0.0, progress=False)
    assert found.rows[0].errors == 0
    assert found.rows[0].region is None


def test_of_a_photo_the_learned_region_decides_more_often_than_the_gradients(
    default_box: bx.BlackBox, sample_images: np.ndarray
) -> None:
    found = compare_predictors(default_box, sample_images[1:2], pairs=10, times=10, progress=False)
    regions = {one.name: one.region for one in found.rows}
    learned, slope = regions["learned mask"], regions["gradient"]
    assert learned is not None
    assert slope is not None
    assert learned.error < slope.error
