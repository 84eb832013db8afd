"""Max-sensitivity: zero for maps that never change, by hand and as Captum computes it; methods made again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError, NotMeasurableError
from blackbox_explain.methods.gradients import Gradient
from blackbox_explain.metrics.max_sensitivity import MaxSensitivity
from tests.metrics.drawn import value_of, values_of
from tests.metrics.test_infidelity import BOX, Squared, by_gradient
from tests.toys import Linear, Scores

WEIGHTS = np.random.default_rng(3).normal(size=(1, 4, 4))
MIDDLE = 0.4 + 0.2 * np.random.default_rng(4).random((3, 1, 4, 4))
"""Images that noise of 0.1 does not take out of pixel space."""


def moves(draws: int) -> np.ndarray:
    """Return the δ that are drawn for a radius of 0.1."""
    return 0.1 * np.random.default_rng([0, 0x73656E73]).uniform(-1, 1, size=(draws, 1, 4, 4))


def test_the_gradient_of_a_linear_model_never_moves() -> None:
    assert values_of(MaxSensitivity(), by_gradient(), BOX) == [0.0, 0.0, 0.0]


def test_by_hand() -> None:
    # The map is |w x|, of one channel, and w (x + δ) has the sign of w x everywhere.
    box = Squared(WEIGHTS)
    explained = by_gradient(box, MIDDLE)
    found = values_of(MaxSensitivity(0.1, draws=5), explained, box)
    changes = np.linalg.norm((WEIGHTS * moves(5)).reshape(5, -1), axis=1)
    maps = np.linalg.norm((WEIGHTS * MIDDLE).reshape(3, -1), axis=1)
    np.testing.assert_allclose(found, changes.max() / maps)


def test_it_is_that_of_captum() -> None:
    metrics = pytest.importorskip("captum.metrics")
    import torch

    box, draws = Squared(WEIGHTS), 6

    def explain(images: Any) -> Any:
        (given,) = images if isinstance(images, tuple) else (images,)
        return (torch.abs(torch.tensor(WEIGHTS) * given),)

    def perturb(images: Any) -> Any:
        (given,) = images if isinstance(images, tuple) else (images,)
        return given + torch.tensor(np.tile(moves(draws), (len(given) // draws, 1, 1, 1)))

    expected = metrics.sensitivity_max(explain, torch.tensor(MIDDLE), perturb_func=perturb, n_perturb_samples=draws)
    found = values_of(MaxSensitivity(0.1, draws), by_gradient(box, MIDDLE), box)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9)


def test_images_stay_in_pixel_space() -> None:
    class Bounded(Squared):
        def scores(self, images: np.ndarray) -> np.ndarray:
            assert images.min() >= 0
            assert images.max() <= 1
            return super().scores(images)

    box = Bounded(WEIGHTS)
    assert np.isfinite(values_of(MaxSensitivity(1.0), by_gradient(box, MIDDLE), box)).all()


def test_masks_are_learned_again_from_their_settings() -> None:
    box = Squared(np.abs(np.random.default_rng(5).normal(size=(1, 16, 16))) + 0.1)
    images = 0.5 + 0.4 * np.random.default_rng(6).random((2, 1, 16, 16))
    explained = bx.explain(box, images, 0, preset="paper", steps=3, perturbation="zero", progress=False)
    found = values_of(MaxSensitivity(0.05, draws=2), explained, box)
    assert np.isfinite(found).all()
    own = bx.explain(box, images, 0, preset="paper", steps=3, perturbation=bx.Constant(0.2), progress=False)
    with pytest.raises(
        NotMeasurableError, match=r"finds another map|cannot be made again.*MaxSensitivity\(method=...\)"
    ):
        values_of(MaxSensitivity(0.05, draws=2), own, box)


def test_a_method_of_your_own_is_given() -> None:
    class Bright:
        name: ClassVar[str] = "bright"

        def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Any:
            return SimpleNamespace(saliency=images[:, 0], failures={})

    explained = by_gradient(Squared(WEIGHTS), MIDDLE)
    found = values_of(MaxSensitivity(0.1, 4, Bright()), explained, Squared(WEIGHTS))
    changes = np.linalg.norm(moves(4).reshape(4, -1), axis=1)
    np.testing.assert_allclose(found, changes.max() / np.linalg.norm(MIDDLE.reshape(3, -1), axis=1))


def test_another_model_does_not_find_the_map_again() -> None:
    explained = by_gradient(Linear(WEIGHTS), MIDDLE)
    with pytest.raises(NotMeasurableError, match="finds another map"):
        values_of(MaxSensitivity(), explained, Linear(WEIGHTS[:, ::-1]))
    # Of a method that is given, it is the map of the model that is asked.
    assert values_of(MaxSensitivity(method=Gradient()), explained, Linear(WEIGHTS[:, ::-1])) == [0.0] * 3


def test_a_method_needs_what_the_box_has() -> None:
    blind = Scores(Linear(WEIGHTS).scores, (1, 4, 4))
    with pytest.raises(NotMeasurableError, match="gradient"):
        values_of(MaxSensitivity(), by_gradient(Linear(WEIGHTS), MIDDLE), blind)


def test_a_method_that_is_not_known_is_refused() -> None:
    import dataclasses

    explained = dataclasses.replace(by_gradient(), method="of-another-package")
    with pytest.raises(NotMeasurableError, match="'of-another-package' cannot be made again"):
        values_of(MaxSensitivity(), explained, BOX)


def test_failures_of_the_method_are_failures_of_the_row() -> None:
    class Fails:
        name: ClassVar[str] = "fails"

        def explain(self, oracle: Any, images: Any, weights: Any, seed: int) -> Any:
            dark = np.flatnonzero(images.mean(axis=(1, 2, 3)) < 0.5)
            return SimpleNamespace(saliency=images[:, 0], failures={int(row): ModelError("dark") for row in dark})

    images = np.full((2, 1, 4, 4), 0.2)
    images[1] = 0.8
    explained = by_gradient(Squared(WEIGHTS), images)
    found = bx.evaluate(Squared(WEIGHTS), explained, [MaxSensitivity(0.1, 2, Fails())], progress=False).measurements[0]
    assert list(found.failures) == [0]
    assert found.measured == 1


def test_a_map_of_nothing_has_no_relative_change() -> None:
    assert np.isnan(value_of(MaxSensitivity(), by_gradient(Linear(0 * WEIGHTS), MIDDLE[:1]), Linear(0 * WEIGHTS)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": 0}, "out of range"),
        ({"radius": 1.5}, "out of range"),
        ({"draws": 0}, "out of range"),
        ({"method": Gradient}, "This is no method"),
        ({"method": "gradient"}, "This is no method"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MaxSensitivity(**settings)


def test_masks_that_were_learned_from_scores_are_learned_again_with_as_many() -> None:
    weights = np.zeros((1, 8, 8))
    weights[0, 2:5, 2:5] = 0.1
    box = Scores(lambda images: np.stack([(images * weights).sum(axis=(1, 2, 3))] * 2, axis=1), (1, 8, 8))
    explained = bx.explain(box, np.full((2, 1, 8, 8), 0.9), 0, perturbation="zero", queries=150, progress=False)
    found = bx.evaluate(box, explained, [MaxSensitivity(0.02, draws=1)], progress=False).measurements[0]
    assert not found.failures
    assert np.isfinite(found.values).all()
    assert (found.queries > 2 * 100).all()
