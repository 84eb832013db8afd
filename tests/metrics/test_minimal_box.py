"""The smallest box by section 5.3: shares by hand for both variants and games, and settings out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_explain.errors import InputError
from blackbox_explain.metrics.minimal_box import MinimalBox
from tests.metrics.drawn import drawn, value_of
from tests.toys import Linear

WEIGHTS = np.zeros((1, 10, 10))
WEIGHTS[0, 2, 2], WEIGHTS[0, 5, 6] = 8.0, 2.0
MAP = np.zeros((1, 10, 10))
MAP[0, 2, 2], MAP[0, 5, 6] = 1.0, 0.445
"""The box of h up to 0.4 holds both: 4 by 5 pixels; that of 0.5 and more the first pixel."""


@pytest.mark.parametrize(("suppress", "share"), [(0.7, 0.01), (0.9, 0.2)])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_shares_by_hand(suppress: float, share: float, game: Any) -> None:
    metric = MinimalBox(suppress, game=game, perturbation="zero")
    assert value_of(metric, drawn(MAP), Linear(WEIGHTS)) == share


def test_the_authors_cut_at_a_hundred_values() -> None:
    # A pixel of 0.35 lies in a box of its own between 0.3 and 0.4: the paper's cuts at 0.4 miss it.
    saliency = MAP.copy()
    saliency[0, 5, 6], saliency[0, 9, 9] = 0.38, 0.33
    box = Linear(WEIGHTS)
    assert value_of(MinimalBox(0.9, "paper", perturbation="zero"), drawn(saliency), box) == 0.64
    assert value_of(MinimalBox(0.9, "authors", perturbation="zero"), drawn(saliency), box) == 0.2


def test_the_whole_image_always_does_it() -> None:
    wrong = np.flip(MAP).copy()
    assert value_of(MinimalBox(0.99, perturbation="zero"), drawn(wrong), Linear(WEIGHTS)) == 1.0
    assert value_of(MinimalBox(0.99, perturbation="zero"), drawn(0 * MAP), Linear(WEIGHTS)) == 1.0
    assert np.isnan(value_of(MinimalBox(perturbation="zero"), drawn(MAP), Linear(-WEIGHTS)))


def test_equal_boxes_are_asked_about_once() -> None:
    import blackbox_explain as bx

    found = bx.evaluate(Linear(WEIGHTS), drawn(MAP), [MinimalBox(perturbation="zero")], progress=False)
    assert found.measurements[0].queries.tolist() == [2 + 3]  # the whole image, both pixels, one pixel


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suppress": 1.5}, "no share of the score"),
        ({"variant": "author"}, "There is no such variant"),
        ({"game": "both"}, "There is no such game"),
        ({"perturbation": "blurr"}, "no such perturbation"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MinimalBox(**settings)
