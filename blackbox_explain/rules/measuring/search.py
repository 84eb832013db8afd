"""Q3: the most informative rule that is still seldom wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.faithfulness import Faithfulness
from blackbox_explain.rules.measuring.rule_family import Counterexample, Family
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.invariance import Invariance

__all__ = [
    "MostInformative",
    "bisected",
    "most_informative",
    "search_relation",
    "visits",
]


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
    def sentence(self) -> str:
        """The result in one English sentence, without a full stop."""
        if self.theta:
            return self.chosen.sentence
        return f"{self.refusal}: {self.chosen.sentence}"

    @property
    def refusal(self) -> str:
        """What to say where no θ is small enough."""
        name = self.relation.name.replace("-", " ")
        return f"no {name} is small enough" if len(self.relation.levels) > 1 else f"{name} is too much"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "relation": self.relation.to_dict(),
            "theta": self.theta,
            "unit": self.relation.unit,
            "max_error": self.max_error,
            "sentence": self.sentence,
            "chosen": self.chosen.to_dict(),
            "curve": [{"theta": theta, **one.to_dict()} for theta, one in self.curve],
            "nearest": [vars(one) for one in self.nearest],
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

    The error is taken to grow with θ, so the levels are halved until two neighbours are left; where it does not (hues
    that turn all the way round), the rule found is still a valid one, but a larger θ may be too.  An image keeps the
    transformation drawn for it as long as θ allows it, and is then not asked about again.

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
    most = visits(relation, whole_curve) * len(samples)
    with progress_bar(most, relation.name, None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        questions = Questions(box, samples, seed, batch_size, advance=advance)
        return search_relation(
            relation, questions, max_error=max_error, whole_curve=whole_curve, confidence=confidence, **response
        )


def visits(relation: Relation, whole_curve: bool = False) -> int:
    """Return how many rules, and looks at all the untouched images, a search takes at most."""
    levels = len(relation.levels)
    return levels + 1 if whole_curve else math.ceil(math.log2(levels + 1)) + 2


def bisected(holds: Callable[[int], bool], count: int) -> int:
    """Return the largest number up to `count` that holds, 0 if none does, where all below one that holds hold too."""
    accepted, refused = 0, count + 1
    while refused - accepted > 1:
        middle = count if refused > count else (accepted + refused) // 2
        accepted, refused = (middle, refused) if holds(middle) else (accepted, middle)
    return accepted


def search_relation(
    relation: Relation, questions: Questions, *, max_error: float, whole_curve: bool, confidence: float, **response: Any
) -> MostInformative:
    """Do the work of `most_informative` with questions that several searches may share."""
    levels, samples, before = relation.levels, questions.samples, questions.queries
    search = Family(questions, len(levels), confidence, max_error)

    def at(count: int) -> Faithfulness:
        return search.error(Invariance(relation, float(levels[count - 1]), **response))

    looked = {count: at(count) for count in range(1, len(levels))} if whole_curve else {}

    def holds(count: int) -> bool:
        if count not in looked:
            looked[count] = at(count)
        return looked[count].high <= max_error

    accepted = bisected(holds, len(levels))
    return MostInformative(
        relation,
        float(levels[accepted - 1]) if accepted else 0.0,
        max_error,
        looked[max(accepted, 1)],
        tuple((float(levels[count - 1]), looked[count]) for count in sorted(looked)),
        search.nearest(relation),
        questions.queries - before,
        len(samples) * (len(levels) + 1),
    )
