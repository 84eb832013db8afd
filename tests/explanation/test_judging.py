"""What an outcome says of three scores, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.explanation.judging import RowScores, judge, remedy_of_masks
from blackbox_explain.explanation.outcome import DOUBTED, FLAT, Outcome
from blackbox_explain.perturbations.perturbation import Game
from tests.toys import Linear

Numbers = tuple[float, float, float]


def judged(
    numbers: Numbers,
    game: Game = "deletion",
    doubts: Sequence[str] = (),
    *,
    classes: int = 1000,
    minus: int = 0,
    suppress: float = 0.95,
) -> Outcome:
    """Judge the scores of an image, without its region (or with nothing but it), and fully perturbed."""
    weights = np.zeros(classes)
    weights[0] = 1
    weights[1 : 1 + minus] = -1
    return judge(
        RowScores.of(*numbers, weights), game, suppress, 0.1, remedy_of_masks(game, False, "fast", "blur"), doubts
    )


@pytest.mark.parametrize(
    ("numbers", "classes", "kind"),
    [
        # The whole image blurred leaves .98, so that no region deletes anything.
        ((0.9994, 0.9747, 0.9812), 1000, "weak"),
        ((0.95, 0.01, 0.00), 1000, "ok"),
        ((1.00, 0.05, 0.00), 1000, "ok"),
        ((1.00, 0.06, 0.00), 1000, "weak"),
        ((0.04, 0.002, 0.00), 1000, "ok"),
        ((0.04, 0.03, 0.00), 1000, "weak"),
        ((0.95, 0.95, 0.00), 1000, "weak"),
        # A quarter, and half of the score, is the most that perturbing everything may leave.
        ((0.80, 0.25, 0.25), 1000, "ok"),
        ((0.80, 0.26, 0.26), 1000, "weak"),
        ((0.40, 0.20, 0.20), 1000, "ok"),
        ((0.40, 0.21, 0.21), 1000, "weak"),
        # A region may delete more than the blur of everything does.
        ((0.64, 0.05, 0.40), 1000, "ok"),
        ((0.99, 0.20, 0.30), 1000, "ok"),
        # Of two classes, chance is all that can be left; .6 is more than that.
        ((0.99, 0.52, 0.50), 2, "ok"),
        ((0.99, 0.60, 0.60), 2, "weak"),
        ((0.60, 0.50, 0.50), 2, "weak"),
        ((0.50, 0.60, 0.60), 1000, "weak"),
        ((0.80, 0.10, 0.90), 1000, "weak"),
        ((0.00, 0.00, 0.00), 1000, "weak"),
    ],
)
def test_deletion_of_probabilities(numbers: Numbers, classes: int, kind: str) -> None:
    assert judged(numbers, classes=classes).kind == kind


def test_what_was_asked_decides() -> None:
    assert judged((1.0, 0.2, 0.0), suppress=0.8) == Outcome("ok")
    assert judged((1.0, 0.2, 0.0), suppress=0.81).kind == "weak"


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        # Logits.
        ((18.0, 4.5, 4.0), "ok"),
        ((18.0, 6.0, 4.0), "weak"),
        ((12.0, 10.9, 10.9), "weak"),
        # Logarithms of .9994, .9747 and .9812, which are as weak as these are.
        ((-0.0006, -0.0256, -0.0190), "weak"),
        # Logarithms of .95, .01 and .001.
        ((-0.05, -4.9, -5.0), "ok"),
    ],
)
def test_deletion_of_raw_scores(numbers: Numbers, kind: str) -> None:
    assert judged(numbers).kind == kind


def test_a_lead_is_judged_like_a_probability_without_chance() -> None:
    assert judged((0.8, -0.2, 0.0), classes=2, minus=1) == Outcome("ok")
    assert judged((0.8, 0.3, 0.0), classes=2, minus=1).kind == "weak"
    assert judged((0.5, -0.59, -0.6), minus=1) == Outcome("ok")


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ((0.95, 0.97, 0.00), "ok"),
        ((1.00, 0.95, 0.00), "ok"),
        ((1.00, 0.94, 0.00), "weak"),
        ((0.95, 0.10, 0.00), "weak"),
        # Keeping nothing would have done as well.
        ((0.95, 0.95, 0.60), "weak"),
        ((18.0, 17.5, 4.0), "ok"),
        ((18.0, 10.0, 4.0), "weak"),
    ],
)
def test_preservation(numbers: Numbers, kind: str) -> None:
    assert judged(numbers, "preservation").kind == kind


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("numbers", [(0.9, 0.5, 0.0), (0.9, 0.9, 0.8), (0.9, 0.9, 0.9)])
def test_whatever_is_not_ok_names_a_way_on_and_its_option(numbers: Numbers, game: Game) -> None:
    said = judged(numbers, game)
    assert said.kind == "weak"
    sentence, _, remedy = said.message.partition("; ")
    assert any(character.isdigit() for character in sentence)
    assert "try" in remedy
    assert "--" in remedy


def test_a_region_that_raises_the_score_takes_away_nothing() -> None:
    said = judged((0.9, 0.95, 0.0)).message
    assert "the best, 10.0% of it, takes away nothing: the score without it is 0.9500, of 0.9000; the" in said


def test_the_best_region_is_said() -> None:
    said = judged((0.9, 0.5, 0.0)).message
    assert said.startswith(
        "no region of at most half of the image was found that takes away 95% of what perturbing takes away"
    )
    assert "the best, 10.0% of it, takes away 44.4%: the score without it is 0.5000, of 0.9000; the" in said
    kept = judged((0.9, 0.5, 0.0), "preservation").message
    assert "the best, 10.0% of it, keeps 55.5%: the score with nothing but it is 0.5000, of 0.9000; try" in kept


def test_no_lead_is_said() -> None:
    said = judged((-0.05, -0.2, -0.3), classes=2, minus=1)
    assert str(said).startswith("weak: there is no lead to explain: the class scores 0.0500 less than")
    assert "--versus" in said.message


def test_doubts_leave_no_row_ok() -> None:
    good = (0.95, 0.01, 0.00)
    assert judged(good) == Outcome("ok")
    assert judged(good, doubts=["the model says 'velvet' of all"]) == DOUBTED
    assert DOUBTED.kind == "weak"
    assert "--mean" in DOUBTED.message


def test_an_outcome_as_text_and_back() -> None:
    for outcome in (Outcome("ok"), Outcome("weak", "a: b"), Outcome("failed", "no")):
        assert Outcome.read(str(outcome)) == outcome
    assert [str(Outcome("ok")), str(Outcome("weak", "a: b"))] == ["ok", "weak: a: b"]
    assert [Outcome("failed", "no").failed, Outcome("weak", "a").failed] == [True, False]
    with pytest.raises(bx.BlackBoxExplainError, match="This is no outcome"):
        Outcome.read("fine")


def test_a_class_that_is_not_there_is_not_explained() -> None:
    assert "does not see this class here: its score is 1.2e-05" in judged((1.2e-5, 5e-7, 4e-7)).message
    assert judged((2e-4, 5e-7, 4e-7)) == Outcome("ok")


def test_what_falls_just_short_is_not_said_to_be_reached() -> None:
    assert "takes away 94.9%: the score" in judged((1.0, 0.0505, 0.0)).message


@pytest.mark.parametrize(
    ("done", "offered", "left_out"),
    [
        (("deletion", False, "fast", "blur"), ("preservation", "thorough", "noise", "suppress="), ("blur", "deletion")),
        (("deletion", True, "thorough", "noise"), ("blur", "constant"), ("noise", "thorough", "game=")),
        (("preservation", False, "thorough", "blur"), ('game="deletion"',), ("thorough", "perturbation=")),
    ],
)
def test_what_was_done_is_not_offered_again(done: Any, offered: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    told = remedy_of_masks(*done)
    assert all(one in told for one in offered)
    assert not any(one in told for one in left_out)


def test_another_stand_in_is_not_the_one_that_was_used() -> None:
    scores = RowScores.of(0.9, 0.8, 0.7, np.eye(2)[0])
    told = judge(scores, "deletion", 0.95, 0.1, "", perturbation="blur").message
    assert 'perturbation="noise" or "constant" (--perturbation)' in told


@pytest.mark.parametrize("method", ["gradient", "gradient-times-input"])
def test_a_map_that_is_the_same_everywhere_has_no_region_to_rely_on(method: str) -> None:
    class Sure(Linear):
        """Its score is as high as it can be, so that its gradient is 0."""

        def scores(self, images: np.ndarray) -> np.ndarray:
            sure = (super().scores(images)[:, 0] > 0).astype(np.float64)
            return np.stack([sure, 1 - sure], axis=1)

        def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.scores(images), 0 * images

    weights = np.full((1, 16, 16), -0.01)
    weights[0, :4] = 1.0
    image = np.zeros((1, 1, 16, 16))
    image[..., :4, :] = 1.0
    for flipped in (image, image[..., ::-1, :]):
        box = Sure(weights if flipped is image else weights[:, ::-1])
        explained = bx.explain(box, flipped, 0, method=method, perturbation="zero", progress=False)
        assert np.ptp(explained.saliency) == 0
        assert explained.outcome[0].kind == "weak"
    # Of the first its region, the topmost pixels, happens to do what was asked.
    assert bx.explain(Sure(weights), image, 0, method=method, perturbation="zero").outcome == (FLAT,)
