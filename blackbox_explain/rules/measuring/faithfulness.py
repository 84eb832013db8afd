"""How often a rule is wrong: L = E[1 − δ_Q] of section 3.1, with an interval that says how well that is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.box.oracle import check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.data.samples import Samples, as_samples
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.arguments import check_options, check_rule
from blackbox_explain.rules.measuring.intervals import ConfidenceSequence
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.serialization import from_dict
from blackbox_explain.rules.statements.rule import Outcome, Rule

__all__ = ["Faithfulness", "Violation", "check", "faithfulness", "measured", "percent"]

AT_A_TIME = 8
"""Batches that a rule is given at once."""

WORST = 10
"""Violations that are kept."""

FORMAT = "blackbox_explain rule, 3"  # another number when draws come from the seed in another way


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
        How far from coming true, in the rule's own measure; NaN of a saved one whose amount was not finite.
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
    precision
        Width of the interval at which sampling was to stop; None if all images were asked about anyway.
    chosen_by
        Digests of the images that the rule was chosen by, and is not measured on (see `learn`); None where all served.
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
    precision: float | None = None
    chosen_by: tuple[str, ...] | None = None

    @property
    def precise(self) -> bool:
        """Whether the interval is as narrow as was asked for."""
        return self.precision is None or self.high - self.low <= self.precision

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
        if self.precision is not None and not self.precise:
            interval += f", wider than the {percent(self.precision)} % asked for: there are no more {self.unit}s"
        return f"wrong for {percent(self.error)} % of {self.n:,} {images} ({interval})"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        return finite(
            {
                "sentence": self.sentence,
                "rule": self.rule.to_dict(),
                "error": self.error,
                **{name: getattr(self, name) for name in (*_PLAIN, *_LATER)},
                "violations": [vars(one) for one in self.violations],
            }
        )

    def save(self, path: str | Path) -> None:
        """Write everything that is needed to check the rule again, as JSON.

        Raises
        ------
        ResultError
            If it cannot be written, or the rule has a setting that is not finite, for which JSON has no word.
        """
        saved = self.to_dict()
        if saved["rule"] != self.rule.to_dict():
            raise ResultError("A rule is saved with finite settings only", got=repr(self.rule))
        text = json.dumps({"format": FORMAT, **saved}, indent=2, ensure_ascii=False, allow_nan=False)
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
        except OSError as error:
            raise ResultError("The rule cannot be read", got=f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise ResultError("This holds no rule", got=f"{path}: {error}") from error
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise ResultError("This holds no rule", got=str(path), expected=f'"format": "{FORMAT}"')
        return cls.from_dict(saved)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Faithfulness:
        """Return what `to_dict` described: any of the rules in a report, too.

        Raises
        ------
        ResultError
            If it describes no measured rule.
        """
        try:
            plain: dict[str, Any] = {name: saved[name] for name in _PLAIN} | {name: saved.get(name) for name in _LATER}
            plain["chosen_by"] = None if plain["chosen_by"] is None else tuple(map(str, plain["chosen_by"]))
            worst = ((one["row"], one["name"], one["amount"]) for one in saved["violations"])
            violations = tuple(Violation(row, name, math.nan if it is None else it) for row, name, it in worst)
            return cls(from_dict(saved["rule"]), violations=violations, **plain)
        except (ValueError, AttributeError, KeyError, TypeError, InputError) as error:
            raise ResultError("This describes no measured rule", got=f"{str(saved)[:80]}: {error}") from error

    def again(self, box: BlackBox, samples: Samples | Array) -> Faithfulness:
        """Measure the same rule again with the same draws, on any box and samples.

        All of the images are asked about, but for those that the rule was chosen by.

        Raises
        ------
        InputError
            If there are no others.
        """
        known = as_samples(samples, box.spec)
        questions = Questions(box, known, self.seed, self.batch_size)
        rows = np.arange(len(known))
        if self.chosen_by:
            seen = set(self.chosen_by)
            rows = known.rows_of(np.asarray([one for one, of in enumerate(known.digests) if of not in seen], np.int64))
        if not len(rows):
            raise InputError("The rule was chosen by these images", got=f"{len(known.images)}", expected="others too")
        found = check(self.rule, questions, rows, self.confidence, self.looked_for, lambda _images: None)
        return replace(found, chosen_by=self.chosen_by)


_PLAIN = (
    *("errors", "n", "low", "high", "confidence", "bound", "looked_for", "queries", "seed", "batch_size"),
    *("model_fingerprint", "samples_fingerprint", "unit"),
)

_LATER = ("precision", "chosen_by")
"""None in files that lack them."""


def faithfulness(
    rule: Rule,
    box: BlackBox,
    samples: Samples | Array,
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
        Images x_i ~ p(x), none of them twice; the interval holds for the images that these were drawn from at random,
        and of `RepeatedSamples` for further trials of the same images.  An array of images (N, *shape) will do where
        nothing else need be known of them.
    confidence
        Of the interval.
    precision
        Width of the interval at which sampling stops, such as 0.05; images are then taken in random order, and the
        interval is one that holds although one looked after each batch.  None asks about all images and takes the exact
        binomial interval, which is narrower.  Where there are too few images, the result says that it is not `precise`.
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
    check_rule(rule)
    check_call(box, batch_size, seed)
    check_options(confidence, looked_for)
    if precision is not None and not 0 < precision < 1:
        raise InputError("A precision is the width of an interval", got=f"{precision}", expected="between 0 and 1")
    known = as_samples(samples, box.spec)
    with progress_bar(len(known), "checking", None if callable(progress) else progress) as bar:
        questions = Questions(box, known, seed, batch_size)
        every = np.arange(len(known))
        if precision is None:
            return check(rule, questions, every, confidence, looked_for, progress if callable(progress) else bar)
        every = np.random.default_rng([seed, 0x6F72646572]).permutation(every)
        sequence = ConfidenceSequence(1 - (1 - confidence) / looked_for)

        def precise(found: Outcome) -> bool:
            low, high = sequence.add(int((~found.held & found.applies).sum()), int(found.applies.sum()))
            return high - low <= precision

        result = check(rule, questions, every, confidence, looked_for, progress if callable(progress) else bar, precise)
    low, high = sequence.interval
    return replace(result, low=low, high=high, bound="sequence", precision=precision)


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
        questions.model_fingerprint,
        questions.samples.fingerprint,
        questions.samples.unit,
    )


def percent(share: float) -> str:
    """Write a share as a percentage, with as many digits as it takes to tell it from 0 and 100."""
    value = 100 * share
    if value in (0.0, 100.0) or value == round(value):
        return f"{value:.0f}"
    for digits in range(1, 5 if value < 50 else 13):
        if 0 < round(value, digits) < 100:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"
