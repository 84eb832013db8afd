"""Q2: what a change of the image does not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import BlackBoxExplainError, InputError, ModelError
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.relation import Relation, check_relation
from blackbox_explain.rules.statements.rule import Outcome, Rule
from blackbox_explain.setting_ranges import is_number

__all__ = ["Invariance", "Response", "level_drawn"]

Response = str
"""What must stay: ``"class"`` the top class, ``"score"`` its score within a tolerance, ``"exact"`` every score."""


ROUNDING = 1e-5
"""By this share of the largest score, at least of one, scores differ that are equal but for the order of sums."""

ONE_SCORE = 'response="score" asks whether the score stays'


@dataclass(frozen=True)
class Invariance(Rule):
    """{x ~θ x' ⇒ f(x) = f(x')} for x' drawn from all transformations of at most θ: Q2, and Q3 with θ learned (3.1).

    The strength is drawn evenly from the relation's levels up to θ, and its sign if it has one: the error is a mean
    over all of them, and that of the largest alone may be higher.

    Attributes
    ----------
    relation
        What is done to the image.
    theta
        How much of it at most.
    response
        ``"class"``: the top class stays; ``"score"``: its score changes by at most `tolerance`; ``"exact"``: no score
        changes, but by the rounding of floats (`ROUNDING` of the largest).
    tolerance
        For ``"score"``.
    also
        Further relations with their θ, done after the first.
    """

    relation: Relation
    theta: float
    response: Response = "class"
    tolerance: float = 0.1
    also: tuple[tuple[Relation, float], ...] = ()

    def __post_init__(self) -> None:
        for relation, theta in self.parts:
            check_relation(relation)
            relation.check_theta(theta)
        if not is_number(self.tolerance) or not 0 <= self.tolerance < np.inf:
            raise InputError("A tolerance is at least 0", got=f"tolerance={self.tolerance!r}")
        if self.response not in ("class", "score", "exact"):
            expected = "'class', 'score' or 'exact'"
            raise InputError("There is no such response", got=repr(self.response), expected=expected)

    @property
    def parts(self) -> tuple[tuple[Relation, float], ...]:
        """All relations with their θ, in the order in which they are done."""
        return ((self.relation, self.theta), *self.also)

    @property
    def sentence(self) -> str:
        """The statement in English."""
        same = {
            "class": "the top class stays the same",
            "score": f"the score of its top class changes by at most {self.tolerance:g}",
            "exact": "no score changes",
        }
        done = " and ".join(relation.phrase(theta) for relation, theta in self.parts)
        return f"if {done}, {same[self.response]}"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Ask about one transformed copy of each image."""
        before = questions.original(rows)
        after = questions.ask(rows, lambda some: self.transformed(questions, some))
        return self.compare(before, after)

    def compare(self, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> Outcome:
        """Return the outcome for scores (n, K) before and after; amounts above 0 are violations."""
        each, top = np.arange(len(before)), before.argmax(axis=1)
        if self.response == "exact":
            largest = np.where(np.isfinite(before), np.abs(before), 0).max(axis=1)
            amount = _difference(after, before).max(axis=1) - ROUNDING * np.maximum(largest, 1)
        elif self.response == "score":
            amount = _difference(after[each, top], before[each, top]) - self.tolerance
        else:
            if before.shape[1] < 2:
                raise InputError(
                    "The top class of one score is always the same", got="a model with one score", hint=ONE_SCORE
                )
            others = after.copy()
            others[each, top] = -np.inf
            amount = np.where(after.argmax(axis=1) == top, -1.0, 1.0) * _difference(
                others.max(axis=1), after[each, top]
            )
            return Outcome.always(after.argmax(axis=1) == top, amount)
        return Outcome.always(amount <= 0, amount)

    def transformed(self, questions: Questions, rows: Rows) -> np.ndarray[Any, Any]:
        """Return one transformed copy of each of some images: (n, *shape)."""
        images = questions.samples.batch(rows)
        for place, (relation, theta) in enumerate(self.parts):
            drawn = [level_drawn(questions, row, relation, levels_up_to(relation, theta), place) for row in rows]
            amounts = signs(questions, rows, relation, place) * relation.levels[drawn]
            images = apply(relation, images, amounts, questions, rows, place)
        return images


def _difference(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return |first − second|; equal infinities differ by nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, np.abs(first - second))


def levels_up_to(relation: Relation, theta: float) -> int:
    """Return how many levels of a relation are at most θ."""
    return int(np.searchsorted(relation.levels, theta * (1 + 1e-9), side="right"))


def level_drawn(questions: Questions, row: int, relation: Relation, count: int, place: int = 0) -> int:
    """Return which of the first `count` levels is drawn for an image.

    The same list of levels is drawn from all of them whatever `count`, and the first that is allowed is taken.  Each is
    as likely as the other, and most images keep theirs when `count` changes: they need not be asked about again.
    """
    purpose = f"level of {relation.name}, {place}"
    draws = questions.integers(row, purpose, len(relation.levels))
    allowed = draws[draws < count]
    # With few of many levels allowed, all of the draws may be too high.
    return int(allowed[0] if len(allowed) else questions.integers(row, purpose + ", low", count)[0])


def signs(
    questions: Questions, rows: Rows, relation: Relation, place: int = 0
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return for each image which way it is transformed: ±1, or 1 if the relation has no sign."""
    if not relation.signed:
        return np.ones(len(rows))
    drawn = [questions.generator(row, f"sign of {relation.name}, {place}").integers(0, 2) for row in rows]
    return np.where(np.asarray(drawn) > 0, 1.0, -1.0)


def generators_for(questions: Questions, rows: Rows, relation: Relation, place: int = 0) -> list[np.random.Generator]:
    """Return for each image what else is random in its transformation."""
    return [questions.generator(row, f"{relation.name}, {place}") for row in rows]


def apply(
    relation: Relation,
    images: np.ndarray[Any, Any],
    amounts: Sequence[float] | np.ndarray[Any, Any],
    questions: Questions,
    rows: Rows,
    place: int = 0,
) -> np.ndarray[Any, Any]:
    """Transform images (n, *shape), and make sure that images of the same shape came out.

    `place` tells several relations that are done one after the other apart, so that each has draws of its own.

    Raises
    ------
    ModelError
        If the relation changes the shape, or makes what is not finite.
    InputError
        If it raises.
    """
    generators = generators_for(questions, rows, relation, place)
    try:
        made = relation.transform(images, np.asarray(amounts, dtype=np.float64), questions.samples.spec, generators)
    except (BlackBoxExplainError, MemoryError):
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(f"The relation {relation.name} raised an error", got=got) from error
    relation.check_shape(made, images)
    # The sum is quick, and says enough unless it overflows itself.
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = not np.isfinite(made.sum())
    if doubtful and not np.isfinite(made).all():
        raise ModelError(f"The relation {relation.name} makes values that are not finite")
    return made
