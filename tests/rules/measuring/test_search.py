"""Searches for the largest θ, of models that break at a known one."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain.errors import InputError
from blackbox_explain.rules.measuring.joint_region import joint_region
from blackbox_explain.rules.measuring.search import most_informative, visits
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.statements.invariance import Invariance
from tests.rules.toys import Breaks, Brighter, dark


def test_the_learned_theta_is_where_the_model_breaks_and_its_interval_covers() -> None:
    found = most_informative(Brighter(), Breaks(20), dark(650), progress=False)
    assert abs(found.theta - 20) <= 1
    # The levels are drawn evenly: up to θ, (θ - 20) / θ of them break the model.
    for theta, one in found.curve:
        assert one.low <= max(0, theta - 20) / theta <= one.high, theta
    assert found.chosen.high <= 0.05
    assert [theta for theta, _ in found.curve] == sorted(theta for theta, _ in found.curve)


@pytest.mark.exhaustive
def test_the_corrected_interval_of_the_learned_theta_covers_over_many_searches() -> None:
    covered = 0
    for run in range(100):
        found = most_informative(Brighter(), Breaks(20), dark(150), max_error=0.1, seed=run, progress=False)
        true = max(0, found.theta - 20) / found.theta
        covered += found.chosen.low <= true <= found.chosen.high
        assert true <= 0.1, "an accepted rule is wrong for at most the level"
    assert covered >= 95


def test_the_search_takes_at_most_half_of_the_queries_of_a_grid_and_counts_them() -> None:
    box = Breaks(20)
    found = most_informative(Brighter(), box, dark(650), progress=False)
    assert found.queries == box.asked
    assert found.queries <= 0.5 * found.dense_queries
    whole = most_informative(Brighter(), Breaks(20), dark(650), whole_curve=True, progress=False)
    assert whole.theta == found.theta
    assert len(whole.curve) == 45
    # Some 1 + ln K queries an image, and the untouched one.
    assert whole.queries <= 650 * (3 + np.log(45))
    assert found.queries < whole.queries


def test_queries_go_in_full_batches() -> None:
    box = Breaks(20)
    most_informative(Brighter(), box, dark(320), batch_size=32, progress=False)
    assert box.calls <= box.asked / 32 + 8


def test_a_model_that_breaks_at_once_has_no_theta() -> None:
    found = most_informative(Brighter(), Breaks(0.5), dark(150), progress=False)
    assert found.theta == 0
    assert found.sentence.startswith("no brighter is small enough: if pixel 0 is brighter by at most 1 %")
    assert found.chosen.error == 1


def test_levels_are_drawn_evenly_and_kept_when_theta_shrinks() -> None:
    samples = dark(4000)
    questions = Questions(Breaks(20), samples)
    rows = np.arange(4000)
    drawn = {
        theta: np.round(100 * Invariance(Brighter(), theta).transformed(questions, rows)[:, 0, 0, 0])
        for theta in (2, 20, 40)
    }
    for theta, found in drawn.items():
        counts = np.bincount(found.astype(int), minlength=theta + 1)[1:]
        assert len(counts) == theta
        assert np.abs(counts - 4000 / theta).max() < 5 * np.sqrt(4000 / theta)
    same = drawn[40] <= 20
    np.testing.assert_array_equal(drawn[20][same], drawn[40][same])


def test_a_joint_region_is_outlined() -> None:
    box = Breaks(20, 30)
    found = joint_region(Brighter(), Brighter(1), box, dark(400), steps=9, progress=False)
    assert found.outline.tolist() == [[20.0, 30.0]]
    assert found.queries == box.asked <= 0.5 * found.dense_queries


def test_images_that_are_too_few_for_a_level_are_named_before_any_query() -> None:
    box = Breaks(100)
    with pytest.raises(InputError, match=r"So few images cannot show.*Got 146; expected at least 147") as error:
        most_informative(Brighter(), box, dark(146), progress=False)
    assert box.asked == 0
    feasible = float(str(error.value).rpartition("--max-error ")[2].rstrip(".)"))
    assert most_informative(Brighter(), box, dark(146), max_error=feasible, progress=False).theta == 45
    assert most_informative(Brighter(), box, dark(147), progress=False).theta == 45


@pytest.mark.parametrize("whole_curve", [False, True])
def test_progress_ends_near_its_total(whole_curve: bool) -> None:
    counted: list[int] = []
    found = most_informative(
        Brighter(), Breaks(20), dark(200), whole_curve=whole_curve, progress=lambda images: counted.append(images)
    )
    assert found.queries <= sum(counted) <= visits(Brighter(), whole_curve) * 200


def test_one_relation_done_twice_is_drawn_twice() -> None:
    questions, rows = Questions(Breaks(20), dark(500)), np.arange(500)
    both = Invariance(Brighter(), 45, also=((Brighter(1), 45),)).transformed(questions, rows)
    first, second = both[:, 0, 0, 0], both[:, 0, 0, 1]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
