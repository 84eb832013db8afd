"""What a rule is: a statement about a black box that checks itself on images, and that can be wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.serialization import Saved
from blackbox_explain.setting_ranges import is_whole

__all__ = ["All", "Outcome", "Restricted", "Rule", "Some", "Subset"]

Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a rule said about some images.

    Attributes
    ----------
    held
        (n,) δ_Q: whether the prediction came true.
    amount
        (n,) how far from coming true: above 0 where violated, in the rule's own measure.
    applies
        (n,) whether the rule says anything of the image; L = E[1 − δ_Q | applies].
    """

    held: Booleans
    amount: Floats
    applies: Booleans

    @classmethod
    def always(cls, held: Booleans, amount: Floats) -> Outcome:
        """Return the outcome of a rule that speaks of every image."""
        return cls(held, amount, np.ones(len(held), dtype=bool))


class Rule(Saved, ABC):
    """A statement about a black box; combine them with ``&``, ``|`` and `where`.

    Subclasses are frozen dataclasses whose fields are numbers, text, tuples, relations or rules: they can be saved.
    """

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The statement in English, without a full stop."""

    @abstractmethod
    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Find out for each of some images whether the statement is true of the black box.

        Parameters
        ----------
        questions
            The black box and the samples.
        rows
            (n,) rows of the samples.
        """

    def __and__(self, other: Rule) -> Rule:
        return All((self, other)) if isinstance(other, Rule) else NotImplemented

    def __or__(self, other: Rule) -> Rule:
        return Some((self, other)) if isinstance(other, Rule) else NotImplemented

    def where(self, subset: Subset) -> Rule:
        """Return the same rule about some images only.

        Raises
        ------
        InputError
            If this is no subset.
        """
        if not isinstance(subset, Subset):
            raise InputError("A rule is restricted to a subset", got=f"{subset!r}"[:80], hint="Subset((3, 5))")
        return Restricted(self, subset)


@dataclass(frozen=True)
class All(Rule):
    """Every one of several rules; speaks of the images that any of them speaks of."""

    rules: tuple[Rule, ...]

    @property
    def sentence(self) -> str:
        """The statements, joined; those that are made of others stand in brackets."""
        return ", and ".join(_one(rule) for rule in self.rules)

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Held where all that apply have held; the amount is the largest."""
        each = [rule.check(questions, rows) for rule in self.rules]
        applies = np.stack([one.applies for one in each])
        held = np.stack([one.held for one in each]) | ~applies
        amount = np.where(applies, np.stack([one.amount for one in each]), -np.inf)
        return Outcome(np.asarray(held.all(axis=0)), amount.max(axis=0), np.asarray(applies.any(axis=0)))


@dataclass(frozen=True)
class Some(Rule):
    """At least one of several rules; speaks of the images that any of them speaks of."""

    rules: tuple[Rule, ...]

    @property
    def sentence(self) -> str:
        """The statements, joined; those that are made of others stand in brackets."""
        return ", or ".join(_one(rule) for rule in self.rules)

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Held where one that applies has held; the amount is the smallest."""
        each = [rule.check(questions, rows) for rule in self.rules]
        applies = np.stack([one.applies for one in each])
        held = np.stack([one.held for one in each]) & applies
        amount = np.where(applies, np.stack([one.amount for one in each]), np.inf)
        return Outcome(np.asarray(held.any(axis=0)), amount.min(axis=0), np.asarray(applies.any(axis=0)))


def _one(rule: Rule) -> str:
    """Return the statement of a rule so that it can be told where it ends."""
    return f"({rule.sentence})" if isinstance(rule, (All, Some, Restricted)) else rule.sentence


@dataclass(frozen=True)
class Subset(Saved):
    """Some of the images.

    Attributes
    ----------
    classes
        Class indices.
    by
        ``"label"``: images of these true classes; ``"top"``: images whose top class is one of these.
    name
        What they are called in a sentence, such as "photos of cats".
    """

    classes: tuple[int, ...]
    by: str = "label"
    name: str = ""

    def __post_init__(self) -> None:
        several = isinstance(self.classes, Iterable) and not isinstance(self.classes, str)
        given: tuple[Any, ...] = tuple(self.classes) if several else (self.classes,)
        given = tuple(one.item() if hasattr(one, "item") else one for one in given)
        if not all(map(is_whole, given)):
            hint = "box.spec.class_names.index(name) is the index of a name"
            got = f"classes={self.classes!r}"[:80]
            raise InputError("There is no such subset", got=got, expected="a tuple of class indices", hint=hint)
        object.__setattr__(self, "classes", tuple(map(int, given)))
        if self.by not in ("label", "top"):
            raise InputError("There is no such subset", got=f"by={self.by!r}", expected="'label' or 'top'")

    def holds(self, questions: Questions, rows: Rows) -> Booleans:
        """Tell which of some images are in the subset: (n,)."""
        if self.by == "top":
            return np.isin(questions.top(rows), self.classes)
        return np.isin(questions.samples.require_labels("A subset by label")[rows], self.classes)


@dataclass(frozen=True)
class Restricted(Rule):
    """A rule about a subset of the images."""

    rule: Rule
    subset: Subset

    @property
    def sentence(self) -> str:
        """The statement, with what all of it is about."""
        words = "of true class" if self.subset.by == "label" else "with the top class"
        name = self.subset.name or f"images {words} " + ", ".join(str(one) for one in self.subset.classes)
        return f"for {name}: {self.rule.sentence}"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Ask about the images of the subset only."""
        inside = self.subset.holds(questions, rows)
        held, amount, applies = np.ones(len(rows), bool), np.zeros(len(rows)), np.zeros(len(rows), bool)
        if inside.any():
            found = self.rule.check(questions, rows[inside])
            held[inside], amount[inside], applies[inside] = found.held, found.amount, found.applies
        return Outcome(held, amount, applies)
