"""Learning rules from a pool: eq. 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.blackbox import BlackBox
from blackbox_explain.errors import InputError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.faithfulness import Faithfulness, check
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.rule import Rule
from blackbox_explain.rules.samples import Samples

__all__ = ["Learned", "learn"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What eq. 1 chose.

    Attributes
    ----------
    chosen
        The rule, with an interval that allows for the choice.
    pool
        Every rule's error on the images that the choice was made by, in the order of the pool.
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
    samples: Samples,
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
        Images, none of which made the rules.
    regularizer
        R, small for a rule that says much; None is 0 for all.
    weight
        λ.
    held_out
        Share of the images, drawn at random, that the choice does not see and the chosen rule's error is measured on.
        With 0, all images serve for both, and the interval is corrected for the number of rules (Bonferroni).
    confidence, batch_size, seed
        As in `faithfulness`.
    progress
        As in `faithfulness`, counted in images times rules.

    Raises
    ------
    InputError
        If the pool is empty, no rule speaks of any image, or `held_out` leaves no image for one of the two purposes.
    """
    if not pool:
        raise InputError("There are no rules to choose from", got="an empty pool")
    count = round(held_out * len(samples))
    if not 0 <= held_out < 1 or count == len(samples) or (held_out > 0 and count == 0):
        raise InputError(
            "The images cannot be divided like this", got=f"held_out={held_out} of {len(samples)}", expected="a share"
        )
    order = np.random.default_rng([seed, 0x68656C64]).permutation(len(samples)) if count else np.arange(len(samples))
    kept, seen = np.sort(order[:count]), np.sort(order[count:])
    questions = Questions(box, samples, seed, batch_size)
    found: list[Faithfulness] = []
    total = len(pool) * len(seen) + count
    with progress_bar(total, "learning a rule", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        for rule in pool:
            found.append(check(rule, questions, seen, confidence, len(pool), advance))
        reach = [regularizer(rule) if regularizer else 0.0 for rule in pool]
        costs = np.asarray(
            [weight * r + one.error if one.n else np.inf for r, one in zip(reach, found, strict=True)], dtype=np.float64
        )
        if not np.isfinite(costs).any():
            raise InputError("No rule of the pool speaks of any of these images", got=f"{len(pool)} rules")
        best = int(np.argmin(costs))
        chosen = check(pool[best], questions, kept, confidence, 1, advance) if count else found[best]
    return Learned(chosen, tuple(found), costs)
