"""Toys with answers known by hand: what the learner must find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.oracle import Oracle
from blackbox_explain.methods.mask.masked_score import MaskedScore
from blackbox_explain.methods.upsampling import Upsampling
from blackbox_explain.perturbations.level_stack import LevelStack
from tests.toys import Linear, Regions, box_region

SQUARES = {
    1: ((240,), (80,), (130,)),
    2: ((160, 160), (32, 72), (96, 136)),
    3: ((40, 40, 40), (8, 12, 10), (26, 30, 28)),
}


@pytest.fixture
def linear() -> Linear:
    return Linear(np.random.default_rng(0).normal(size=(3, 8, 6)), bias=0.3)


def test_local_rule_of_a_linear_model_is_its_weights_exactly(linear: Linear) -> None:
    images = np.random.default_rng(1).random((2, 3, 8, 6))
    found = bx.explain(linear, images, 0, method="gradient", progress=False)
    np.testing.assert_array_equal(found.attribution, np.stack([linear.weights] * 2))
    np.testing.assert_array_equal(found.saliency, np.abs(found.attribution).max(axis=1))
    times = bx.explain(linear, images, 0, method="gradient-times-input", progress=False)
    np.testing.assert_array_equal(times.attribution, linear.weights * images)
    np.testing.assert_array_equal(times.saliency, times.attribution.sum(axis=1))
    lead = bx.explain(linear, images, bx.Difference(0, 1), method="gradient", progress=False)
    np.testing.assert_array_equal(lead.attribution, np.stack([2 * linear.weights] * 2))


def test_deletion_rule_through_the_mask_is_weights_times_input(linear: Linear) -> None:
    images = np.random.default_rng(1).random((2, 3, 8, 6))
    levels = bx.Constant(0.0).levels(images, linear.spec, seed=0)
    identity = (np.eye(8), np.eye(6))
    stack = LevelStack(levels, (8, 6))
    weights = np.tile([1.0, 0.0], (2, 1))
    score = MaskedScore(Oracle.of(linear, 2), Upsampling(identity, identity), stack, stack, weights)
    _, by_mask = score.value_and_gradient(np.ones((2, 8, 6)))
    np.testing.assert_allclose(by_mask, np.sum(linear.weights * images, axis=1), rtol=1e-13)


# On a linear score the paper's own λ1 makes a margin of more than a cell worth its price; this λ1 does not.
PRICE = 3e-3


@pytest.mark.parametrize("perturbation", ["blur", "constant", "noise"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_deletion_covers_the_one_region_that_is_read(axes: int, perturbation: str) -> None:
    region, box = one_square(axes)
    result = bx.explain(box, box.image(), 0, perturbation=perturbation, progress=False)
    assert result.score[0] > 0.99
    assert result.outcome[0].kind == "ok"
    assert overlap(result.region[0], region) >= 0.8


@pytest.mark.parametrize("perturbation", ["blur", "constant", "noise"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_preservation_keeps_the_one_region_that_is_read(axes: int, perturbation: str) -> None:
    region, box = one_square(axes)
    result = bx.explain(box, box.image(), 0, game="preservation", perturbation=perturbation, progress=False)
    assert result.outcome[0].kind == "ok"
    assert overlap(result.region[0], region) >= 0.8


@pytest.mark.parametrize(("preset", "perturbation"), [("paper", "constant"), ("paper", "noise"), ("authors", "blur")])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_presets_of_the_paper_find_the_region_too(preset: str, perturbation: str, game: str) -> None:
    region, box = one_square(2)
    options = {"preset": preset, "perturbation": perturbation, "area_weight": PRICE, "progress": False}
    result = bx.explain(box, box.image(), 0, game=game, **options)
    assert overlap(result.saliency[0] > 0.5, region) >= 0.6


def test_per_pixel_blur_finds_the_region_but_stops_where_a_little_blur_is_enough() -> None:
    region, box = one_square(2)
    result = bx.explain(box, box.image(), 0, preset="paper", area_weight=PRICE, progress=False)
    saliency = result.saliency[0]
    assert result.suppression[0] > 0.8
    assert saliency.max() < 0.5
    assert overlap(saliency > saliency.max() / 2, region) >= 0.6


@pytest.mark.parametrize("options", [{"preset": "fast"}, {"preset": "authors", "area_weight": 1e-3}])
def test_two_sufficient_regions_are_both_deleted_but_only_one_is_preserved(options: dict[str, Any]) -> None:
    regions = [box_region((160, 160), (20, 20), (68, 76)), box_region((160, 160), (88, 84), (140, 140))]
    box = Regions(regions)
    deleted = bx.explain(box, box.image(), 0, progress=False, **options)
    kept = bx.explain(box, box.image(), 0, game="preservation", progress=False, **options)
    assert [deleted.region[0][region].mean() > 0.75 for region in regions] == [True, True]
    assert sorted(kept.region[0][region].mean() > 0.5 for region in regions) == [False, True]
    assert kept.outcome[0].kind == "ok"


def one_square(axes: int) -> tuple[np.ndarray, Regions]:
    region = box_region(*SQUARES[axes])
    return region, Regions([region])


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return np.sum(found & truth) / np.sum(found | truth)
