"""How much of two transformations at once leaves the response as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.blackbox import BlackBox
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.faithfulness import Faithfulness
from blackbox_explain.rules.family import Family
from blackbox_explain.rules.invariance import Invariance
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.samples import Samples

__all__ = ["JointRegion", "joint_region", "steps_at_most"]

LEVELS = 8
"""Of either relation."""


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
                {"thetas": pair, "errors": one.errors, "n": one.n, "low": one.low, "high": one.high}
                for pair, one in zip(self.pairs, self.looked_at, strict=True)
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
    levels: int = LEVELS,
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
    search = Family(questions, pairs, confidence, max_error)
    outline: list[tuple[float, float]] = []
    looked: list[tuple[tuple[float, float], Faithfulness]] = []
    with progress_bar(
        steps_at_most(levels) * len(samples), f"{first.name} × {second.name}", None if callable(progress) else progress
    ) as bar:
        questions.advance = progress if callable(progress) else bar
        i, j = len(grids[0]), 0
        while i >= 0 and j <= len(grids[1]):
            parts = [
                (one, float(grid[k - 1])) for one, grid, k in zip((first, second), grids, (i, j), strict=True) if k
            ]
            corner = (float(grids[0][i - 1]) if i else 0.0, float(grids[1][j - 1]) if j else 0.0)
            if parts:
                found = search.error(Invariance(*parts[0], also=tuple(parts[1:]), **response))
                looked.append((corner, found))
                if found.high > max_error:
                    i -= 1
                    continue
            outline = [one for one in outline if one[0] != corner[0]] + [corner]
            j += 1
    corners = np.asarray(sorted(outline), dtype=np.float64).reshape(-1, 2)
    thetas, rules = zip(*looked, strict=True)
    return JointRegion(
        (first, second), corners, thetas, rules, max_error, questions.queries, (pairs + 1) * len(samples)
    )


def steps_at_most(levels: int = LEVELS) -> int:
    """Return how many rules a walk looks at, at most, and one look at the untouched images."""
    return 2 * levels + 2


def _thinned(relation: Relation, most: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return at most so many levels, evenly spaced, the largest among them."""
    count = len(relation.levels)
    chosen = sorted({round(count * (one + 1) / most) for one in range(most)} - {0})
    return relation.levels[[one - 1 for one in chosen]]
