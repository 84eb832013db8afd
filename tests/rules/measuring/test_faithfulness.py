"""How often a rule is wrong: rules that are right by construction, or wrong at a known rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness, percent
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.statements.rule import Subset
from tests.rules.toys import BOX, Breaks, Brighter, FirstPixel, dark, uniform


def test_an_invariant_model_has_error_zero_and_the_upper_bound_of_the_exact_formula() -> None:
    found = faithfulness(Invariance(Brighter(), 30), Breaks(100), dark(650), progress=False)
    assert (found.errors, found.n, found.low) == (0, 650, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 650), rel=1e-12)
    assert found.violations == ()
    assert found.sentence == (
        "if pixel 0 is brighter by at most 30 %, the top class stays the same: "
        "wrong for 0 % of 650 images (95 % interval 0–0.6 %)"
    )


def test_intervals_of_a_known_error_cover_it_in_500_runs() -> None:
    rule, covered = FirstPixel(0.93), 0
    for run in range(500):
        found = faithfulness(rule, BOX, uniform(200, run), seed=run, progress=False)
        covered += found.low <= 0.07 <= found.high
    assert covered / 500 >= 0.94


def test_sampling_that_stops_early_covers_too_and_asks_less() -> None:
    covered, asked = 0, []
    for run in range(500):
        found = faithfulness(
            FirstPixel(0.93), BOX, uniform(600, run), precision=0.12, batch_size=20, seed=run, progress=False
        )
        covered += found.low <= 0.07 <= found.high
        asked.append(found.n)
        assert found.bound == "sequence"
        assert found.n == 600 or found.high - found.low <= 0.12
    assert covered / 500 >= 0.94
    assert np.mean(asked) < 400


def test_violations_are_the_worst_first_and_named() -> None:
    found = faithfulness(Invariance(Brighter(), 45), Breaks(20), dark(100), progress=False)
    amounts = [one.amount for one in found.violations]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] > 0
    assert found.violations[0].name == f"image {found.violations[0].row}"


def test_a_saved_rule_is_checked_again(tmp_path: Path) -> None:
    rule = Invariance(Brighter(), 30, response="score", tolerance=0.2).where(Subset((0,), by="top")) & FirstPixel(0.9)
    samples = dark(80)
    found = faithfulness(rule, Breaks(20), samples, seed=3, progress=False)
    found.save(tmp_path / "rule.json")
    loaded = Faithfulness.load(tmp_path / "rule.json")
    assert loaded.rule == rule
    assert loaded.to_dict() == found.to_dict()
    assert loaded.again(Breaks(20), samples).to_dict() == found.to_dict()
    assert loaded.again(Breaks(10), samples).errors > found.errors


def test_a_precision_that_is_not_reached_is_said() -> None:
    found = faithfulness(FirstPixel(0.5), BOX, uniform(100), precision=0.01, progress=False)
    assert not found.precise
    assert found.verdict.endswith("wider than the 1 % asked for: there are no more images)")
    found = faithfulness(FirstPixel(0.5), BOX, uniform(100), precision=0.5, progress=False)
    assert found.precise
    assert "wider" not in found.verdict
    assert faithfulness(FirstPixel(0.5), BOX, uniform(3), progress=False).precise


def test_one_image_is_enough_to_say_little() -> None:
    found = faithfulness(FirstPixel(1), BOX, dark(1), progress=False)
    assert found.sentence.endswith("wrong for 0 % of 1 image (95 % interval 0–97.5 %)")


def test_responses() -> None:
    samples, box = uniform(300), BOX
    exact = faithfulness(Invariance(Brighter(), 5, response="exact"), box, samples, progress=False)
    assert exact.error == 1
    score = Invariance(Brighter(), 5, response="score", tolerance=0.0501)
    assert faithfulness(score, box, samples, progress=False).errors == 0
    assert score.sentence.endswith("the score of its top class changes by at most 0.0501")
    narrow = Invariance(Brighter(), 5, response="score", tolerance=0.0201)
    assert faithfulness(narrow, box, samples, progress=False).error == pytest.approx(3 / 5, abs=0.1)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0"),
        (1, "100"),
        (0.041, "4.1"),
        (0.0004, "0.04"),
        (0.99999, "99.999"),
        (0.95, "95"),
        (1e-9, "1e-07"),
        (1 - 1e-8, "99.999999"),
    ],
)
def test_percentages_never_round_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text
