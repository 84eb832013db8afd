"""Tests of `mean_interval`: as often right as they say, however few images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from blackbox_explain.metrics.mean_interval import LEAST, interval_of_mean


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("n", [LEAST, 12, 40])
def test_the_mean_lies_within_about_as_often_as_said(draw: str, n: int) -> None:
    rng = np.random.default_rng(n)
    mean = {"normal": 0.0, "exponential": 1.0}[draw]
    intervals = [interval_of_mean(getattr(rng, draw)(size=n), seed=one) for one in range(300)]
    right = np.mean([low <= mean <= high for low, high in intervals])
    # Of six skewed values no interval within them is right as often: a value far out is seldom among so few.
    assert right >= (0.93 if draw == "normal" else 0.85 if n == LEAST else 0.9)
    assert right < 0.995


def test_of_fewer_images_there_is_none() -> None:
    assert np.isnan(interval_of_mean(np.arange(LEAST - 1.0), 0)).all()
    assert np.isnan(interval_of_mean(np.arange(2.0 * LEAST - 2), 0, [*map(str, range(LEAST - 1))] * 2)).all()
    assert np.isfinite(interval_of_mean(np.arange(float(LEAST)), 0)).all()


@pytest.mark.parametrize("hits", [0, 9, 12])
def test_hits_have_the_exact_interval(hits: int) -> None:
    found = interval_of_mean(np.arange(12) < hits, 0, hits=True)
    exact = binomtest(hits, 12).proportion_ci(method="exact")
    np.testing.assert_allclose(found, (exact.low, exact.high), atol=1e-12)


def test_many_values_of_an_image_count_as_one() -> None:
    values = np.random.default_rng(0).normal(size=20)
    names = [*map(str, range(20))]
    once, often = interval_of_mean(values, 0), interval_of_mean(np.tile(values, 9), 0, names * 9)
    np.testing.assert_allclose(often, once)
    hits = values > 0
    again = interval_of_mean(np.tile(hits, 9), 0, names * 9, hits=True)
    np.testing.assert_allclose(again, interval_of_mean(hits, 0, hits=True))
    # Those of one image are drawn together, although they differ.
    other = np.tile(values, 2) + np.repeat([0.0, 5.0], 20)
    shifted = interval_of_mean(other, 0, names * 2)
    np.testing.assert_allclose(shifted, np.asarray(once) + 2.5)
    assert interval_of_mean(other, 0)[1] > shifted[1]


@pytest.mark.parametrize(("often", "single", "share"), [(20, 9, 0.3), (5, 12, 0.5)])
def test_hits_of_photos_with_unequal_numbers_of_rows(often: int, single: int, share: float) -> None:
    # One photo has many rows, which are hit or missed together.
    rng = np.random.default_rng(0)
    rows = ["often"] * often + [*map(str, range(single))]
    right = possible = 0
    for _ in range(500):
        by_photo = rng.random(single + 1) < share
        low, high = interval_of_mean(np.r_[np.repeat(by_photo[0], often), by_photo[1:]], 0, rows, hits=True)
        possible += bool(np.isfinite(low))
        right += bool(low <= share <= high)
    if often == 20:
        assert possible == 0  # worth less than six photos
    else:
        assert right >= 0.95 * possible == 0.95 * 500


def test_values_that_are_all_the_same_have_no_interval() -> None:
    assert np.isnan(interval_of_mean(np.full(10, 0.25), 0)).all()
    assert np.isnan(interval_of_mean(np.ones(10), 0)).all()
