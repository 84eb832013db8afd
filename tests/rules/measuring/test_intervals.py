"""Intervals of error rates against the binomial distribution itself and against simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.errors import InputError
from blackbox_explain.rules.measuring.intervals import ConfidenceSequence
from tests.kinds import kept


@pytest.mark.parametrize(("errors", "n"), [(0, 1), (0, 650), (3, 10), (10, 10), (27, 650), (649, 650)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_at_the_ends_either_tail_of_the_binomial_has_half_of_the_rest(errors: int, n: int, confidence: float) -> None:
    low, high = clopper_pearson(errors, n, confidence)
    half = (1 - confidence) / 2
    if errors:
        assert stats.binom.sf(errors - 1, n, low) == pytest.approx(half, rel=1e-9)
    if errors < n:
        assert stats.binom.cdf(errors, n, high) == pytest.approx(half, rel=1e-9)
    assert (low == 0) == (errors == 0)
    assert (high == 1) == (errors == n)


def test_no_errors_have_the_upper_end_of_the_known_formula() -> None:
    assert clopper_pearson(0, 650)[1] == pytest.approx(1 - 0.025 ** (1 / 650), rel=1e-12)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_the_exact_interval_covers(rate: float) -> None:
    rng = np.random.default_rng(0)
    found = [clopper_pearson(int(errors), 200) for errors in rng.binomial(200, rate, size=2000)]
    assert np.mean([low <= rate <= high for low, high in found]) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("rate", kept([0.02, 0.2, 0.5], 0.2))
def test_a_confidence_sequence_covers_at_every_moment_of_a_run(rate: float) -> None:
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(400):
        sequence = ConfidenceSequence(0.9)
        for errors in rng.binomial(5, rate, size=60):
            low, high = sequence.add(int(errors), 5)
        # Intervals only shrink, so the last one tells of all.
        missed += not low <= rate <= high
    assert missed / 400 <= 0.1


def test_a_fixed_interval_looked_at_after_each_batch_does_not_cover() -> None:
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(200):
        errors = np.cumsum(rng.random(1000) < 0.2)
        looks = [clopper_pearson(int(errors[n - 1]), n, 0.9) for n in range(10, 1000, 10)]
        missed += any(not low <= 0.2 <= high for low, high in looks)
    assert missed / 200 > 0.2


def test_a_sequence_narrows_to_the_rate() -> None:
    sequence = ConfidenceSequence()
    assert sequence.interval == (0.0, 1.0)
    assert sequence.add(0, 0) == (0.0, 1.0)
    low, high = sequence.add(500, 10_000)
    assert low < 0.05 < high
    assert high - low < 0.025


def test_a_sequence_may_begin_with_what_is_known_already() -> None:
    begun, added = ConfidenceSequence(errors=5, n=100), ConfidenceSequence()
    assert begun.interval == added.add(5, 100)
    assert 0 < begun.interval[0] < 0.05 < begun.interval[1] < 0.2
    assert begun.add(5, 100) == added.add(5, 100)


def test_a_sequence_that_contradicts_itself_keeps_the_last_interval_and_goes_on() -> None:
    sequence = ConfidenceSequence()
    first = sequence.add(1000, 1000)
    assert first[0] > 0.98
    # 1000 right ones after 1000 wrong ones: no rate is in both intervals.
    assert sequence.add(0, 1000) == first
    low, high = sequence.add(10**6, 10**6)
    assert first[0] <= low < high <= first[1]
    generator = np.random.default_rng(3)
    for confidence in (0.1, 0.5, 0.95):
        sequence = ConfidenceSequence(confidence)
        for rate in (0.9, 0.1, 0.5) * 20:
            before = sequence.interval
            low, high = sequence.add(int(generator.binomial(30, rate)), 30)
            assert before[0] <= low <= high <= before[1]


@pytest.mark.parametrize(("errors", "n", "confidence"), [(-1, 3, 0.9), (4, 3, 0.9), (1, 3, 1.0), (1, 3, 0.0)])
def test_what_makes_no_sense_is_said(errors: int, n: int, confidence: float) -> None:
    with pytest.raises(InputError):
        clopper_pearson(errors, n, confidence)
