"""How much of two transformations at once leaves the response as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.faithfulness import Faithfulness
from blackbox_explain.rules.measuring.rule_family import Family
from blackbox_explain.rules.measuring.search import bisected, visits
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.setting_ranges import is_whole

__all__ = ["JointRegion", "joint_region", "looks_at_most", "pairs_of", "search_region"]

STEPS = 8
"""Of the staircase, in either direction."""


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
    pairs, looked_at
        Every pair of θ that the search looked at, and its rule.
    max_error, queries, dense_queries
        As in `MostInformative`.
    """

    relations: tuple[Relation, Relation]
    outline: np.ndarray[Any, np.dtype[np.float64]]
    pairs: tuple[tuple[float, float], ...]
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
                {"thetas": pair, **one.to_dict()} for pair, one in zip(self.pairs, self.looked_at, strict=True)
            ],
            "queries": self.queries,
            "dense_queries": self.dense_queries,
        }


def joint_region(
    first: Relation,
    second: Relation,
    box: BlackBox,
    samples: Samples,
    *,
    steps: int = STEPS,
    max_error: float = 0.05,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
    **response: Any,
) -> JointRegion:
    """Find how much of two relations at once leaves the response as it is, such as rotation and scale.

    First the largest θ of either alone is looked for.  Between these the outline is walked like a staircase, from the
    largest θ of the first relation and none of the second: up where the rule holds, left where it does not.

    Parameters
    ----------
    first, second
        Two relations; the first is done first.
    steps
        Steps of the staircase in either direction, at most.
    box, samples, max_error, confidence, batch_size, seed, progress, **response
        As in `most_informative`; intervals are widened for the number of pairs of levels, 0 among them.
    """
    total = looks_at_most(first, second, steps) * len(samples)
    with progress_bar(total, f"{first.name} × {second.name}", None if callable(progress) else progress) as bar:
        questions = Questions(box, samples, seed, batch_size, advance=progress if callable(progress) else bar)
        options: dict[str, Any] = {"steps": steps, "max_error": max_error, "confidence": confidence}
        return search_region(first, second, questions, **options, **response)


def search_region(
    first: Relation,
    second: Relation,
    questions: Questions,
    *,
    steps: int = STEPS,
    max_error: float,
    confidence: float,
    **response: Any,
) -> JointRegion:
    """Do the work of `joint_region` with questions that several searches may share."""
    if not is_whole(steps) or steps < 1:
        raise InputError("A staircase has steps", got=f"steps={steps!r}", expected="a whole number of at least 1")
    both, before = (first, second), questions.queries
    sizes = [len(relation.levels) for relation in both]
    pairs = pairs_of(first, second)
    looked: dict[tuple[int, int], Faithfulness] = {}
    family = Family(questions, pairs, confidence, max_error)

    def holds(i: int, j: int) -> bool:
        parts = [(one, float(one.levels[k - 1])) for one, k in zip(both, (i, j), strict=True) if k]
        if parts and (i, j) not in looked:
            looked[i, j] = family.error(Invariance(*parts[0], also=tuple(parts[1:]), **response))
        return not parts or looked[i, j].high <= max_error

    alone = bisected(lambda i: holds(i, 0), sizes[0]), bisected(lambda j: holds(0, j), sizes[1])
    across, up = (_thinned(largest, steps) for largest in alone)
    outline: dict[int, int] = {}
    i, j = len(across) - 1, 0
    while i >= 0 and j < len(up):
        if holds(across[i], up[j]):
            outline[across[i]] = up[j]
            j += 1
        else:
            i -= 1

    def thetas(pair: tuple[int, int]) -> tuple[float, float]:
        one, two = (float(relation.levels[k - 1]) if k else 0.0 for relation, k in zip(both, pair, strict=True))
        return one, two

    return JointRegion(
        both,
        np.asarray([thetas(pair) for pair in sorted(outline.items()) if any(pair)], dtype=np.float64).reshape(-1, 2),
        tuple(thetas(pair) for pair in looked),
        tuple(looked.values()),
        max_error,
        questions.queries - before,
        (pairs + 1) * len(questions.samples),
    )


def looks_at_most(first: Relation, second: Relation, steps: int = STEPS) -> int:
    """Return how many rules, and looks at all the untouched images, a search takes at most."""
    return visits(first) + visits(second) + 2 * steps


def pairs_of(first: Relation, second: Relation) -> int:
    """Return how many pairs of levels there are, 0 among them, that are told apart."""
    return (len(first.levels) + 1) * (len(second.levels) + 1) - 1


def _thinned(largest: int, steps: int) -> list[int]:
    """Return 0 to the largest in at most so many even steps."""
    return sorted({round(largest * one / steps) for one in range(steps + 1)})
