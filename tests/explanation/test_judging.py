"""What an outcome says of four scores, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.explanation.judging import RowScores, judge
from blackbox_explain.explanation.outcome import DOUBTED, Outcome
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.perturbations.perturbation import Game


def judged(
    numbers: tuple[float, ...],
    game: Game = "deletion",
    doubts: Sequence[str] = (),
    classes: int = 1000,
    minus: int = 0,
    **how: Any,
) -> Outcome:
    """Judge the scores of an image, with the mask, without its region, and fully perturbed."""
    weights = np.zeros(classes)
    weights[0] = 1
    weights[1 : 1 + minus] = -1
    names = ("original", "masked", "region", "perturbed")
    scores = RowScores.of(dict(zip(names, numbers, strict=True)), weights)
    return judge(scores, game, Mask(game=game, **how).remedy, doubts)


@pytest.mark.parametrize(
    ("numbers", "classes", "kind"),
    [
        # What the issue names: the whole image blurred leaves .98, so that no region deletes anything.
        ((0.9994, 0.9747, 0.9747, 0.9812), 1000, "weak"),
        ((0.95, 0.02, 0.01, 0.00), 1000, "ok"),
        ((0.95, 0.02, 0.25, 0.00), 1000, "ok"),
        ((0.95, 0.02, 0.26, 0.00), 1000, "soft"),
        ((0.40, 0.02, 0.20, 0.00), 1000, "ok"),
        ((0.40, 0.02, 0.21, 0.00), 1000, "soft"),
        ((0.95, 0.60, 0.60, 0.00), 1000, "weak"),
        ((0.95, 0.95, 0.95, 0.00), 1000, "weak"),
        ((0.64, 0.10, 0.40, 0.33), 1000, "weak"),
        # A region may delete more than the blur of everything does.
        ((0.64, 0.10, 0.05, 0.40), 1000, "ok"),
        # Of two classes, chance is all that can be left; .6 is more than that.
        ((0.99, 0.52, 0.54, 0.50), 2, "ok"),
        ((0.99, 0.52, 0.60, 0.50), 2, "soft"),
        ((0.60, 0.50, 0.50, 0.50), 2, "weak"),
        ((0.50, 0.60, 0.60, 0.60), 1000, "weak"),
    ],
)
def test_deletion_of_probabilities(numbers: tuple[float, ...], classes: int, kind: str) -> None:
    assert judged(numbers, classes=classes).kind == kind


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        # Logits.
        ((18.0, 6.0, 7.0, 4.0), "ok"),
        ((18.0, 6.0, 9.5, 4.0), "soft"),
        ((12.0, 11.0, 11.0, 10.9), "weak"),
        # Logarithms of .9994, .9747, .9747 and .9812, which are as weak as these are.
        ((-0.0006, -0.0256, -0.0256, -0.0190), "weak"),
        # Logarithms of .95, .02, .01 and .001.
        ((-0.05, -3.9, -4.6, -5.0), "ok"),
    ],
)
def test_deletion_of_raw_scores(numbers: tuple[float, ...], kind: str) -> None:
    assert judged(numbers).kind == kind


def test_a_lead_is_judged_like_a_probability_without_chance() -> None:
    assert judged((0.8, 0.1, -0.2, 0.0), classes=2, minus=1) == Outcome("ok")
    assert judged((0.8, 0.1, 0.3, 0.0), classes=2, minus=1).kind == "soft"


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ((0.95, 0.97, 0.90, 0.00), "ok"),
        ((0.95, 0.97, 0.72, 0.00), "ok"),
        ((0.95, 0.97, 0.70, 0.00), "soft"),
        ((0.95, 0.30, 0.10, 0.00), "weak"),
        # Keeping nothing would have done as well.
        ((0.95, 0.95, 0.95, 0.60), "weak"),
        ((18.0, 15.0, 15.0, 4.0), "ok"),
        ((18.0, 15.0, 10.0, 4.0), "soft"),
    ],
)
def test_preservation(numbers: tuple[float, ...], kind: str) -> None:
    assert judged(numbers, "preservation").kind == kind


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize(
    "numbers",
    [
        (0.9, 0.5, 0.5, 0.0),
        (0.9, 0.1, 0.5, 0.0),
        (0.9, 0.1, 0.9, 0.0),
        (0.9, 0.8, 0.0, 0.0),
        (0.9, 0.9, 0.9, 0.8),
        (0.9, 0.9, 0.9, 0.9),
    ],
)
def test_whatever_is_not_ok_names_a_way_on_and_its_option(numbers: tuple[float, ...], game: Game) -> None:
    said = judged(numbers, game)
    assert said.kind in ("weak", "soft")
    sentence, _, remedy = said.message.partition("; ")
    assert any(character.isdigit() for character in sentence) or "stands out" in sentence
    assert "try" in remedy
    assert "--" in remedy


def test_the_way_on_is_one_that_was_not_gone_yet() -> None:
    numbers = (0.9, 0.1, 0.5, 0.0)
    assert "--preset authors" in judged(numbers, preset="fast").message
    assert "--preset authors" in judged(numbers, preset="paper").message
    assert "--preset" not in judged(numbers, preset="authors").message
    assert all("--preset paper" not in judged(numbers, preset=one).message for one in ("fast", "authors"))


def test_authors_with_noise_are_not_told_to_try_noise() -> None:
    said = judged((0.9, 0.1, 0.5, 0.0), preset="authors", perturbation="noise").message
    assert "noise" not in said
    assert "--game preservation" in said


def test_no_lead_is_said() -> None:
    said = judged((-0.05, -0.2, -0.2, -0.3), classes=2, minus=1)
    assert str(said).startswith("weak: there is no lead to explain: the class scores 0.0500 less than")
    assert "--versus" in said.message


def test_a_score_that_rises_is_said() -> None:
    said = str(judged((0.26, 0.01, 0.46, 0.0)))
    assert said.startswith("soft: without the outlined region the score even rises, from 0.2600 to 0.4600; try")


def test_no_region_is_said() -> None:
    assert "no region stands out" in judged((0.9, 0.1, 0.9, 0.0)).message
    assert "no region stands out" in judged((0.9, 0.8, 0.0, 0.0), "preservation").message


def test_doubts_leave_no_row_ok() -> None:
    good = (0.95, 0.02, 0.01, 0.00)
    assert judged(good) == Outcome("ok")
    assert judged(good, doubts=["the model says 'velvet' of all"]) == DOUBTED
    assert DOUBTED.kind == "weak"
    assert "--mean" in DOUBTED.message


def test_an_outcome_as_text_and_back() -> None:
    for outcome in (Outcome("ok"), Outcome("weak", "a: b"), Outcome("failed", "no")):
        assert Outcome.read(str(outcome)) == outcome
    assert [str(Outcome("ok")), str(Outcome("weak", "a: b"))] == ["ok", "weak: a: b"]
    assert [Outcome("failed", "no").failed, Outcome("soft", "a").failed] == [True, False]
    with pytest.raises(bx.BlackBoxExplainError, match="This is no outcome"):
        Outcome.read("fine")
