"""The smallest region as a metric: shares by hand, where none is small enough, and settings out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.metrics.smallest_region import SmallestRegion
from tests.toys import Faulty, Linear

HEAVY = np.zeros((1, 10, 10))
HEAVY[0, 2, :4] = [4.0, 3.0, 2.0, 1.0]


def measured(metric: SmallestRegion, weights: np.ndarray, saliency_of: np.ndarray | None = None) -> bx.Evaluation:
    """Explain one image of ones by the weights of a linear model, and measure on that of other weights."""
    explained = bx.explain(
        Linear(weights if saliency_of is None else saliency_of),
        np.ones((1, 1, 10, 10)),
        0,
        method="gradient",
        progress=False,
    )
    return bx.evaluate(Linear(weights), explained, [metric], progress=False)


@pytest.mark.parametrize(("suppress", "pixels"), [(0.3, 1), (0.65, 2), (0.85, 3), (0.95, 4)])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_shares_by_hand(suppress: float, pixels: int, game: Any) -> None:
    # The four pixels hold .4, .7, .9 and all of the score: deleting, or keeping, so many takes away, or keeps, that.
    found = measured(SmallestRegion(suppress, game, "zero"), HEAVY).measurements[0]
    assert found.values.tolist() == [pixels / 100]
    assert found.better == "lower"


def test_where_no_region_up_to_half_does_it_the_share_is_half() -> None:
    # All pixels weigh the same: 95 % of the score are in 95 % of the pixels.
    found = measured(SmallestRegion(0.95, perturbation="zero"), np.ones((1, 10, 10))).measurements[0]
    assert found.values.tolist() == [0.5]
    wrong = measured(SmallestRegion(0.95, perturbation="zero"), HEAVY[:, ::-1], HEAVY)
    assert wrong.measurements[0].values.tolist() == [0.5]


def test_a_score_that_perturbing_does_not_lower_has_nothing_to_measure() -> None:
    found = measured(SmallestRegion(perturbation="zero"), -HEAVY).measurements[0]
    assert np.isnan(found.values).all()
    assert not found.failures


def test_a_model_that_fails_on_a_perturbed_image_fails_that_row() -> None:
    images = np.stack([np.full((1, 6, 6), 0.5), np.full((1, 6, 6), 0.95)])
    explained = bx.explain(Linear(np.full((1, 6, 6), 1 / 36)), images, 0, method="gradient", progress=False)
    box = Faulty(lambda good: np.nan * good, (1, 6, 6))
    found = bx.evaluate(box, explained, [SmallestRegion(perturbation="zero")], progress=False).measurements[0]
    assert list(found.failures) == [1]
    assert isinstance(found.failures[1], ModelError)
    assert np.isfinite(found.values).tolist() == [True, False]


def test_one_reference_for_each_image_is_found_in_every_batch() -> None:
    images = np.ones((3, 1, 10, 10)) * np.asarray([1.0, 0.8, 0.6])[:, None, None, None]
    explained = bx.explain(Linear(HEAVY), images, 0, method="gradient", progress=False)
    own = bx.Reference(images / 2)
    found = bx.evaluate(
        Linear(HEAVY), explained, [SmallestRegion(0.85, perturbation=own)], batch_size=2, progress=False
    ).measurements[0]
    assert found.values.tolist() == [0.03] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suppress": 0.0}, "no share of the score"),
        ({"suppress": 1.0}, "no share of the score"),
        ({"game": "delete"}, "no such game"),
        ({"perturbation": "blurr"}, "no such perturbation"),
        ({"perturbation": 3}, "This is no perturbation"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SmallestRegion(**settings)
