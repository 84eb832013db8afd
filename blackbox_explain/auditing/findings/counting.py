"""What is true of some images and not of others, counted while the table of an audit passes by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from blackbox_explain.auditing.findings.audited import Audited, Booleans, Floats
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.report.page.content import Finding

__all__ = ["MOST_POSITIONS", "OFTEN", "Clearest", "Count", "Question"]

OFTEN = 0.05
"""What is true of more of the images than this, with confidence, is a problem; of fewer, worth knowing."""

MOST_POSITIONS = 100_000
"""Images that a finding names, at most: memory does not grow with the data set."""


@dataclass(frozen=True)
class Question:
    """Something that is true of an image, or not.

    Attributes
    ----------
    name, about
        As in `Finding`.
    title
        With ``{count}`` and ``{total}``.
    asked
        Of some images to three arrays (N,): of which it is true, which were looked at, and the clearest first (the
        lowest numbers).
    serious
        Whether it is a problem where it is true of many.
    by_class
        Whether the title ends with the classes that it is true of most often.
    missing
        Why it was not looked for, where no image could be looked at.
    """

    name: str
    title: str
    about: str
    asked: Callable[[Audited], tuple[Booleans, Booleans, Floats]]
    serious: bool = True
    by_class: bool = False
    missing: str = "there is no image with an explanation"


@dataclass
class Clearest:
    """Keeps the places in the data set of the clearest images, `MOST_POSITIONS` at most."""

    _order: Floats = field(default_factory=lambda: np.zeros(0))
    _positions: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, order: Floats, positions: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Take in more images; the lowest numbers of `order` are the clearest."""
        self._order = np.concatenate([self._order, order])
        self._positions = np.concatenate([self._positions, positions])
        # As many again may come before they are sorted, so that sorting costs little.
        if len(self._order) > 2 * MOST_POSITIONS:
            self._cut()

    def positions(self) -> tuple[int, ...]:
        """Return the places of the clearest images; of equally clear ones the first comes first."""
        self._cut()
        return tuple(self._positions.tolist())

    def _cut(self) -> None:
        first = np.lexsort((self._positions, self._order))[:MOST_POSITIONS]
        self._order, self._positions = self._order[first], self._positions[first]


@dataclass
class Count:
    """Counts of which images something is true.

    Attributes
    ----------
    question
        What is counted.
    """

    question: Question
    count: int = 0
    total: int = 0
    _clearest: Clearest = field(default_factory=Clearest)
    _have: Counter[str] = field(default_factory=Counter[str])
    _are: Counter[str] = field(default_factory=Counter[str])

    def add(self, images: Audited) -> None:
        """Take in some images."""
        true, among, order = self.question.asked(images)
        true = true & among
        self.count += int(true.sum())
        self.total += int(among.sum())
        self._clearest.add(order[true], images.positions[true])
        if self.question.by_class:
            names = images.texts("target")
            self._have.update(names[among].tolist())
            self._are.update(names[true].tolist())

    def found(self) -> Finding:
        """Return what is true of the images so far, with the interval of its share."""
        asked = self.question
        if not self.total:
            return Finding(asked.name, f"Not looked for: {asked.missing}", asked.about, "none")
        low, high = clopper_pearson(self.count, self.total)
        severity: Literal["problem", "notice", "none"] = "notice" if self.count else "none"
        if self.count and asked.serious and low > OFTEN:
            severity = "problem"
        title = asked.title.replace("{count}", str(self.count)).replace("{total}", str(self.total)) + self._most_often()
        positions = self._clearest.positions()
        return Finding(asked.name, title, asked.about, severity, self.count, self.total, low, high, positions)

    def _most_often(self, least: int = 2) -> str:
        """Return in words which classes it is true of most often: "; most often: tench (4 of 5)"; "" of none."""
        have, are = self._have, self._are
        order = sorted(
            (one for one in are if are[one] >= least), key=lambda one: (-are[one] / have[one], -are[one], one)
        )
        words = [f"{one} ({are[one]} of {have[one]})" for one in order[:3]]
        return f"; most often: {', '.join(words)}" if words else ""
