"""Rules about the object in a photo: whether the class comes from it, or from what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.perturbations.named import NAMES, OF_PAPER, WORDS, PerturbationName, named
from blackbox_explain.perturbations.perturbation import shortest_side
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.relation import check_choice
from blackbox_explain.rules.statements.rule import Booleans, Floats, Outcome, Rule

__all__ = ["MARGIN", "Answers", "ObjectDecides", "Part", "softened"]

Part = Literal["outside", "object", "elsewhere"]

MARGIN = 0.05


@dataclass(frozen=True)
class ObjectDecides(Rule):
    """The top class needs the object and nothing else; in three parts, each of them a rule.

    Says nothing of photos whose object is nowhere (an empty region) or everywhere.  Needs `Samples.regions`.

    Attributes
    ----------
    deleting
        ``"outside"``: the class survives when everything outside the object is deleted, in whichever way.
        ``"object"``: the class does not survive when the object is deleted: at least one way takes it away.  A photo
        that violates this has its class from elsewhere.
        ``"elsewhere"``, the control: the class survives when an equal area outside of the object is deleted, in
        whichever way.  It is the object's region, moved to a random place (around the edges, if need be); nothing is
        said of photos in which it has no place beside itself.
    ways
        What stands in for deleted pixels.
    margin
        The region ends softly: beyond its edge the deletion fades out over this share of the shorter side.  A sharp
        edge would be a shape that is not in the photo.
    """

    deleting: Part = "outside"
    ways: tuple[PerturbationName, ...] = OF_PAPER
    margin: float = MARGIN

    def __post_init__(self) -> None:
        check_choice("part", self.deleting, get_args(Part))
        for way in self.ways:
            check_choice("way to delete", way, NAMES)
        if not self.ways or not 0 <= self.margin <= 0.5:
            expected = "at least one way, and a margin from 0 to 0.5 of the side"
            raise InputError(
                "Nothing deletes like that", got=f"ways={self.ways}, margin={self.margin}", expected=expected
            )

    @property
    def sentence(self) -> str:
        """The statement in English."""
        done = _listed([WORDS[way] for way in self.ways])
        if self.deleting == "object":
            each = "" if len(self.ways) == 1 else " at least once"
            return f"if the object is {done}, the top class changes{each}"
        part = "everything outside the object" if self.deleting == "outside" else "an equal area outside the object"
        return f"if {part} is {done}, the top class stays the same"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Ask about one copy of each image for each way; the amount is the lead of the top class in the worst of them.

        Raises
        ------
        InputError
            If there are no regions, or the model has one output only.
        """
        applies = self.speaks_of(questions, rows)
        held, amount = np.ones(len(rows), bool), np.zeros(len(rows))
        if applies.any():
            found = self.answers(questions, rows[applies])
            goes = self.deleting == "object"
            held[applies] = ~found.survives if goes else found.survives
            amount[applies] = found.lead if goes else -found.lead
        return Outcome(held, amount, applies)

    def speaks_of(self, questions: Questions, rows: Rows) -> Booleans:
        """Tell which of some rows have a region of which something can be said: (n,)."""
        regions = questions.samples.require_regions("A rule about the object")
        size = np.asarray([int(regions[row].sum()) for row in rows])
        possible = (size > 0) & (size < regions[0].size)
        if self.deleting == "elsewhere":
            shifts = [_shift(regions[row], questions.generator(int(row), "elsewhere")) for row in rows[possible]]
            possible[possible] = [shift is not None for shift in shifts]
        return possible

    def answers(self, questions: Questions, rows: Rows) -> Answers:
        """Ask about rows that the rule speaks of, once for each way.

        Raises
        ------
        InputError
            If the model has one output only, which is always the top one.
        """
        if not len(rows):
            return Answers(np.zeros(0, np.int64), np.zeros((0, len(self.ways)), np.int64), np.zeros(0))
        before = questions.original(rows)
        if before.shape[1] < 2:
            raise InputError(
                "The top class of one is always the same", got="a model with 1 output", expected="at least 2 classes"
            )
        top = before.argmax(axis=1)
        each, said, leads = np.arange(len(rows)), [], []
        for way in self.ways:
            scores = questions.ask(rows, lambda some, way=way: self._deleted(questions, some, way))
            said.append(scores.argmax(axis=1))
            own = scores[each, top]
            scores[each, top] = -np.inf
            rival = scores.max(axis=1)
            # Scores may be infinite.
            with np.errstate(invalid="ignore"):
                leads.append(np.where(own == rival, 0.0, own - rival))
        return Answers(top, np.stack(said, axis=1), np.min(leads, axis=0))

    def _deleted(self, questions: Questions, rows: Rows, way: PerturbationName) -> np.ndarray[Any, Any]:
        samples = questions.samples
        images = samples.batch(rows)
        weights = self._weights(questions, rows)[:, None]
        gone = np.asarray(named(way).levels(images, samples.spec, questions.seed)[0])
        return images + weights * (gone - images)

    def _weights(self, questions: Questions, rows: Rows) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return how much of each pixel is deleted: (n, *spatial) in [0, 1]."""
        regions = questions.samples.require_regions("A rule about the object")[rows]
        weights = softened(regions, self.margin)
        if self.deleting == "outside":
            return 1 - weights
        if self.deleting == "elsewhere":
            for place, row in enumerate(rows):
                shift = _shift(regions[place], questions.generator(int(row), "elsewhere"))
                if shift is None:
                    raise InputError("An object leaves no equal area free", got=questions.samples.names[row])
                weights[place] = np.roll(weights[place], shift, axis=tuple(range(weights[place].ndim)))
                weights[place][regions[place]] = 0  # not even its margin touches the object
        return weights


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of some photos with a part deleted.

    Attributes
    ----------
    top
        (n,) top class of the untouched photo.
    said
        (n, ways) top class once the part is deleted.
    lead
        (n,) how far the score of `top` is then above the best of the others, in the way in which it is least.
    """

    top: Rows
    said: Rows
    lead: Floats

    @property
    def survives(self) -> Booleans:
        """(n,) whether the class stays whichever way the part is deleted."""
        return np.asarray((self.said == self.top[:, None]).all(axis=1))


def softened(regions: Booleans, margin: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return regions (n, *spatial) as weights: 1 inside, falling to 0 over `margin` times the shorter side outside."""
    steps = round(margin * shortest_side(regions.shape[1:]))
    total, grown = regions.astype(np.float32), regions
    for _ in range(steps):
        for axis in range(1, regions.ndim):
            line = np.moveaxis(grown, axis, -1)
            wider = line.copy()
            wider[..., 1:] |= line[..., :-1]
            wider[..., :-1] |= line[..., 1:]
            grown = np.moveaxis(wider, -1, axis)
        total += grown
    return total / np.float32(steps + 1)


def _shift(region: Booleans, generator: np.random.Generator) -> tuple[int, ...] | None:
    """Draw one of the shifts, around the edges, that move a region off itself; None if there is none."""
    spectrum = np.fft.rfftn(region)
    overlap = np.fft.irfftn(np.abs(spectrum) ** 2, s=region.shape, axes=range(region.ndim))
    free = np.flatnonzero(overlap.ravel() < 0.5)
    if not len(free):
        return None
    return tuple(int(one) for one in np.unravel_index(generator.choice(free), region.shape))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " or " + parts[-1]
