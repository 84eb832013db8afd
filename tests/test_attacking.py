"""Attacks on black boxes whose gradient is known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError
from tests.toys import Linear, Scores

SIGNS = np.where(np.indices((1, 4, 4)).sum(axis=0) % 2, 1.0, -1.0)


def linear(bias: float = 0.0) -> Linear:
    return Linear(SIGNS, bias)


def test_every_pixel_moves_against_its_weight_by_epsilon_and_no_further() -> None:
    images = np.full((2, 1, 4, 4), 0.5)
    found = bx.attack(linear(0.1), images, epsilon=8 / 255)
    np.testing.assert_allclose(found.images, images - 8 / 255 * SIGNS, atol=1e-12)
    # f(x) = 0.1 before, and 16 pixels take 8/255 away each.
    np.testing.assert_allclose(found.score, 0.1)
    np.testing.assert_allclose(found.score_attacked, 0.1 - 16 * 8 / 255)
    assert found.top.tolist() == [0, 0]
    assert found.top_attacked.tolist() == [1, 1]
    assert found.fooled.all()
    assert found.queries.tolist() == [[2, 10], [2, 10]]


def test_two_steps_that_do_not_reach_epsilon() -> None:
    images = np.full((1, 1, 4, 4), 0.5)
    found = bx.attack(linear(0.1), images, epsilon=0.1, step=0.01, steps=2)
    np.testing.assert_allclose(found.images, images - 0.02 * SIGNS)
    assert found.queries.tolist() == [[2, 2]]


def test_values_stay_within_the_bounds() -> None:
    images = np.where(SIGNS > 0, 0.01, 0.99)[None]
    found = bx.attack(linear(), images, 0, epsilon=0.2, step=0.2, steps=1)
    np.testing.assert_allclose(found.images, np.where(SIGNS > 0, 0.0, 1.0)[None])


def test_the_target_decides_which_score_falls() -> None:
    images = np.full((1, 1, 4, 4), 0.5)
    found = bx.attack(linear(0.1), images, 1, epsilon=0.1, step=0.1, steps=1)
    np.testing.assert_allclose(found.images, images + 0.1 * SIGNS)
    assert not found.fooled.any()


def test_labels_that_come_back() -> None:
    """Where attacked pixels are deleted, the bias decides again."""
    box, images = linear(0.1), np.full((2, 1, 4, 4), 0.5)
    attacked = bx.attack(box, images, epsilon=8 / 255)
    masked = attacked.images.copy()
    masked[0] = 0.5
    found = bx.recover(box, masked, attacked.top.tolist())
    assert found.top.tolist() == [0, 1]
    assert found.place.tolist() == [0, 1]
    assert found.leads.tolist() == [True, False]
    assert found.among(2).tolist() == [True, True]


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"epsilon": 1.5}, {"step": -0.1}, {"steps": 0}])
def test_what_is_no_attack(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        bx.attack(linear(), np.zeros((1, 1, 4, 4)), **wrong)


def test_scores_alone_are_not_enough() -> None:
    box = Scores(lambda images: np.tile([0.6, 0.4], (len(images), 1)), (1, 4, 4))
    with pytest.raises(BlackBoxExplainError, match="an attack"):
        bx.attack(box, np.zeros((1, 1, 4, 4)))


@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1]])
def test_labels_that_do_not_fit(labels: list[int]) -> None:
    with pytest.raises(InputError):
        bx.recover(linear(), np.zeros((2, 1, 4, 4)), labels)


def test_of_equal_scores_the_first_leads() -> None:
    box = Scores(lambda images: np.full((len(images), 3), 0.2), (1, 4, 4))
    found = bx.recover(box, np.full((2, 1, 4, 4), 0.5), np.array([0, 2]))
    assert found.top.tolist() == [0, 0]
    assert found.place.tolist() == [0, 2]
    assert found.leads.tolist() == [True, False]


def test_what_is_not_finite_is_no_answer() -> None:
    class Torn(Linear):
        def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scores, gradient = super().scores_and_gradient(images, weights)
            return scores, gradient * np.nan

    images = np.full((1, 1, 4, 4), 0.5)
    with pytest.raises(ModelError, match="NaN or infinity in the gradient"):
        bx.attack(Torn(SIGNS, 0.1), images)
    box = Scores(lambda images: np.full((len(images), 3), np.nan), (1, 4, 4))
    with pytest.raises(ModelError, match="NaN or infinity in the scores"):
        bx.recover(box, images, [0])


@pytest.mark.parametrize("labels", [["cat"], [0.0], [True], [None]])
def test_labels_are_indices(labels: list[Any]) -> None:
    with pytest.raises(InputError, match="Labels are class indices"):
        bx.recover(linear(), np.full((1, 1, 4, 4), 0.5), labels)


@pytest.mark.parametrize("settings", [{"epsilon": "x"}, {"steps": 2.5}, {"steps": "3"}, {"step": float("nan")}])
def test_settings_of_other_types_are_told(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        bx.attack(linear(), np.full((1, 1, 4, 4), 0.5), **settings)


def test_a_step_beyond_epsilon_is_one() -> None:
    found = bx.attack(linear(0.1), np.full((1, 1, 4, 4), 0.5), step=0.1)
    assert found.queries.tolist() == [[2, 1]]
