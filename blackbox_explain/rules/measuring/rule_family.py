"""Rules of one family on the same images: what was asked for one is not asked again for the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.rules.measuring.arguments import check_options
from blackbox_explain.rules.measuring.faithfulness import AT_A_TIME, Faithfulness, measured, percent
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.invariance import Invariance, level_drawn, levels_up_to, signs
from blackbox_explain.rules.statements.rule import Outcome

__all__ = ["Counterexample", "Family", "check_enough", "images_needed", "least_error"]

NEAREST = 10
"""Counterexamples that are kept."""


@dataclass(frozen=True)
class Counterexample:
    """One image whose response a transformation changed.

    Attributes
    ----------
    row
        Of the samples.
    name
        Of the image.
    amount
        Strength of the transformation, with its sign.
    """

    row: int
    name: str
    amount: float


def images_needed(looked_for: int, confidence: float, max_error: float) -> int:
    """Return how many images it takes to show that a rule is wrong for at most `max_error`, if it is never wrong.

    With no error among n images the exact interval ends at 1 − t^(1/n), where t is the probability of missing above.

    Parameters
    ----------
    looked_for
        Rules that are told apart.
    confidence
        That all their intervals hold at once.
    max_error
        Share of all images.

    Raises
    ------
    InputError
        If a setting is out of range.
    """
    if not 0 < max_error < 1:
        raise InputError("An error is a share", got=f"max_error={max_error}", expected="between 0 and 1")
    return math.ceil(math.log(_tail(looked_for, confidence)) / math.log1p(-max_error))


def least_error(n: int, looked_for: int, confidence: float) -> float:
    """Return the smallest `max_error` that so many images could show, rounded up to 0.001; at least 1 if none."""
    return math.ceil(1000 * (1 - _tail(looked_for, confidence) ** (1 / n))) / 1000


def check_enough(n: int, looked_for: int, confidence: float, max_error: float) -> None:
    """Raise `InputError` unless so many images could show that a rule is wrong for at most `max_error`."""
    least = images_needed(looked_for, confidence, max_error)
    if n < least:
        feasible = least_error(n, looked_for, confidence)
        raise InputError(
            f"So few images cannot show that a rule is wrong for at most {percent(max_error)} % of all",
            got=f"{n}",
            expected=f"at least {least}" + (f", to tell {looked_for:,} rules apart" if looked_for > 1 else ""),
            hint=f"max_error={feasible:g} (--max-error {feasible:g})" if feasible < 1 else "more images",
        )


def _tail(looked_for: int, confidence: float) -> float:
    check_options(confidence, looked_for)
    return (1 - confidence) / (2 * looked_for)


class Family:
    """Rules of one family on the same images; an image that is transformed as before is not asked about again."""

    def __init__(self, questions: Questions, looked_for: int, confidence: float, max_error: float) -> None:
        check_enough(len(questions.samples), looked_for, confidence, max_error)
        self._questions = questions
        self._looked_for, self._confidence = looked_for, confidence
        self._known: dict[tuple[Any, ...], tuple[bool, float]] = {}

    def error(self, rule: Invariance) -> Faithfulness:
        """Return the error of one rule on all images."""
        questions, before = self._questions, self._questions.queries
        rows = np.arange(len(questions.samples))
        keys = [self._key(rule, int(row)) for row in rows]
        missing = np.asarray([row for row in rows if keys[row] not in self._known], dtype=np.int64)
        questions.advance(len(rows) - len(missing))
        step = AT_A_TIME * questions.batch_size
        for first in range(0, len(missing), step):
            part = missing[first : first + step]
            found = rule.check(questions, part)
            for row, held, amount in zip(part, found.held, found.amount, strict=True):
                self._known[keys[row]] = bool(held), float(amount)
        held, amount = (np.asarray(one) for one in zip(*(self._known[key] for key in keys), strict=True))
        whole = Outcome.always(held, amount)
        asked = questions.queries - before
        return measured(rule, questions, rows, whole, self._confidence, self._looked_for, asked)

    def nearest(self, relation: Relation) -> tuple[Counterexample, ...]:
        """Return the images whose response a transformation changed, the least first."""
        wrong = sorted((key[2][1], key[0]) for key, (held, _) in self._known.items() if not held)
        least = {row: level for level, row in reversed(wrong)}
        rows = sorted(least, key=lambda row: (least[row], row))[:NEAREST]
        sign = signs(self._questions, np.asarray(rows, dtype=np.int64), relation)
        names = self._questions.samples.names
        return tuple(
            Counterexample(row, names[row], float(one * relation.levels[least[row]]))
            for row, one in zip(rows, sign, strict=True)
        )

    def _key(self, rule: Invariance, row: int) -> tuple[Any, ...]:
        drawn = [
            (relation, level_drawn(self._questions, row, relation, levels_up_to(relation, theta), place))
            for place, (relation, theta) in enumerate(rule.parts)
        ]
        return (row, (rule.response, rule.tolerance), *drawn)
