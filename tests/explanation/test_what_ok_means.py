"""What ok means: the score is nearly gone without the region, in absolute and in relative terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from blackbox_explain.explanation.judging import RowScores, judge
from blackbox_explain.explanation.outcome import DOUBTED, Outcome
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.perturbations.perturbation import Game

Numbers = tuple[float, float, float, float]


def numbers(original: float, masked: float, region: float, perturbed: float) -> Numbers:
    return original, masked, region, perturbed


def judged(scores: Numbers, game: Game, doubts: Sequence[str] = ()) -> Outcome:
    names = ("original", "masked", "region", "perturbed")
    row = RowScores.of(dict(zip(names, scores, strict=True)), np.eye(1000)[0])
    return judge(row, game, Mask(game=game).remedy, doubts)


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        (numbers(0.94, 0.17, 0.21, 0.002), "ok"),
        (numbers(0.9994, 0.9747, 0.9747, 0.9812), "weak"),  # nothing happened, relative to what can
        (numbers(0.94, 0.2, 0.6, 0.0), "soft"),
        (numbers(0.94, 0.6, 0.7, 0.0), "weak"),
        (numbers(0.04, 0.0, 0.009, 0.0), "ok"),
        (numbers(0.04, 0.0, 0.03, 0.0), "soft"),
        (numbers(0.8, 0.1, 0.1, 0.9), "weak"),  # deleting everything raises the score: nothing can be told by it
        (numbers(0.8, 0.7, 0.7, 0.8), "weak"),
        (numbers(0.5, -0.5, -0.4, -0.6), "ok"),  # a difference of two classes
        (numbers(0.5, -0.5, 0.4, -0.6), "soft"),
        (numbers(12.0, 4.2, 4.4, 4.0), "ok"),  # logits: half of the score, and three quarters of the whole fall
        (numbers(12.0, 4.2, 10.0, 4.0), "soft"),
        (numbers(12.0, 10.2, 10.2, 10.0), "weak"),
        (numbers(-3.0, -9.0, -9.0, -10.0), "ok"),
        (numbers(0.0, 0.0, 0.0, 0.0), "weak"),
    ],
)
def test_deletion(scores: Numbers, word: str) -> None:
    assert judged(scores, "deletion").kind == word


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        (numbers(0.9, 0.85, 0.8, 0.01), "ok"),
        (numbers(0.9, 0.85, 0.5, 0.01), "soft"),
        (numbers(0.9, 0.3, 0.3, 0.01), "weak"),
        (numbers(0.9, 0.89, 0.89, 0.8), "weak"),  # nothing was at stake
    ],
)
def test_preservation(scores: Numbers, word: str) -> None:
    assert judged(scores, "preservation").kind == word


def test_whatever_is_not_ok_says_what_to_try() -> None:
    for scores in (numbers(0.94, 0.2, 0.6, 0.0), numbers(0.94, 0.6, 0.7, 0.0), numbers(0.8, 0.7, 0.7, 0.8)):
        assert "; try " in judged(scores, "deletion").message


def test_with_doubts_nothing_is_ok() -> None:
    good = numbers(0.94, 0.17, 0.21, 0.002)
    assert judged(good, "deletion") == Outcome("ok")
    assert judged(good, "deletion", ["the model may be shown the wrong pixels"]) == DOUBTED
