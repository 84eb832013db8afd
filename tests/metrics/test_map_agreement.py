"""Agreement of methods: correlations and IoU by hand, rows that failed, and explanations of other images."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.explanation import Outcome
from blackbox_explain.metrics.map_agreement import agreement
from tests.metrics.drawn import drawn

RNG = np.random.default_rng(0)


def with_region(explained: bx.Explanation, *columns: slice) -> bx.Explanation:
    region = np.zeros(explained.region.shape, dtype=bool)
    for row, where in enumerate(columns):
        region[row, :, where] = True
    return dataclasses.replace(explained, region=region)


def test_by_hand() -> None:
    maps = np.arange(16.0).reshape(1, 4, 4)
    one = with_region(drawn(maps), slice(0, 2))
    same = with_region(drawn(maps**3), slice(0, 2))
    other = with_region(drawn(-maps), slice(1, 4))
    found = agreement({"one": one, "same": same, "other": other})
    assert [(pair.first, pair.second) for pair in found.pairs] == [("one", "same"), ("one", "other"), ("same", "other")]
    np.testing.assert_allclose(found["one", "same"].means, (1, 1))
    np.testing.assert_allclose(found["other", "one"].means, (-1, 1 / 4))
    assert "too few images" in found.summary().splitlines()[1]
    assert np.isnan(found["one", "same"].iou_interval).all()
    with pytest.raises(KeyError):
        found["one", "third"]


def test_the_correlation_is_spearmans_with_equal_values() -> None:
    first, second = RNG.integers(0, 4, size=(2, 8, 6, 6)).astype(float)
    images = RNG.random((8, 1, 6, 6))
    one, other = (dataclasses.replace(drawn(maps), images=images) for maps in (first, second))
    found = agreement({"a": one, "b": other})["a", "b"]
    expected = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(found.correlation, expected)
    low, high = found.correlation_interval
    assert low < found.means[0] < high
    # Of one image eight times over there is none.
    assert np.isnan(agreement({"a": drawn(first), "b": drawn(second)})["a", "b"].correlation_interval).all()


def test_rows_that_failed_and_constant_maps_do_not_count() -> None:
    maps = RNG.random((3, 4, 4))
    flat = maps.copy()
    flat[2] = 1.0
    failed = drawn(maps)
    failed = dataclasses.replace(failed, outcome=(Outcome("failed", "torn"), *failed.outcome[1:]))
    found = agreement({"a": failed, "b": drawn(flat)})["a", "b"]
    assert np.isfinite(found.correlation).tolist() == [False, True, False]
    assert np.isfinite(found.iou).tolist() == [False, True, True]
    told = agreement({"a": failed, "b": drawn(flat)}).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False))["pairs"][0]["correlations"][0] is None


def test_other_images_or_targets_are_refused() -> None:
    one = drawn(RNG.random((2, 4, 4)))
    with pytest.raises(InputError, match="two at least"):
        agreement({"one": one})
    others = {
        "fewer": one[:1],
        "images": dataclasses.replace(one, images=one.images / 2),
        "targets": dataclasses.replace(one, weights=one.weights[:, ::-1]),
    }
    for other in others.values():
        with pytest.raises(InputError, match="of other images or targets"):
            agreement({"one": one, "other": other})
