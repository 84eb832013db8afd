"""The learned mask as a rule: what lies in its region decides the score, and what lies elsewhere does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.explanation.suppression import has_reach
from blackbox_explain.perturbations.deletion import deleted, level_set
from blackbox_explain.perturbations.named import NAMES, WORDS, PerturbationName, named
from blackbox_explain.rules.questions import Questions, Rows
from blackbox_explain.rules.relations.deletion import Booleans, smooth_field
from blackbox_explain.rules.relations.relation import check_choice
from blackbox_explain.rules.repeated_samples import RepeatedSamples, distinct
from blackbox_explain.rules.statements.local_linear import Explained, explained_classes, explained_words
from blackbox_explain.rules.statements.rule import Outcome, Rule
from blackbox_explain.setting_ranges import is_number, is_whole

__all__ = ["RegionDecides", "mask_trials"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class RegionDecides(Rule):
    """Deleting inside R drops the score; deleting an equal area outside R does not.

    To drop is to lose at least `share` of what deleting the whole image takes away.  Each row of the samples is one
    image with its region R and one trial, which comes true if both halves do:

    - R, moved by up to `shift` pixels along each axis, is deleted, and the score drops.  A mask that works at one exact
      place only is an artefact (section 4.3); jitter of the size that masks are learned with must not break it.
    - a random smooth region of exactly as many pixels, none of them in R, is deleted, and the score does not drop.  It
      is drawn anew in each trial, so that R is compared with all places of its size, and not with a chosen one.

    A random region in the place of R is wrong nearly always, since its deletion seldom drops the score.  A region that
    is too large passes the first half easily and the second less so, since as much is deleted outside.

    The rule says nothing of an image whose region is empty or above half of the image (nothing as large lies outside),
    or whose score does not depend on the deletion of everything: such rows do not apply.

    Needs `Samples.regions`; see `mask_trials`.  Scores suffice.

    Attributes
    ----------
    by
        What stands in for deleted pixels; masks are learned with one and may be tested with any.
    share
        Of what deleting the whole image takes away.
    shift
        In pixels.
    explained
        ``"top"`` or ``"label"``: whose score it is.
    """

    by: PerturbationName = "blur"
    share: float = 0.5
    shift: int = 3
    explained: Explained = "top"

    def __post_init__(self) -> None:
        check_choice("perturbation", self.by, NAMES)
        explained_words(self.explained)
        if not is_number(self.share) or not 0 < self.share < 1 or not is_whole(self.shift) or self.shift < 0:
            expected = "a share between 0 and 1, and a shift of 0 or more whole pixels"
            raise InputError("This tests no region", got=f"share={self.share}, shift={self.shift}", expected=expected)

    @property
    def sentence(self) -> str:
        """The statement in English."""
        score = f"the score of {explained_words(self.explained)}"
        return (
            f"if the region is {WORDS[self.by]}, {score} loses at least {100 * self.share:g} % of what it loses with "
            "the whole image, and if an equal area elsewhere is, it does not"
        )

    def check(self, questions: Questions, rows: Rows) -> Outcome:
        """Ask about two deletions of each image, and about the whole of it deleted."""
        held, amount, applies = np.ones(len(rows), bool), np.zeros(len(rows)), np.zeros(len(rows), bool)
        regions = questions.samples.require_regions("A rule about a region")
        size = np.asarray([int(regions[row].sum()) for row in rows])
        possible = np.flatnonzero((size > 0) & (2 * size <= regions[0].size))
        for place in questions.batches(possible):
            inside, outside, has_reach = self.lost(questions, rows[place])
            # Each half is above 0 where violated.
            worst = np.maximum(self.share - inside, outside - self.share)
            kept = (inside >= self.share) & (outside < self.share)
            held[place], amount[place], applies[place] = kept | ~has_reach, np.where(has_reach, worst, 0), has_reach
        return Outcome(held, amount, applies)

    def lost(self, questions: Questions, rows: Rows) -> tuple[Floats, Floats, Booleans]:
        """Return what deleting inside and outside of each region takes away, and whether deleting everything does.

        Returns
        -------
        inside, outside, has_reach
            (n,) shares of what deleting the whole image takes away, and whether that is anything.
        """
        images = questions.samples.batch(rows)
        first, which = distinct(questions.samples, images, rows)
        classes = explained_classes(self.explained, questions, first)[which]
        each = np.arange(len(rows))
        before = questions.original(first)[which][each, classes]
        fully = questions.ask(first, lambda some: self._deleted(questions, some, self._all(questions, some)))
        fully = fully[which][each, classes]
        reach = before - fully
        there = np.isfinite(reach) & has_reach(before, fully)
        shares: list[Floats] = []
        for regions_of in (self._inside, self._outside):
            after = questions.ask(rows, lambda some, of=regions_of: self._deleted(questions, some, of(questions, some)))
            gone = np.where(there, before - after[each, classes], 0)
            shares.append(gone / np.where(there, reach, 1))
        return shares[0], shares[1], there

    def _deleted(self, questions: Questions, rows: Rows, regions: Booleans) -> np.ndarray[Any, Any]:
        samples = questions.samples
        return deleted(samples.batch(rows), regions, named(self.by), samples.spec, questions.seed)

    def _all(self, questions: Questions, rows: Rows) -> Booleans:
        return np.ones((len(rows), *questions.samples.spec.spatial), dtype=bool)

    def _inside(self, questions: Questions, rows: Rows) -> Booleans:
        regions = questions.samples.require_regions("A rule about a region")
        return np.stack([self._moved(regions[row], questions.generator(row, "shift of the region")) for row in rows])

    def _moved(self, region: Booleans, generator: np.random.Generator) -> Booleans:
        """Move a region; what leaves the image is lost, and what enters repeats the border."""
        for axis, size in enumerate(region.shape):
            offset = int(generator.integers(-self.shift, self.shift + 1))
            region = region.take(np.clip(np.arange(size) - offset, 0, size - 1), axis=axis)
        return region

    def _outside(self, questions: Questions, rows: Rows) -> Booleans:
        regions = questions.samples.require_regions("A rule about a region")
        found: list[Booleans] = []
        for row in rows:
            field = smooth_field(regions[row].shape, questions.generator(row, "region outside"))
            found.append(level_set(np.where(regions[row], -np.inf, field), int(regions[row].sum())))
        return np.stack(found)


def mask_trials(result: Explanation, spec: InputSpec, times: int = 200) -> RepeatedSamples:
    """Return the trials of the learned regions of an explanation, for ``RegionDecides(explained="label")``.

    Parameters
    ----------
    result
        Of the deletion game.  Rows that failed are left out.  Its images and their regions R.
    spec
        Of the black box.
    times
        Trials of each image.

    Raises
    ------
    InputError
        If no row is left, one explains anything but a single class, or the regions were learned to keep the score.
    """
    if result.game == "preservation":
        what = "The rule is about regions whose deletion drops the score"
        raise InputError(what, got="regions that keep it, by game='preservation'", expected="game='deletion'")
    rows = result.good
    if not rows:
        raise InputError("This explanation has no masks", got="rows that all failed")
    weights = result.weights[rows]
    single = ((weights != 0).sum(axis=1) == 1) & (weights.sum(axis=1) == 1)
    if not single.all():
        which = result.target[rows[int(np.flatnonzero(~single)[0])]]
        raise InputError("Local rules speak of one class", got=f"the target {which!r}", expected="a class")
    samples = Samples.of(
        result.images[rows],
        spec,
        labels=weights.argmax(axis=1).tolist(),
        regions=result.region[rows],
        names=[f"{result.target[row]} in image {row}" for row in rows],
    )
    return RepeatedSamples.repeat(samples, times)
