"""Infidelity: zero for the gradient of a linear model, by hand and as Captum computes it, scaled, and refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.entry_points import entry_points
from blackbox_explain.errors import InputError, ModelError, NotMeasurableError
from blackbox_explain.methods.by_name import METHODS
from blackbox_explain.metrics.infidelity import NO_SLOPES, Infidelity
from tests.metrics.drawn import value_of, values_of
from tests.toys import Faulty, Linear

RNG = np.random.default_rng(0)
BOX = Linear(RNG.normal(size=(2, 4, 4)))
IMAGES = RNG.random((3, 2, 4, 4))


class Squared:
    """f(x) = ½ Σ w x² in two classes, f and -f; its gradient is w x."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights, self.spec = weights, bx.InputSpec(weights.shape)

    def scores(self, images: np.ndarray) -> np.ndarray:
        value = (self.weights * images**2).reshape(len(images), -1).sum(axis=1) / 2
        return np.stack([value, -value], axis=1)

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        factor = (weights[:, 0] - weights[:, 1]).reshape(-1, 1, 1, 1)
        return self.scores(images), factor * self.weights * images


def by_gradient(box: Any = BOX, images: np.ndarray = IMAGES) -> bx.Explanation:
    return bx.explain(box, images, 0, method="gradient", progress=False)


def test_the_gradient_of_a_linear_model_predicts_all() -> None:
    np.testing.assert_allclose(values_of(Infidelity(), by_gradient(), BOX), 0, atol=1e-20)


def test_of_nothing_it_is_the_variance_of_the_change() -> None:
    # f(x) − f(x − I) = ⟨w, I⟩, whose variance is σ² ‖w‖².
    explained = by_gradient()
    nothing = dataclasses.replace(explained, attribution=0 * IMAGES)
    found = values_of(Infidelity(0.1, draws=4000), nothing, BOX)
    np.testing.assert_allclose(found, 0.01 * (BOX.weights**2).sum(), rtol=0.1)


def test_a_factor_is_forgiven_where_that_is_asked_for() -> None:
    explained = by_gradient()
    half = dataclasses.replace(explained, attribution=explained.attribution / 2)
    assert min(values_of(Infidelity(), half, BOX)) > 0.01
    np.testing.assert_allclose(values_of(Infidelity(scale=True), half, BOX), 0, atol=1e-20)
    nothing = dataclasses.replace(explained, attribution=0 * IMAGES)
    assert values_of(Infidelity(scale=True), nothing, BOX) == values_of(Infidelity(), nothing, BOX)


def test_it_is_that_of_captum() -> None:
    metrics = pytest.importorskip("captum.metrics")
    import torch

    weights = RNG.normal(size=(2, 4, 4))
    box, draws = Squared(weights), 7
    explained = by_gradient(box)
    noises = 0.2 * np.random.default_rng([0, 0x696E6664]).standard_normal((draws, 2, 4, 4))

    def forward(images: Any) -> Any:
        return (torch.tensor(weights) * images**2).sum(dim=(1, 2, 3)) / 2

    def perturb(images: Any) -> Any:
        noise = torch.tensor(np.tile(noises, (len(images) // draws, 1, 1, 1)))
        return noise, images - noise

    expected = metrics.infidelity(
        forward, perturb, torch.tensor(IMAGES), torch.tensor(explained.attribution), n_perturb_samples=draws
    )
    np.testing.assert_allclose(values_of(Infidelity(draws=draws), explained, box), expected.numpy(), rtol=1e-9)


def test_maps_without_signs_are_refused_and_others_are_not() -> None:
    explained = by_gradient()
    unsigned = dataclasses.replace(explained, attribution=None, method="unsigned")
    with pytest.raises(NotMeasurableError, match="'unsigned' tells no signs"):
        values_of(Infidelity(), unsigned, BOX)
    found = bx.evaluate(BOX, {"one": unsigned, "other": explained}, [Infidelity()], progress=False)
    assert list(found["one", "infidelity"].failures) == [0, 1, 2]
    assert found["other", "infidelity"].measured == 3


def test_methods_that_tell_shares_are_named_as_they_are_called() -> None:
    assert {entry.name for entry in entry_points(METHODS)} >= NO_SLOPES
    assert not NO_SLOPES & {"gradient", "smoothgrad", "guided-backprop", "deconvnet"}


def test_shares_of_the_score_are_no_slopes() -> None:
    shares = bx.explain(BOX, by_gradient().images, 0, method="integrated-gradients", progress=False)
    with pytest.raises(NotMeasurableError, match="'integrated-gradients' tells shares of the score"):
        values_of(Infidelity(), shares, BOX)


def test_scores_that_are_not_finite_are_failures() -> None:
    images = np.full((1, 1, 6, 6), 0.5)
    explained = by_gradient(Linear(np.full((1, 6, 6), 1 / 36)), images)
    with pytest.raises(ModelError, match="not finite"):
        value_of(Infidelity(), explained, Faulty(lambda good: np.nan * good, (1, 6, 6)))


@pytest.mark.parametrize(
    "settings",
    [
        {"sigma": 0},
        {"sigma": np.inf},
        {"draws": 0},
        {"draws": 2.5},
        {"draws": True},
        {"draws": 10**12},
        {"sigma": "ten"},
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="out of range"):
        Infidelity(**settings)
