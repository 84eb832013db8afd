"""Rankings: level sets of a share, their gradient with the area held, and what a ranking says of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import blackbox_explain as bx
from benchmarks.common.ranking_variants import Variant, learned_by
from blackbox_explain.explanation.region import REGION_QUERIES
from blackbox_explain.methods.mask.level_set import LevelSet
from blackbox_explain.methods.mask.ranking import share_at
from blackbox_explain.methods.mask.regularizers import Regularizer
from blackbox_explain.methods.upsampling import mask_shape_for
from tests.toys import Linear, Regions, Scores, box_region

MAPS = np.random.default_rng(0).normal(size=(3, 20, 24))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_a_level_set_has_its_share(share: float) -> None:
    level = LevelSet.of(MAPS, share, 0.05)
    assert level.inside.min() >= 0
    assert level.inside.max() <= 1
    np.testing.assert_allclose((level.inside > 0.5).mean(axis=(1, 2)), share, atol=2 / 480)
    # Of any size and sign of the maps.
    np.testing.assert_allclose(LevelSet.of(7 * MAPS - 3, share, 0.05).inside, level.inside, atol=1e-4)


def test_the_gradient_by_a_map_is_that_of_differences_where_the_area_stays() -> None:
    rng = np.random.default_rng(1)
    level, by_inside = LevelSet.of(MAPS, 0.3, 0.5), rng.normal(size=MAPS.shape)
    edge = level.inside * (1 - level.inside)
    way = rng.normal(size=MAPS.shape)
    way -= (way * edge).sum(axis=(1, 2), keepdims=True) / edge.sum(axis=(1, 2), keepdims=True)
    found = (level.by_map(by_inside) * way).sum(axis=(1, 2))

    def total(step: float) -> np.ndarray:
        # The threshold and the width stay, as they do to first order where the area does.
        threshold = level.width * np.log(1 / level.inside - 1) + MAPS
        inside = 1 / (1 + np.exp((threshold - MAPS - step * way) / level.width))
        return (by_inside * inside).sum(axis=(1, 2))

    np.testing.assert_allclose(found, (total(1e-5) - total(-1e-5)) / 2e-5, rtol=1e-4)


def test_what_only_changes_the_area_moves_nothing() -> None:
    level = LevelSet.of(MAPS, 0.3, 0.3)
    assert np.abs(level.by_map(np.ones_like(MAPS))).max() < 1e-6


def test_shares_lie_evenly_between_the_logarithms_of_least_and_most() -> None:
    places = np.log([share_at(step, 0.02, 0.5) / 0.02 for step in range(1, 41)]) / np.log(25)
    assert np.histogram(places, 8, (0, 1))[0].tolist() == pytest.approx([5] * 8, abs=1)
    assert share_at(3, 0.02, 0.5) == share_at(3, 0.02, 0.5)


def test_a_ranking_is_every_share_of_the_pixels_once() -> None:
    box = Regions([box_region((24, 24), (6, 8), (14, 18))])
    result: Any = bx.explain(box, box.image(), 0, progress=False)
    np.testing.assert_allclose(np.sort(result.saliency, axis=None), (np.arange(576) + 1) / 576, atol=1e-6)
    shown = result.importance(0)
    assert shown.max() == 1.0
    assert (shown == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (result.mask[0] == ~result.region[0]).all()


def test_both_games_share_a_ranking_and_its_region_is_deleted() -> None:
    box = Regions([box_region((48, 48), (10, 12), (30, 30))])
    result: Any = bx.explain(box, box.image(), 0, game="both", progress=False)
    assert result.game == "deletion"
    assert result.provenance.settings["game"] == "both"
    assert result.outcome[0].kind == "ok"
    # What was to be kept is told by the minus before it.
    assert (result.history[0, ::2] >= 0).all()
    assert (result.history[0, 1::2] <= 0).all()


def test_arrays_of_torch_give_the_same_ranking() -> None:
    class Torch(Regions):
        def native(self, array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array)

        def scores(self, images: Any) -> Any:
            found = super().scores(np.asarray(images))
            return torch.tensor(found) if isinstance(images, torch.Tensor) else found

        def scores_and_gradient(self, images: Any, weights: Any) -> Any:
            return tuple(map(torch.tensor, super().scores_and_gradient(np.asarray(images), np.asarray(weights))))

    region = [box_region((24, 24), (6, 8), (14, 18))]
    image = Regions(region).image()
    first = bx.explain(Regions(region), image, 0, progress=False)
    second = bx.explain(Torch(region), image, 0, progress=False)
    np.testing.assert_allclose(second.saliency, first.saliency, atol=0.01)
    np.testing.assert_allclose(second.curve, first.curve, atol=0.02)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("suppress", [0.1, 0.3, 0.45])
def test_the_smallest_region_is_found_to_a_few_pixels(suppress: float, game: Any) -> None:
    # Every pixel counts alike, so that a share of them is that share of the score.
    box = Linear(np.full((1, 40, 40), 1 / 1600))
    image = np.ones((1, 1, 40, 40))
    result = bx.explain(box, image, 0, game=game, perturbation="zero", suppress=suppress, progress=False)
    assert suppress <= result.share[0] <= suppress + 0.006
    assert result.outcome[0].kind == "ok"
    assert result.score_region[0] == pytest.approx(suppress if game == "preservation" else 1 - suppress, abs=0.006)
    np.testing.assert_allclose(
        result.curve[0], result.curve_shares if game == "preservation" else 1 - np.asarray(result.curve_shares)
    )


def test_where_half_of_the_image_does_not_do_the_best_is_told() -> None:
    box = Scores(Linear(np.full((1, 40, 40), 1 / 1600)).scores, (1, 40, 40))
    result = bx.explain(box, np.ones((1, 1, 40, 40)), 0, perturbation="zero", queries=150, progress=False)
    assert result.share[0] == 0.5
    assert "the best, 50.0% of it, takes away 50%" in result.outcome[0].message
    assert result.queries[0, 0] <= 150
    assert REGION_QUERIES < 20


@pytest.mark.parametrize("game", ["deletion", "preservation", "both"])
def test_the_loop_that_variants_are_measured_by_is_the_library_s_own(game: Any) -> None:
    box = Regions([box_region((32, 32), (10, 12), (20, 18))])
    plain: Any = bx.explain(box, box.image(), 0, game=game, progress=False)
    with learned_by(Variant()):
        same: Any = bx.explain(box, box.image(), 0, game=game, progress=False)
    np.testing.assert_allclose(same.saliency, plain.saliency, atol=2e-3)
    others = [Variant(result="last"), Variant(tv_weight=0.5), Variant(two_shares=True)]
    for variant in [*others, Variant(together=True), Variant(coarse=2.0), Variant(mixed_with="noise")]:
        with learned_by(variant):
            other: Any = bx.explain(box, box.image(), 0, game=game, progress=False)
        assert np.abs(other.saliency - plain.saliency).max() > 0.01, variant
        assert other.queries[0, 1] <= plain.queries[0, 1]


def test_places_without_influence_are_ranked_from_the_centre_on() -> None:
    # A sort that is not stable would rank them anyhow.
    weights = np.zeros((1, 4000))
    weights[0, 300:500] = 1.0
    found = bx.explain(Linear(weights), np.ones((1, 1, 4000)), 0, perturbation="zero", progress=False)
    outside = np.r_[np.arange(1000, 4000)]
    distance = np.abs(outside - 1999.5)
    assert spearmanr(found.saliency[0][outside], distance).statistic < -0.95


@pytest.mark.parametrize("shape", [(8000,), (1, 8000), (224, 224)])
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_a_level_set_holds_its_share_of_signals_too(shape: tuple[int, ...], share: float) -> None:
    rng = np.random.default_rng(0)
    held = [(LevelSet.of(rng.random((1, *shape)), share, 1e-3).inside > 0.5).mean() for _ in range(20)]
    np.testing.assert_allclose(held, share, rtol=0.4)


def test_a_mask_of_a_signal_laid_out_as_an_image_costs_as_much() -> None:
    mask = np.random.default_rng(0).random((2, 125))
    penalty = Regularizer(1e-2, 1e-2, 3.0, "anisotropic", "deletion")
    for flat, wide in zip(penalty(mask), penalty(mask[:, None]), strict=True):
        np.testing.assert_allclose(wide.reshape(flat.shape), flat)


@pytest.mark.parametrize(
    ("preset", "game", "gradients"),
    [
        ("quick", "deletion", 10),
        ("quick", "preservation", 14),
        ("quick", "both", 14),
        ("fast", "deletion", 42),
        ("fast", "preservation", 42),
        ("thorough", "deletion", 94),
    ],
)
def test_presets_take_as_many_gradients_as_they_say(preset: Any, game: Any, gradients: int) -> None:
    box = Linear(np.random.default_rng(0).random((1, 12, 12)))
    images = np.random.default_rng(1).random((2, 1, 12, 12))
    found = bx.explain(box, images, 0, preset=preset, game=game, progress=False)
    assert found.queries[:, 1].tolist() == [gradients] * 2


def test_a_mask_has_a_cell_for_each_stride() -> None:
    assert mask_shape_for((224, 168)) == (28, 21)
    assert mask_shape_for((224, 168), stride=6) == (37, 28)
    assert mask_shape_for((224, 168), (5, 6), stride=6) == (5, 6)
    assert mask_shape_for((64, 10), stride=6) == (14, 10)
    with pytest.raises(bx.errors.InputError, match="stride"):
        bx.explain(Linear(np.ones((1, 12, 12))), np.ones((1, 1, 12, 12)), stride=0, progress=False)
