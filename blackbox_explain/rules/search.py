"""Q3: the most informative rule that is still seldom wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.blackbox import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.faithfulness import Faithfulness, measured
from blackbox_explain.rules.invariance import Invariance, level_drawn, levels_up_to, signs
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.rule import Outcome
from blackbox_explain.rules.samples import Samples

__all__ = ["Counterexample", "JointRegion", "MostInformative", "joint_region", "most_informative"]

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


@dataclass(frozen=True, eq=False)
class MostInformative:
    """The largest θ of one relation.

    Attributes
    ----------
    relation
        The relation.
    theta
        The largest θ whose rule is wrong for at most `max_error` of the images, with confidence; 0 if not even the
        smallest one's is.
    max_error
        What was allowed.
    chosen
        The rule with this θ; where θ is 0, that of the smallest, which is wrong too often.
    curve
        Every θ that the search looked at, ascending, with its rule.  All intervals hold at once.
    nearest
        Images whose response changed, those that took the least transformation first.
    queries
        Images that the model was asked about, the untouched ones included.
    dense_queries
        Images that a grid of all levels would have taken.
    """

    relation: Relation
    theta: float
    max_error: float
    chosen: Faithfulness
    curve: tuple[tuple[float, Faithfulness], ...]
    nearest: tuple[Counterexample, ...]
    queries: int
    dense_queries: int

    @property
    def informativeness(self) -> float:
        """−R(Q) = θ; larger says more."""
        return self.theta

    @property
    def sentence(self) -> str:
        """The result in one English sentence, without a full stop."""
        if self.theta:
            return self.chosen.sentence
        return f"no {self.relation.name} is small enough: {self.chosen.sentence}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "relation": self.relation.to_dict(),
            "theta": self.theta,
            "unit": self.relation.unit,
            "max_error": self.max_error,
            "sentence": self.sentence,
            "chosen": self.chosen.to_dict(),
            "curve": [
                {"theta": theta, "errors": one.errors, "n": one.n, "low": one.low, "high": one.high}
                for theta, one in self.curve
            ],
            "nearest": [vars(one) for one in self.nearest],
            "queries": self.queries,
            "dense_queries": self.dense_queries,
        }


@dataclass(frozen=True, eq=False)
class JointRegion:
    """How much of two relations at once leaves the response as it is.

    Attributes
    ----------
    relations
        Both.
    outline
        (M, 2) corners: for each θ of the first relation (0 means not at all) the largest of the second that was
        accepted; below and left of the outline the rule is wrong for at most `max_error`.
    looked_at
        The rule at every pair that the search looked at.
    max_error, queries, dense_queries
        As in `MostInformative`.
    """

    relations: tuple[Relation, Relation]
    outline: np.ndarray[Any, np.dtype[np.float64]]
    looked_at: tuple[Faithfulness, ...]
    max_error: float
    queries: int
    dense_queries: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "relations": [one.to_dict() for one in self.relations],
            "outline": self.outline.tolist(),
            "max_error": self.max_error,
            "looked_at": [
                {"rule": one.rule.to_dict(), "errors": one.errors, "n": one.n, "low": one.low, "high": one.high}
                for one in self.looked_at
            ],
            "queries": self.queries,
            "dense_queries": self.dense_queries,
        }


def most_informative(
    relation: Relation,
    box: BlackBox,
    samples: Samples,
    *,
    max_error: float = 0.05,
    whole_curve: bool = False,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
    **response: Any,
) -> MostInformative:
    """Find the largest θ whose rule stays below a level of error: Q3 with R = −θ (section 3.1).

    The error grows with θ, so the levels are halved until two neighbours are left.  An image keeps the transformation
    drawn for it as long as θ allows it, and is then not asked about again.

    Parameters
    ----------
    relation
        One of the catalogue, or one's own.
    box
        From `wrap`.
    samples
        Images x_i ~ p(x).
    max_error
        The upper end of the interval of the chosen rule's error is at most this.
    whole_curve
        Ask about every level, for a finer curve: some (1 + ln K) queries an image instead of some log₂ K at most.
    confidence
        Of all intervals at once: each is widened for the number of levels (Bonferroni), because θ is looked for.
    batch_size, seed
        As in `faithfulness`.
    progress
        As in `faithfulness`; the total is the most that the search may take.
    **response
        Fields of `Invariance`: ``response="class"``, ``tolerance=0.1``.

    Returns
    -------
    MostInformative
        θ, its rule and the curve.

    Raises
    ------
    InputError
        If the samples do not fit, or no number of errors among so few images could stay below `max_error`.
    """
    levels = relation.levels
    questions = Questions(box, samples, seed, batch_size)
    search = _Search(questions, len(levels), confidence, max_error)
    visits = math.ceil(math.log2(len(levels) + 1)) + 1
    with progress_bar((visits + 1) * len(samples), relation.name, None if callable(progress) else progress) as bar:
        questions.advance = progress if callable(progress) else bar

        def at(count: int) -> Faithfulness:
            return search.error(Invariance(relation, float(levels[count - 1]), **response))

        accepted, refused = 0, len(levels) + 1
        looked = {len(levels): at(len(levels))}
        if whole_curve:
            looked.update({count: at(count) for count in range(1, len(levels))})
        while refused - accepted > 1:
            middle = len(levels) if refused > len(levels) else (accepted + refused) // 2
            if middle not in looked:
                looked[middle] = at(middle)
            accepted, refused = (middle, refused) if looked[middle].high <= max_error else (accepted, middle)
    chosen = looked[max(accepted, 1)]
    curve = tuple((float(levels[count - 1]), looked[count]) for count in sorted(looked))
    theta = float(levels[accepted - 1]) if accepted else 0.0
    dense = len(samples) * (len(levels) + 1)
    nearest = search.nearest(relation)
    return MostInformative(relation, theta, max_error, chosen, curve, nearest, questions.queries, dense)


def joint_region(
    first: Relation,
    second: Relation,
    box: BlackBox,
    samples: Samples,
    *,
    levels: int = 8,
    max_error: float = 0.05,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
    **response: Any,
) -> JointRegion:
    """Find how much of two relations at once leaves the response as it is, such as rotation and scale.

    The outline is walked like a staircase, from the largest θ of the first relation and none of the second: up where
    the rule holds, left where it does not.

    Parameters
    ----------
    first, second
        Two relations; the first is done first.
    levels
        Of either relation, evenly spaced; the walk takes at most twice as many steps.
    box, samples, max_error, confidence, batch_size, seed, progress, **response
        As in `most_informative`; intervals are widened for the number of pairs.
    """
    grids = [_thinned(relation, levels) for relation in (first, second)]
    pairs = (len(grids[0]) + 1) * (len(grids[1]) + 1) - 1
    questions = Questions(box, samples, seed, batch_size)
    search = _Search(questions, pairs, confidence, max_error)
    outline: list[tuple[float, float]] = []
    looked: list[Faithfulness] = []
    steps = (len(grids[0]) + len(grids[1]) + 1) * len(samples)
    with progress_bar(steps, f"{first.name} × {second.name}", None if callable(progress) else progress) as bar:
        questions.advance = progress if callable(progress) else bar
        i, j = len(grids[0]), 0
        while i >= 0 and j <= len(grids[1]):
            parts = [
                (one, float(grid[k - 1])) for one, grid, k in zip((first, second), grids, (i, j), strict=True) if k
            ]
            if parts:
                found = search.error(Invariance(*parts[0], also=tuple(parts[1:]), **response))
                looked.append(found)
                if found.high > max_error:
                    i -= 1
                    continue
            corner = (float(grids[0][i - 1]) if i else 0.0, float(grids[1][j - 1]) if j else 0.0)
            outline = [one for one in outline if one[0] != corner[0]] + [corner]
            j += 1
    corners = np.asarray(sorted(outline), dtype=np.float64).reshape(-1, 2)
    asked = questions.queries
    return JointRegion((first, second), corners, tuple(looked), max_error, asked, (pairs + 1) * len(samples))


class _Search:
    """Rules of one family on the same images; an image that is transformed as before is not asked about again."""

    def __init__(self, questions: Questions, looked_for: int, confidence: float, max_error: float) -> None:
        if not 0 < max_error < 1:
            raise InputError("An error is a share", got=f"max_error={max_error}", expected="between 0 and 1")
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
        if len(missing):
            found = rule.check(questions, missing)
            for row, held, amount in zip(missing, found.held, found.amount, strict=True):
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
            (relation, level_drawn(self._questions, row, relation, levels_up_to(relation, theta)))
            for relation, theta in rule.parts
        ]
        return (row, rule.response, *drawn)


def _thinned(relation: Relation, most: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return at most so many levels, evenly spaced, the largest among them."""
    count = len(relation.levels)
    chosen = sorted({round(count * (one + 1) / most) for one in range(most)} - {0})
    return relation.levels[[one - 1 for one in chosen]]
