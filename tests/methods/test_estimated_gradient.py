"""Gradients estimated from scores: right where they are known, within budget, the same whatever the company."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import blackbox_explain as bx
from blackbox_explain.arrays import gaussian_matrix
from blackbox_explain.methods.mask.estimated_gradient import QueryPlan, SlopeModel
from blackbox_explain.perturbations.level_stack import LevelStack
from tests.methods.test_known_answers import overlap
from tests.toys import Linear, Regions, Scores, box_region

CELLS = (12, 12)


class ScoresOnly:
    """Another black box with its gradient hidden; counts what it is asked."""

    def __init__(self, box: bx.BlackBox) -> None:
        self.spec = box.spec
        self.asked = 0
        self._box = box

    def scores(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        # One at a time: NumPy sums in an order that depends on the number of images.
        return np.concatenate([self._box.scores(images[row : row + 1]) for row in range(len(images))])


def smooth_slope(rng: np.random.Generator) -> np.ndarray:
    matrix = gaussian_matrix(12, 12, 2.0)
    return matrix @ rng.standard_normal(CELLS) @ matrix.T


def test_the_slope_of_a_linear_score_is_found() -> None:
    rng = np.random.default_rng(0)
    slope = smooth_slope(rng)
    model = SlopeModel(CELLS, odds=False, half_life=20)
    plan, mask = QueryPlan(budget=2000, calls=60, seed=0), np.full(CELLS, 0.5)
    for call in range(60):
        masks = mask + plan.amplitude(call) * plan.probes(call, 20, CELLS)
        model.learn(masks, 3 + np.tensordot(masks, slope, 2))
    score, found = model.at(mask)
    assert score == pytest.approx(3 + np.sum(mask * slope), abs=1e-2)
    assert np.corrcoef(found.ravel(), slope.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("level", [-9.0, 0.0, 6.0])
def test_probabilities_are_fitted_where_they_are_flat(level: float) -> None:
    rng = np.random.default_rng(1)
    slope = smooth_slope(rng)
    model = SlopeModel(CELLS, odds=True, half_life=20)
    plan, mask = QueryPlan(budget=2000, calls=60, seed=0), np.full(CELLS, 0.5)
    middle = level - np.sum(mask * slope)
    for call in range(60):
        masks = mask + plan.amplitude(call) * plan.probes(call, 20, CELLS)
        model.learn(masks, 1 / (1 + np.exp(-middle - np.tensordot(masks, slope, 2))))
    score, found = model.at(mask)
    true = 1 / (1 + np.exp(-level))
    assert score == pytest.approx(true, rel=0.02)
    expected = true * (1 - true) * slope
    assert np.sum(found * expected) / np.sum(expected**2) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("level", [-3.0, -4.5, -6.0])
def test_the_slope_of_scores_in_steps_of_a_byte_is_found_near_zero(level: float) -> None:
    plan, mask = QueryPlan(budget=2000, calls=20, seed=0), np.full(CELLS, 0.5)
    slope = 3 * smooth_slope(np.random.default_rng(1))
    found = []
    for steps in (256, 1e9):
        model = SlopeModel(CELLS, odds=True, half_life=20)
        for call in range(20):
            masks = mask + plan.amplitude(call) * plan.probes(call, 20, CELLS)
            odds = np.tensordot(masks - mask, slope, 2) + level
            model.learn(masks, np.rint(steps / (1 + np.exp(-odds))) / steps)
        found.append(model.at(mask)[1])
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.95


def test_scores_that_are_no_probabilities_are_fitted_as_they_are() -> None:
    model = SlopeModel(CELLS, odds=True, half_life=20)
    masks = np.clip(0.5 + 0.2 * QueryPlan(1000, 10, 0).probes(0, 101, CELLS), 0, 1)
    model.learn(masks, -7 + masks.mean(axis=(1, 2)))
    assert model.at(np.full(CELLS, 0.5))[0] == pytest.approx(-6.5, abs=0.05)


def test_where_deleting_changes_nothing_no_slope_is_expected() -> None:
    rng = np.random.default_rng(2)
    slope, changes = np.zeros(CELLS), np.zeros(CELLS)
    slope[:, 6:] = np.abs(smooth_slope(rng))[:, 6:]
    changes[:, 6:] = 1.0
    masks = 0.5 + 0.2 * QueryPlan(1000, 10, 0).probes(0, 40, CELLS)
    answers = np.tensordot(masks, slope, 2)
    found = {}
    for name, expected in (("no", None), ("its own", changes), ("no change at all", 0 * changes)):
        model = SlopeModel(CELLS, odds=False, half_life=20, changes=expected)
        model.learn(masks, answers)
        found[name] = model.at(masks[0])[1]
    np.testing.assert_array_equal(found["no change at all"], found["no"])
    error = {name: float(np.sum((one - slope) ** 2)) for name, one in found.items()}
    assert error["its own"] < 0.7 * error["no"]
    assert np.abs(found["its own"][:, :4]).max() < 0.2 * np.abs(found["no"][:, :4]).max()


def test_level_sets_that_are_asked_about_have_the_share() -> None:
    from blackbox_explain.methods.mask.level_set import LevelSet

    map_ = smooth_slope(np.random.default_rng(3))
    probes = QueryPlan(1000, 10, 0).probes(0, 20, CELLS)
    for share in (0.1, 0.4):
        inside = 1 - LevelSet.of(map_ + map_.std() * probes, share, 0.05).kept("deletion")
        np.testing.assert_allclose(inside.mean(axis=(1, 2)), share, atol=0.04)
        assert np.abs(inside[0::2] - inside[1::2]).mean() > share / 2  # and they are far from each other


class Contrasts:
    """Two labels that may both be present, each of its own region; their sum leaves 0 to 1."""

    def __init__(self) -> None:
        self.regions = [box_region((64, 64), (8, 8), (32, 32)), box_region((64, 64), (34, 34), (58, 58))]
        self.spec = bx.InputSpec((1, 64, 64))

    def scores(self, images: np.ndarray) -> np.ndarray:
        return np.stack([np.mean(np.abs(2 * images[:, 0, one] - 1), axis=1) for one in self.regions], axis=1)

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = np.stack([one / one.sum() for one in self.regions])
        return self.scores(images), 2 * np.sign(images - 0.5) * np.tensordot(weights, shares, 1)[:, None]


@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_sums_that_leave_zero_to_one_only_later_are_not_clipped(game: Any) -> None:
    box, texture = Contrasts(), Regions(Contrasts().regions).image()
    options: dict[str, Any] = {"perturbation": "constant", "progress": False, "game": game}
    exact = bx.explain(box, texture, bx.Labels(0, 1), **options)
    assert exact.score_perturbed[0] < 1 < exact.score[0]
    found = bx.explain(ScoresOnly(box), texture, bx.Labels(0, 1), queries=1000, **options)
    assert found.outcome == exact.outcome
    assert found.share[0] < 1.2 * exact.share[0]


def test_probes_come_in_pairs_and_fewer_are_the_first_of_more() -> None:
    plan = QueryPlan(1000, 10, 3)
    probes = plan.probes(4, 9, CELLS)
    np.testing.assert_array_equal(probes[0:8:2], -probes[1:8:2])
    assert not probes[8].any()
    np.testing.assert_array_equal(plan.probes(4, 4, CELLS), probes[:4])
    assert not np.array_equal(plan.probes(5, 4, CELLS), probes[:4])


@pytest.mark.parametrize(("budget", "calls"), [(1000, 40), (503, 300), (150, 300)])
def test_a_plan_spends_its_budget_and_no_more(budget: int, calls: int) -> None:
    plan, used = QueryPlan(budget, calls, 0), 0
    for call in range(calls):
        used += plan.due(call, used)
    assert used == budget


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("levels", [2, 5])
def test_several_masks_of_each_image_are_those_of_each_alone(levels: int, array: Any) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((levels, 3, 2, 10, 12))
    stack, alone = LevelStack(array(values), (8, 9)), LevelStack(values, (8, 9))
    # Memory is used again, whether fewer or more are asked for.
    for rows in ([0, 0, 0, 1, 2, 2, 2], [1, 1], [], [0] * 5 + [2] * 9):
        masks = rng.random((len(rows), 8, 9))
        found = stack.images(array(masks), np.asarray(rows, dtype=np.int64), (1, 2))
        assert found.shape == (len(rows), 2, 8, 9)
        for mask, row, image in zip(masks, rows, found, strict=True):
            expected = alone.take(np.asarray([row])).mixed(mask[None], (1, 2))[0]
            np.testing.assert_allclose(np.asarray(image), expected[0], atol=1e-12)


@pytest.mark.parametrize("preset", ["fast", "paper", "authors"])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_a_known_region_is_found_from_scores_alone(preset: Any, game: Any) -> None:
    region = box_region((96, 96), (24, 20), (64, 56))
    box = Regions([region])
    hidden = ScoresOnly(box)
    options: dict[str, Any] = {"perturbation": "constant", "queries": 2500}
    options |= {} if preset == "fast" else {"area_weight": 1e-3}
    result = bx.explain(hidden, box.image(), 0, game=game, preset=preset, progress=False, **options)
    assert overlap(result.region[0], region) >= 0.5
    assert result.provenance.gradients == "estimated"
    assert result.provenance.why_estimated == "the black box has none"
    assert "estimated from scores: the black box has none" in result.summary()
    assert f"{result.queries[0].sum()} queries" in result.summary()


@pytest.mark.parametrize("preset", ["fast", "paper", "authors"])
def test_the_budget_holds_and_is_reported(preset: Any) -> None:
    box = Regions([box_region((64, 64), (8, 8), (40, 40))])
    hidden = ScoresOnly(box)
    done: list[int] = []
    result = bx.explain(hidden, box.image(), 0, preset=preset, queries=400, progress=done.append)
    assert hidden.asked == result.queries[0, 0] <= 400
    assert hidden.asked > 380
    assert result.queries[0, 1] == 0
    assert sum(done) == 400


@pytest.mark.parametrize("preset", ["fast", "authors"])
def test_no_row_depends_on_its_company(preset: Any) -> None:
    box = Regions([box_region((48, 48), (8, 8), (30, 30)), box_region((48, 48), (30, 24), (44, 44))])
    rng = np.random.default_rng(0)
    images = np.concatenate([box.image(), box.image()[:, :, ::-1], rng.random((1, 1, 48, 48))])
    options: dict[str, Any] = {"preset": preset, "queries": 300, "progress": False}
    together = bx.explain(ScoresOnly(box), images, 0, **options)
    alone = [bx.explain(ScoresOnly(box), images[row : row + 1], 0, **options) for row in range(3)]
    np.testing.assert_array_equal(together.mask, np.concatenate([one.mask for one in alone]))
    np.testing.assert_array_equal(together.queries, np.concatenate([one.queries for one in alone]))


def test_signals_and_differences_of_scores() -> None:
    weights = np.zeros((1, 96))
    weights[0, 30:50] = 1 / 20
    hidden = ScoresOnly(Linear(weights))
    signal = np.ones((1, 1, 96))
    options: dict[str, Any] = {
        "perturbation": bx.Constant(0.0),
        "preset": "authors",
        "queries": 1500,
        "area_weight": 3e-3,
    }
    result = bx.explain(hidden, signal, bx.Difference(0, 1), progress=False, **options)
    assert overlap(result.region[0], weights[0] > 0) > 0.5


def test_the_sum_of_the_top_classes_and_the_difference_of_two_are_explained_from_scores() -> None:
    left, right, other = (box_region((64, 64), (8, a), (40, b)) for a, b in ((4, 24), (24, 44), (44, 60)))

    def scores(images: np.ndarray) -> np.ndarray:
        contrasts = np.stack([np.abs(2 * images[:, 0, one] - 1).mean(axis=1) for one in (left, right, other)], axis=1)
        return contrasts * np.asarray([0.5, 0.4, 0.1])

    image = Regions([left]).image()
    options: dict[str, Any] = {"perturbation": "constant", "queries": 2000, "area_weight": 1e-3}
    options.update(preset="authors", progress=False)
    top = bx.explain(Scores(scores, (1, 64, 64)), image, bx.Top(2), **options)
    assert overlap(top.saliency[0] > 0.5, left | right) > 0.6
    assert top.saliency[0][left].mean() > 0.6
    assert top.saliency[0][right].mean() > 0.5
    difference = bx.explain(Scores(scores, (1, 64, 64)), image, bx.Difference(0, 1), **options)
    # Without what is for 0, with what is for 1.
    assert difference.saliency[0][left].mean() > 0.5
    assert difference.saliency[0][right].mean() < 0.1


@pytest.mark.parametrize("preset", ["fast", "authors"])
def test_a_region_is_found_from_scores_in_steps_of_a_byte(preset: Any) -> None:
    region = box_region((64, 64), (16, 12), (44, 40))
    box = Regions([region])

    def scores(images: np.ndarray) -> np.ndarray:
        odds = 14 * box.scores(images)[:, 0] - 8
        return 1 / (1 + np.exp(-np.stack([odds, -odds], axis=1)))

    def in_steps(images: np.ndarray) -> np.ndarray:
        return np.rint(256 * scores(images)) / 256

    image = box.image()
    options: dict[str, Any] = {"perturbation": "constant", "queries": 1000, "progress": False, "preset": preset}
    smooth, result = (bx.explain(Scores(one, (1, 64, 64)), image, 0, **options) for one in (scores, in_steps))
    assert result.suppression[0] > smooth.suppression[0] - 0.03
    assert result.objective[0] < 1.1 * smooth.objective[0] + 0.03
    assert np.isfinite(result.history[0]).all()
    assert overlap(result.region[0], region) > 0.6
