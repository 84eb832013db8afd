"""The mask of the transformed image is the transformed mask: what is seen moves, and what decides moves with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.map_similarity import correlation, equal_area_iou
from blackbox_explain.methods.mask.settings import PresetName
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.geometry import HorizontalFlip, Rotation, Scale, Translation
from blackbox_explain.rules.relations.relation import Relation, check_relation
from blackbox_explain.rules.statements.invariance import apply, generators_for, level_drawn, levels_up_to, signs
from blackbox_explain.rules.statements.rule import Booleans, Floats, Outcome, Rule

__all__ = ["MOVES", "Equivariance", "moved_mask", "seen_in_both"]

MOVES = (HorizontalFlip, Rotation, Scale, Translation)
"""Relations that move what is seen and leave it what it is: a mask can be moved in the same way."""


@dataclass(frozen=True)
class Equivariance(Rule):
    """{x ~θ x' ⇒ m(x') is m(x), transformed as x was}, where m is the learned mask of the top class of x.

    Strength and sign are drawn as in `Invariance`.  Both masks are learned for one class, with one seed, and their
    saliency is compared at full size where the transformed image shows what the image does; what came from outside is
    left out.  The rule says nothing of images whose score no deletion lowers: there is nothing to move.

    Two explanations are learned for each image; where the black box has no gradients, they are estimated from
    its scores, as `explain` does.  A mask is as fine as its cells (one for 8 pixels, or 6 by ``"quick"``), and jitter
    moves it by one or two pixels to one side, of which a flip makes twice as many: thresholds near 1 test that, and not
    the black box.

    Attributes
    ----------
    relation
        A flip, rotation, translation or scale.
    theta
        How much of it at most.
    measure
        ``"correlation"``: of the saliency maps; ``"iou"``: intersection over union of the most salient pixels, as many
        of either as the region of the first has.
    least
        The least agreement by this measure.
    perturbation, preset
        As in `explain`.
    options
        Further settings of `explain`, as pairs: ``(("queries", 500),)``.
    """

    relation: Relation
    theta: float
    measure: str = "correlation"
    least: float = 0.7
    perturbation: str = "blur"
    preset: PresetName = "fast"
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_relation(self.relation)
        if not isinstance(self.relation, MOVES):
            expected = ", ".join(one.name for one in MOVES)
            raise InputError("A mask cannot be moved like this", got=f"{self.relation.name}", expected=expected)
        self.relation.check_theta(self.theta)
        if self.measure not in ("correlation", "iou"):
            raise InputError(
                "There is no such measure of agreement", got=repr(self.measure), expected="'correlation' or 'iou'"
            )
        if not 0 < self.least <= 1:
            raise InputError("An agreement is at most 1", got=f"least={self.least}", expected="above 0, at most 1")

    @property
    def sentence(self) -> str:
        """The statement in English."""
        name = "correlation" if self.measure == "correlation" else "overlap (IoU)"
        moved = f"the mask of its top class moves along ({name} of at least {self.least:g})"
        return f"if {self.relation.phrase(self.theta)}, {moved}"

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Learn the masks of each image and of one transformed copy, and compare them.

        Raises
        ------
        ModelError
            If a mask cannot be learned.
        """
        before, after, amounts = self._masks(questions, rows)
        agreement, applies = np.zeros(len(rows)), np.zeros(len(rows), bool)
        for place, row in enumerate(rows):
            first, second = (self._map(one, place) for one in (before, after))
            moved = moved_mask(self.relation, first, float(amounts[place]), questions, int(row))
            seen = seen_in_both(self.relation, moved.shape, float(amounts[place]), questions, int(row))
            applies[place] = before.depends(place) and seen.any()
            if seen.any():
                agreement[place] = self._agreement(moved[seen], second[seen], float(before.share[place]))
        return Outcome((agreement >= self.least) | ~applies, np.where(applies, self.least - agreement, 0.0), applies)

    def _map(self, explanation: Explanation, place: int) -> Floats:
        """Return the map (*spatial) that is compared: of pixels that are counted, the order in which they matter."""
        found = explanation.saliency[place] if self.measure == "iou" else explanation.importance(place)
        return found.astype(float)

    def _masks(self, questions: Questions, rows: Rows) -> tuple[Explanation, Explanation, Floats]:
        """Explain images and transformed images for the same classes; also return the strengths (n,)."""
        images = questions.samples.batch(rows)
        drawn = [level_drawn(questions, row, self.relation, levels_up_to(self.relation, self.theta)) for row in rows]
        amounts = signs(questions, rows, self.relation) * self.relation.levels[drawn]
        pairs = np.concatenate([images, apply(self.relation, images, amounts, questions, rows)])
        found = explain(
            questions.box,
            pairs,
            np.tile(questions.top(rows), 2).tolist(),
            perturbation=self.perturbation,
            preset=self.preset,
            seed=questions.seed,
            batch_size=questions.batch_size,
            progress=False,
            **dict(self.options),
        )
        questions.elsewhere += int(found.queries.sum())
        if failed := next((one for one in found.outcome if one.failed), None):
            raise ModelError("An image could not be explained", got=failed.message.removesuffix("."))
        return found[: len(rows)], found[len(rows) :], amounts

    def _agreement(self, moved: Floats, found: Floats, share: float) -> float:
        return equal_area_iou(moved, found, share) if self.measure == "iou" else correlation(moved, found)


def moved_mask(relation: Relation, saliency: Floats, amount: float, questions: Questions, row: int) -> Floats:
    """Transform the saliency (*spatial) of an image as the image itself is transformed."""
    return _moved(relation, np.asarray(saliency)[None], amount, questions, row)[0]


def seen_in_both(
    relation: Relation, spatial: tuple[int, ...], amount: float, questions: Questions, row: int
) -> Booleans:
    """Tell which pixels (*spatial) of a transformed image come from the image, and not from beyond its edges.

    A frame of ones around zeros is continued by ones, and by its mean: the two differ as far as what is beyond counts.
    """
    if not any(one.name == "border" for one in dataclasses.fields(relation)):
        return np.ones(spatial, dtype=bool)
    frame = np.ones((1, *spatial))
    frame[(0, *(slice(1, -1) for _ in spatial))] = 0
    # That `border` is a field was found above; a type checker cannot know.
    ones, means = (
        _moved(dataclasses.replace(relation, border=border), frame, amount, questions, row)[0]  # type: ignore[call-arg]
        for border in ("edge", "mean")
    )
    return ones - means < (1 - frame.mean()) / 2


def _moved(relation: Relation, maps: Floats, amount: float, questions: Questions, row: int) -> Floats:
    """Transform maps (C, *spatial) with values in [0, 1] by what is drawn for a row of the samples."""
    generators = generators_for(questions, np.asarray([row]), relation)
    spec = InputSpec(maps.shape)
    found = relation.transform(maps[None].astype(np.float32), np.asarray([amount]), spec, generators)
    return found[0].astype(np.float64)
