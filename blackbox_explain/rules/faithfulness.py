"""How often a rule is wrong: L = E[1 − δ_Q] of section 3.1, with an interval that says how well that is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blackbox_explain.blackbox import BlackBox
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.intervals import ConfidenceSequence, clopper_pearson
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.rule import Outcome, Rule
from blackbox_explain.rules.samples import Samples
from blackbox_explain.rules.saved import from_dict

__all__ = ["Faithfulness", "Violation", "check", "faithfulness", "measured", "percent"]

AT_A_TIME = 8
"""Batches that a rule is given at once."""

WORST = 10
"""Violations that are kept."""

FORMAT = "blackbox_explain rule, 1"


@dataclass(frozen=True)
class Violation:
    """One image that a rule was wrong about.

    Attributes
    ----------
    row
        Of the samples.
    name
        Of the image.
    amount
        How far from coming true, in the rule's own measure.
    """

    row: int
    name: str
    amount: float


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """A rule with its measured error.

    Attributes
    ----------
    rule
        The rule.
    errors, n
        Images that it was wrong about, among those it speaks of.
    low, high
        Interval of the error L.
    confidence
        Of the interval.
    bound
        ``"exact"`` (Clopper–Pearson, all images were asked about) or ``"sequence"`` (sampling could stop early; the
        interval holds at every moment).
    looked_for
        Rules among which this one was looked for; the interval is that much wider (Bonferroni).
    violations
        The worst, the largest amount first.
    queries
        Images that the model was asked about.
    seed
        Of all random draws.
    batch_size
        Images in one call.
    model_fingerprint, samples_fingerprint
        Of the model (empty if it has none) and of the images.
    unit
        What one sample is called: "image" or "trial".
    """

    rule: Rule
    errors: int
    n: int
    low: float
    high: float
    confidence: float
    bound: Literal["exact", "sequence"]
    looked_for: int
    violations: tuple[Violation, ...]
    queries: int
    seed: int
    batch_size: int
    model_fingerprint: str
    samples_fingerprint: str
    unit: str = "image"

    @property
    def error(self) -> float:
        """The share of images that the rule was wrong about; NaN if it speaks of none."""
        return self.errors / self.n if self.n else math.nan

    @property
    def sentence(self) -> str:
        """The rule and its error in one English sentence, without a full stop."""
        return f"{self.rule.sentence}: {self.verdict}"

    @property
    def verdict(self) -> str:
        """The error in words."""
        if not self.n:
            return f"it speaks of none of these {self.unit}s"
        images = self.unit + "s" * (self.n != 1)
        interval = f"{percent(self.confidence)} % interval {percent(self.low)}–{percent(self.high)} %"
        return f"wrong for {percent(self.error)} % of {self.n:,} {images} ({interval})"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "sentence": self.sentence,
            "rule": self.rule.to_dict(),
            "error": self.error if self.n else None,
            **{name: getattr(self, name) for name in _PLAIN},
            "violations": [vars(one) for one in self.violations],
        }

    def save(self, path: str | Path) -> None:
        """Write everything that is needed to check the rule again, as JSON.

        Raises
        ------
        ResultError
            If it cannot be written.
        """
        text = json.dumps({"format": FORMAT, **self.to_dict()}, indent=2, ensure_ascii=False)
        try:
            Path(path).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ResultError("The rule cannot be written", got=f"{path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: str | Path) -> Faithfulness:
        """Read what `save` wrote.

        Raises
        ------
        ResultError
            If there is no such file, or it holds no rule.
        """
        try:
            saved = json.loads(Path(path).read_text(encoding="utf-8"))
            if saved.get("format") != FORMAT:
                raise ResultError("This holds no rule", got=str(path), expected=f'"format": "{FORMAT}"')
            violations = tuple(Violation(**one) for one in saved["violations"])
            return cls(from_dict(saved["rule"]), violations=violations, **{name: saved[name] for name in _PLAIN})
        except OSError as error:
            raise ResultError("The rule cannot be read", got=f"{path}: {error.strerror}") from error
        except (ValueError, AttributeError, KeyError, TypeError, InputError) as error:
            raise ResultError("This holds no rule", got=f"{path}: {error}") from error

    def again(self, box: BlackBox, samples: Samples) -> Faithfulness:
        """Measure the same rule again with the same draws, on any box and samples: all of the images."""
        options: dict[str, Any] = {"confidence": self.confidence, "seed": self.seed, "batch_size": self.batch_size}
        return faithfulness(self.rule, box, samples, looked_for=self.looked_for, **options)


_PLAIN = (
    *("errors", "n", "low", "high", "confidence", "bound", "looked_for", "queries", "seed", "batch_size"),
    *("model_fingerprint", "samples_fingerprint", "unit"),
)


def faithfulness(
    rule: Rule,
    box: BlackBox,
    samples: Samples,
    *,
    confidence: float = 0.95,
    precision: float | None = None,
    looked_for: int = 1,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
) -> Faithfulness:
    """Measure how often a rule is wrong about a black box: L = E[1 − δ_Q] (section 3.1).

    Parameters
    ----------
    rule
        What is claimed.
    box
        From `wrap`.
    samples
        Images x_i ~ p(x); the interval holds for the images that these were drawn from at random.
    confidence
        Of the interval.
    precision
        Width of the interval at which sampling stops, such as 0.05; images are then taken in random order, and the
        interval is one that holds although one looked after each batch.  None asks about all images and takes the exact
        binomial interval, which is narrower.
    looked_for
        Rules among which this one was picked by the same images; the interval is widened accordingly (Bonferroni).
    batch_size
        Images in one call of the model.
    seed
        Of all random draws; what is drawn for an image depends on seed and row alone.
    progress
        True, False, or a function called with the number of images after each batch; None shows a bar on a terminal.

    Returns
    -------
    Faithfulness
        Error, interval and worst violations; `print(found.sentence)`.

    Raises
    ------
    InputError
        If the samples do not fit the model or lack what the rule needs, or a setting is out of range.
    ModelError
        If the model fails.
    """
    if precision is not None and not 0 < precision < 1:
        raise InputError("A precision is the width of an interval", got=f"{precision}", expected="between 0 and 1")
    if looked_for < 1:
        raise InputError("A rule is looked for among at least one", got=f"looked_for={looked_for}")
    with progress_bar(len(samples), "checking", None if callable(progress) else progress) as bar:
        questions = Questions(box, samples, seed, batch_size)
        every = np.arange(len(samples))
        if precision is None:
            return check(rule, questions, every, confidence, looked_for, progress if callable(progress) else bar)
        every = np.random.default_rng([seed, 0x6F72646572]).permutation(every)
        sequence = ConfidenceSequence(1 - (1 - confidence) / looked_for)

        def precise(found: Outcome) -> bool:
            low, high = sequence.add(int((~found.held & found.applies).sum()), int(found.applies.sum()))
            return high - low <= precision

        result = check(rule, questions, every, confidence, looked_for, progress if callable(progress) else bar, precise)
    low, high = sequence.interval
    return replace(result, low=low, high=high, bound="sequence")


def check(
    rule: Rule,
    questions: Questions,
    rows: np.ndarray[Any, Any],
    confidence: float,
    looked_for: int,
    advance: Advance,
    enough: Callable[[Outcome], bool] | None = None,
) -> Faithfulness:
    """Check a rule on rows of the samples until `enough`, and return its error with the exact interval."""
    outcomes: list[Outcome] = []
    before, done = questions.queries, 0
    # Several batches at a time where nobody looks in between: the next is then made while the model runs.
    step = questions.batch_size * (1 if enough else AT_A_TIME)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        outcomes.append(rule.check(questions, part))
        done += len(part)
        advance(len(part))
        if enough and enough(outcomes[-1]):
            break
    names = ("held", "amount", "applies")
    whole = Outcome(*(np.concatenate([getattr(one, name) for one in outcomes]) for name in names))
    return measured(rule, questions, rows[:done], whole, confidence, looked_for, questions.queries - before)


def measured(
    rule: Rule,
    questions: Questions,
    rows: np.ndarray[Any, Any],
    whole: Outcome,
    confidence: float,
    looked_for: int,
    queries: int,
) -> Faithfulness:
    """Return the error of a rule whose outcome on some rows is known, with the exact interval."""
    wrong = ~whole.held & whole.applies
    errors, n = int(wrong.sum()), int(whole.applies.sum())
    low, high = clopper_pearson(errors, n, 1 - (1 - confidence) / looked_for)
    order = np.argsort(-whole.amount[wrong], kind="stable")[:WORST]
    worst = zip(rows[wrong][order].tolist(), whole.amount[wrong][order].tolist(), strict=True)
    fingerprint: Callable[[], str] | None = getattr(questions.box, "fingerprint", None)
    return Faithfulness(
        rule,
        errors,
        n,
        low,
        high,
        confidence,
        "exact",
        looked_for,
        tuple(Violation(row, questions.samples.names[row], amount) for row, amount in worst),
        queries,
        questions.seed,
        questions.batch_size,
        str(fingerprint()) if fingerprint else "",
        questions.samples.fingerprint,
        questions.samples.unit,
    )


def percent(share: float) -> str:
    """Write a share as a percentage, with as many digits as it takes to tell it from 0 and 100."""
    value = 100 * share
    if value in (0.0, 100.0) or value == round(value):
        return f"{value:.0f}"
    for digits in range(1, 5):
        if 0 < round(value, digits) < 100:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"
