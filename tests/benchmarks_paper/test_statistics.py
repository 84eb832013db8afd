"""Means, comparisons, and what is said of a claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.paper.statistics import against, all_hold, compared, mean_of, share_of, verdict


def test_means_and_paired_tests() -> None:
    one = mean_of(np.asarray([1.0, 2.0, 3.0, np.nan]))
    assert (one.mean, one.images) == (2.0, 3)
    assert one.error == pytest.approx(1 / np.sqrt(3))
    ours = np.linspace(0, 1, 10)
    lower = compared(ours, ours + np.linspace(0.1, 0.2, 10))
    assert lower.lower
    assert lower.p == pytest.approx(2 / 2**10)  # all ten signs alike
    assert compared(ours, ours).p == 1
    hits = compared(np.ones(6), np.zeros(6), hits=True)
    assert hits.higher
    assert hits.p == pytest.approx(2 / 2**6)


def test_the_interval_of_a_share() -> None:
    share, low, high = share_of(50, 100)
    # Wilson: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    z = 1.959964
    wide = z * np.sqrt(0.25 / 100 + z**2 / 40000) / (1 + z**2 / 100)
    assert (share, low, high) == pytest.approx((0.5, 0.5 - wide, 0.5 + wide), abs=1e-6)


def test_means_are_held_against_limits() -> None:
    # The mean is hardly below, whatever most values are.
    skewed = np.asarray([0.0] * 170 + [0.6] * 30) + 1e-3 * np.random.default_rng(0).random(200)
    assert not against(skewed, 0.1).lower
    assert against(skewed, 0.2).lower
    assert against(skewed, 0.01).higher
    assert against(np.asarray([0.1, np.nan, 0.1]), 0.2).lower
    for few in ([0.1], [np.nan, np.nan], []):
        assert not against(np.asarray(few), 0.2).lower
        assert verdict([against(np.asarray(few), 0.2)], "lower") is None


def test_one_comparison_of_many_is_the_other_way_by_chance() -> None:
    lower = compared(np.zeros(40), np.ones(40) + np.arange(40))
    opposed = replace(lower, difference=1.0, sign=1, p=0.02)
    assert verdict([lower, opposed], "lower") is False
    assert verdict([lower] * 9 + [opposed], "lower") is None
    assert all_hold([(lower, "lower"), (opposed, "higher")]) is True
    # What cannot be compared does not hide what is the other way.
    assert verdict([replace(lower, difference=np.nan), replace(opposed, p=0.001)], "lower") is False


def test_a_verdict_is_undecided_where_chance_may_have_made_it() -> None:
    draw = np.random.default_rng(0)
    lower, alike = (compared(draw.random(40) - shift, draw.random(40)) for shift in (1.0, 0.01))
    higher = compared(draw.random(40) + 1, draw.random(40))
    alike = replace(alike, difference=-0.01, p=0.6)
    assert (lower.lower, alike.lower, higher.higher) == (True, False, True)
    assert verdict([lower, lower], "lower") is True
    assert verdict([lower, alike], "lower") is None
    assert verdict([lower, higher], "lower") is False
    # A mean that is not as claimed, and may be so by chance, says neither.
    assert verdict([lower, replace(alike, difference=0.01, sign=1)], "lower") is None
    assert verdict([higher], "higher") is True
    assert verdict([], "lower") is None
    assert verdict([replace(lower, difference=np.nan)], "lower") is None


def test_means_and_ranks_that_point_different_ways_are_no_difference() -> None:
    # Most are a little higher, and few are much lower.
    ours, theirs = np.asarray([0.1] * 40 + [-9.0] * 3), np.zeros(43)
    test = compared(ours, theirs)
    assert test.difference < 0 < test.sign
    assert test.p < 0.05
    assert not test.lower
    assert not test.higher
