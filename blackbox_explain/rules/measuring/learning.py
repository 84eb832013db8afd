"""Learning rules from a pool: eq. 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.box.oracle import check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples, as_samples
from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.arguments import check_options, check_rule
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, check
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.statements.rule import Rule
from blackbox_explain.setting_ranges import is_number

__all__ = ["Learned", "learn"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What eq. 1 chose.

    Attributes
    ----------
    chosen
        The rule, with an interval that allows for the choice.
    pool
        Every rule's error on the images that the choice was made by, in the order of the pool; `n` says how many of
        these it speaks of.
    costs
        (len(pool),) λ R(Q) + (1/n) Σ L, which the choice minimises; infinite for a rule that speaks of no image.
    """

    chosen: Faithfulness
    pool: tuple[Faithfulness, ...]
    costs: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def rule(self) -> Rule:
        """The chosen rule."""
        return self.chosen.rule


def learn(
    pool: Sequence[Rule],
    box: BlackBox,
    samples: Samples | Array,
    regularizer: Callable[[Rule], float] | None = None,
    *,
    weight: float = 1.0,
    held_out: float = 0.0,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
) -> Learned:
    """Pick the rule that is seldom wrong and says much: min over Q of λ R(Q) + (1/n) Σ L(Q(x_i; f), x_i, f) (eq. 1).

    Parameters
    ----------
    pool
        Rules to choose from.
    box
        From `wrap`.
    samples
        Images, none of which made the rules; an array (N, *shape) will do.
    regularizer
        R, small for a rule that says much; None is 0 for all.
    weight
        λ.
    held_out
        Share of the images, drawn at random, that the choice does not see and the chosen rule's error is measured on;
        trials and copies of one image stay together.  Which images the rule was chosen by is saved with it, so that
        `Faithfulness.again` leaves them out.  With 0, all images serve for both, and the interval is corrected for the
        number of rules (Bonferroni).
    confidence, batch_size, seed
        As in `faithfulness`.
    progress
        As in `faithfulness`, counted in images times rules.

    Raises
    ------
    InputError
        If the pool is empty or holds what is no rule, no rule speaks of any image or the regularizer leaves none,
        `held_out` leaves no image for one of the two purposes, or a setting is out of range.
    """
    pool = _checked(pool)
    if not is_number(weight) or not (np.isfinite(weight) and weight >= 0):
        raise InputError(
            "This is no weight of the regularizer", got=f"weight={weight}", expected="a number of at least 0"
        )
    check_call(box, batch_size, seed)
    check_options(confidence, len(pool))
    known = as_samples(samples, box.spec)
    place: dict[str, int] = {}
    names = known.digests if held_out else map(str, range(len(known.images)))
    which = np.asarray([place.setdefault(one, len(place)) for one in names])
    images = len(place)
    count = round(held_out * images) if is_number(held_out) and 0 <= held_out < 1 else images
    if count == images or (held_out and not count):
        raise InputError(
            "The images cannot be divided like this",
            got=f"held_out={held_out} of {images} different ones",
            expected="a share that leaves at least one image on either side",
        )
    order = np.random.default_rng([seed, 0x68656C64]).permutation(images) if count else np.arange(images)
    kept, seen = (known.rows_of(np.flatnonzero(np.isin(which, some))) for some in (order[:count], order[count:]))
    questions = Questions(box, known, seed, batch_size)

    found: list[Faithfulness] = []
    total = len(pool) * len(seen) + len(kept)
    with progress_bar(total, "learning a rule", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        for rule in pool:
            found.append(check(rule, questions, seen, confidence, len(pool), advance))
        # Where it counts nothing it is not asked: 0 times infinity is no number.
        reach = [_reach(regularizer, rule) if regularizer and weight else 0.0 for rule in pool]
        costs = np.asarray(
            [weight * r + one.error if one.n else np.inf for r, one in zip(reach, found, strict=True)], dtype=np.float64
        )
        if not any(one.n for one in found):
            raise InputError("No rule of the pool speaks of any of these images", got=f"{len(pool)} rules")
        if not np.isfinite(costs).any():
            raise InputError("The regularizer rules out every rule that speaks of an image", got=f"{len(pool)} rules")
        best = int(np.argmin(costs))
        chosen = found[best]
        if count:
            chosen = replace(
                check(pool[best], questions, kept, confidence, 1, advance),
                chosen_by=tuple(known.digests[row] for row in np.unique(which, return_index=True)[1][order[count:]]),
            )
    return Learned(chosen, tuple(found), costs)


def _reach(regularizer: Callable[[Rule], float], rule: Rule) -> float:
    value = regularizer(rule)
    if not is_number(value) or np.isnan(value):
        got = f"{value!r} of {type(rule).__name__}"
        raise InputError("A regularizer returns a number", got=got, expected="small for rules that are wanted")
    return float(value)


def _checked(pool: Sequence[Rule] | Rule) -> Sequence[Rule]:
    """Return the pool, or raise `InputError` unless it is one of rules."""
    if isinstance(pool, (Rule, Relation)) or not isinstance(pool, Sequence):
        name = f"a {type(pool).__name__}"
        raise InputError("A rule is learned from several", got=name, expected="a list of rules", hint="[rule, another]")
    if not len(pool):
        raise InputError("There are no rules to choose from", got="an empty pool")
    for rule in pool:
        check_rule(rule)
    return pool
