"""`verify`: a saved result and a model in, every claim of the result recomputed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from blackbox_explain.arrays import to_numpy
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.input_spec import check_images, reading_of
from blackbox_explain.box.oracle import BATCH, Oracle, check_call
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.targets import resolve, target_scores
from blackbox_explain.errors import InputError, ResultError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.curve import score_curve
from blackbox_explain.explanation.explanation import Explanation, Floats
from blackbox_explain.explanation.map_similarity import likeness
from blackbox_explain.explanation.mask_explanation import MaskExplanation
from blackbox_explain.explanation.region import lowest_score
from blackbox_explain.explanation.summary import region_words
from blackbox_explain.explanation.suppression import effect, has_reach, suppression
from blackbox_explain.methods.mask.jitter import canvas
from blackbox_explain.methods.mask.mask import ranking_objective
from blackbox_explain.methods.mask.settings import make_perturbation
from blackbox_explain.methods.upsampling import make_upsampling
from blackbox_explain.perturbations.deletion import level_set
from blackbox_explain.perturbations.level_stack import LevelStack
from blackbox_explain.perturbations.levels import levels_of
from blackbox_explain.perturbations.perturbation import Perturbation, Reference
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.setting_ranges import is_number, is_whole
from blackbox_explain.verifying.certificate import Certificate, Check, RowCertificate
from blackbox_explain.verifying.pictured import classes_check, photo_check, record_check
from blackbox_explain.verifying.restored_settings import LACKS, NUMBERS, Restored, check_arrays, target_of

__all__ = ["TOLERANCE", "verify"]

TOLERANCE = 1e-3
"""How far a score may be from the one stated: floats of one model differ by less from machine to machine."""

NEITHER = (float("nan"), float("nan"))
"""Of a mask that could not be learned again."""

OLD = "version 0.1 measured and judged it in another way"
"""Why something of an old result cannot be checked."""

PIXEL = 1e-3
"""How far a pixel or a mask value may be, as a share of its range."""


def verify(
    result: Explanation,
    box: BlackBox,
    *,
    tolerance: float = TOLERANCE,
    seeds: int = 0,
    batch_size: int = BATCH,
    progress: bool | Advance | None = None,
) -> Certificate:
    """Recompute what a result says of its masks, and what it should have said besides.

    Recomputed and compared with the result: the scores of the image, of the fully perturbed image, of the masked image
    and without the region; the curve; the masked image from image and mask; saliency, area, suppression, objective; the
    name of the target, the outcome, and the model's fingerprint; and what pictures show: the leading classes, the photo
    that the image was made of, game and perturbation.  A suppression is not judged where the score
    falls by less than the tolerance in all, of which it would be a share.  Measured besides, and judged by nobody: the
    effect under perturbations that the mask was not learned with, the masked score under the shifts of eq. 4, and
    how alike the masks of other seeds are.

    Parameters
    ----------
    result
        From `Explanation.load`; nothing else is needed, the images are in it.
    box
        The model.
    tolerance
        How far each score may be from the one stated.
    seeds
        Further seeds to learn each mask with, as it was learned; with 0, none, and no gradient is needed.
    batch_size
        Images in one call of the model.
    progress
        True, False, or a function called with the number of images or steps done; None shows a bar on a terminal.

    Raises
    ------
    ResultError
        If the result does not fit itself: arrays of other shapes, settings that are none, or no row that did not fail.
    InputError
        If the images do not fit the model, or a setting is out of range.
    ModelError
        If the model fails, or has another number of classes.
    """
    check_call(box, batch_size, 0)
    if not is_number(tolerance) or not tolerance >= 0 or not is_whole(seeds) or seeds < 0:
        got, expected = f"tolerance={tolerance!r}, seeds={seeds!r}", "a number and a whole number, both at least 0"
        raise InputError("This cannot be verified", got=got, expected=expected)
    if not isinstance(result, Explanation):
        hint = "Explanation.load(path)" if isinstance(result, (str, PathLike)) else ""
        raise InputError("This is no explanation", got=f"a {type(result).__name__}", hint=hint)
    if not isinstance(result, MaskExplanation):
        raise InputError("Only masks claim what can be verified", got=f"a result of the method {result.method!r}")
    check_arrays(result)
    how = Restored.of(result)
    good = result.good
    if not good:
        raise ResultError("There is nothing to verify", got="a result whose rows all failed")
    check_images(result.images, box.spec)
    units = how.mask.budget(BoxInfo.of(box)).with_region
    own = how.perturbation is not None
    others = how.others
    per_row = 2 + own * (2 + len(result.curve_shares)) + 2 * len(others)
    per_row += own * len(how.offsets(result.mask.ndim - 1))
    total = len(good) * (per_row + own * seeds * units)
    with progress_bar(total, "verifying", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        oracle = Oracle.of(box, batch_size=batch_size, advance=advance)
        work = _Work(result, oracle, how, tolerance, batch_size, advance)
        rows = [work.row(row) for row in good]
        made = how.perturbation
        alike = [()] * len(good) if made is None or not seeds else work.seeds(good, seeds, made)
    certified = tuple(dataclasses.replace(row, seeds=more) for row, more in zip(rows, alike, strict=True))
    failed = len(result) - len(good)
    return Certificate(certified, failed, _model_check(result, box), tolerance, result.game, result.perturbation)


@dataclass(frozen=True)
class _Work:
    """What is asked and computed for each row."""

    result: MaskExplanation
    oracle: Oracle
    how: Restored
    tolerance: float
    batch_size: int
    advance: Advance

    def row(self, row: int) -> RowCertificate:
        """Certify one row, without other seeds."""
        result, how, spec = self.result, self.how, self.oracle.box.spec
        image, spatial, place = result.images[row : row + 1], spec.spatial, np.asarray([row])
        upsampling = make_upsampling(how.mask.upsampling, result.mask.shape[1:], spatial, image)
        mask = upsampling.up(result.mask[row : row + 1].astype(image.dtype))
        salient = 1 - mask if result.game == "deletion" else mask
        found = dict.fromkeys(NUMBERS, np.nan)
        found["area"] = float(salient.mean())
        whole = self._scores(np.concatenate([image, result.masked_images[row : row + 1]]))
        before, after = self._of_target(row, whole)
        found |= {"score": before, "score_masked": after}
        if how.mask.learns == "mask":
            penalty = float(how.mask.regularizer(result.mask[row : row + 1].astype(image.dtype))[0][0])
            found["objective"] = penalty + (after if result.game == "deletion" else -after)
        rebuilt, jitter, same_region, shifts = None, None, None, how.offsets(len(spatial))
        told, names = result.predictions[row], spec.class_names
        shown = [classes_check(told.before, whole[0], names, self.tolerance, "of the image")]
        curve = np.full(len(result.curve_shares), np.nan)
        if how.perturbation is not None:
            levels = levels_of(how.perturbation.take(place), image, spec, how.seed)
            resting = LevelStack(levels, spatial)
            rebuilt = resting.mixed(mask)[0]
            region = np.where(self._deleted(row), levels[0], image)
            scores = self._scores(np.concatenate([levels[0], region]))
            found["score_perturbed"], found["score_region"] = self._of_target(row, scores)
            shown.append(classes_check(told.after, scores[1], names, self.tolerance, region_words(result.game)))
            low, high = spec.bounds
            same_region = bool(np.abs(region[0] - result.region_images[row]).max() <= PIXEL * (high - low))
            found["suppression"] = _suppression(before, after, found["score_perturbed"])
            if result.curve_shares:
                curve = score_curve(
                    self.oracle,
                    image,
                    result.saliency[row : row + 1],
                    result.weights[row : row + 1],
                    how.perturbation.take(place),
                    result.curve_shares,
                    keep=result.game == "preservation",
                    seed=how.seed,
                )[0]
            if how.mask.learns == "ranking":
                ends = np.asarray([before]), np.asarray([found["score_perturbed"]])
                found["objective"] = float(ranking_objective(curve[None], *ends, how.mask)[0])
            moving = LevelStack(canvas(levels, how.mask.jitter_kind, how.width), spatial)
            moved = self._ask(row, np.concatenate([moving.mixed(mask, offset)[0] for offset in shifts]))
            jitter = (min(moved), float(np.mean(moved)), max(moved))
        elsewhere: dict[str, float] = {}
        for name in how.others:
            levels = levels_of(make_perturbation(how.mask, name), image, spec, how.seed)
            without = np.where(self._deleted(row), levels[0], image)
            fully, there = self._ask(row, np.concatenate([levels[0], without]))
            elsewhere[name] = _suppression(before, there, fully)
        stated = {name: float(getattr(result, name)[row]) for name in NUMBERS}
        checks = (
            *self._number_checks(row, stated, found),
            self._mask_check(row, salient, rebuilt),
            self._region_check(row, same_region),
            self._smallest_check(row, before, found["score_region"], found["score_perturbed"], curve),
            self._curve_check(row, curve),
            self._outcome_check(row),
            self._name_check(row),
            *shown,
            *self._photo_checks(row),
            record_check((result.game, result.perturbation), (how.mask.region_game, how.learned_by)),
        )
        target, outcome, count = result.target[row], result.outcome[row], len(shifts) if jitter else 0
        return RowCertificate(target, outcome, stated, found, elsewhere, jitter, count, (), checks)

    def seeds(self, rows: list[int], count: int, perturbation: Perturbation) -> list[tuple[tuple[float, float], ...]]:
        """Learn the masks of rows again with further seeds, and return how alike they are."""
        result, how = self.result, self.how
        targets = [target_of(result.weights[row]) for row in rows]
        if isinstance(perturbation, Reference):
            perturbation = Reference(to_numpy(perturbation.images)[rows])
        alike: list[list[tuple[float, float]]] = [[] for _ in rows]
        for seed in range(how.seed + 1, how.seed + 1 + count):
            other = explain(
                self.oracle.box,
                result.images[rows],
                targets,
                method=dataclasses.replace(how.mask, perturbation=perturbation),
                seed=seed,
                batch_size=self.batch_size,
                progress=self.advance,
            )
            for place, (found, row) in enumerate(zip(alike, rows, strict=True)):
                if other.outcome[place].failed:
                    found.append(NEITHER)
                    continue
                found.append(likeness(result, row, other, place))
        return [tuple(found) for found in alike]

    def _photo_checks(self, row: int) -> list[Check]:
        photo = None if self.result.photos is None else self.result.photos[row]
        return [] if photo is None else [photo_check(photo, self.result.images[row], self.oracle.box.spec)]

    def _scores(self, images: Floats) -> Floats:
        return np.asarray(self.oracle.scores(images.astype(self.result.images.dtype)))

    def _of_target(self, row: int, scores: Floats) -> list[float]:
        weights = np.repeat(self.result.weights[row : row + 1], len(scores), axis=0)
        return [float(one) for one in target_scores(scores, weights)]

    def _ask(self, row: int, images: Floats) -> list[float]:
        return self._of_target(row, self._scores(images))

    def _number_checks(self, row: int, stated: dict[str, float], found: dict[str, float]) -> list[Check]:
        checks: list[Check] = []
        fall = abs(found["score"] - found["score_perturbed"])
        ratios = {"suppression", "objective"} if self.how.mask.learns == "ranking" else {"suppression"}
        for name, words in NUMBERS.items():
            if np.isnan(found[name]) and self.how.perturbation is None:
                checks.append(Check(f"{words} is as stated", None, LACKS))
            elif name in ratios and np.isnan(found[name]) and np.isnan(stated[name]):
                # The score of the fully perturbed image is that of the image: there is no share of nothing.
                checks.append(Check(f"{words} is as stated", True))
            elif name == "objective" and abs(found[name] - stated[name]) <= self.tolerance:
                checks.append(Check(f"{words} is as stated", True))
            elif name in ratios and fall < self.tolerance:
                checks.append(Check(f"{words} is as stated", None, f"the score falls by {fall:.2g} in all"))
            elif name in ratios and np.isnan(found[name]):
                checks.append(Check(f"{words} is as stated", False, "it has none"))
            else:
                # A ratio is known as well as its denominator.
                reach = fall if name in ratios else 1.0
                off = abs(found[name] - stated[name]) * min(reach, 1.0)
                # Not "off > tolerance": a number that is not finite is not as stated.
                reason = "" if off <= self.tolerance else _apart(found[name], stated[name])
                checks.append(Check(f"{words} is as stated", not reason, reason))
        return checks

    def _mask_check(self, row: int, salient: Floats, rebuilt: Floats | None) -> Check:
        """Check that mask, saliency and masked image belong together."""
        result, reasons = self.result, list[str]()
        low, high = self.oracle.box.spec.bounds
        mask = result.mask[row]
        if not (mask.min() >= -PIXEL and mask.max() <= 1 + PIXEL):
            reasons.append("the mask leaves 0 to 1")
        if self.how.mask.learns == "mask" and not np.abs(salient[0] - result.saliency[row]).max() <= PIXEL:
            reasons.append("the saliency is not that of the mask")
        if self.how.mask.learns == "ranking":
            ranked = np.sort(result.saliency[row], axis=None)
            if not np.abs(ranked - (np.arange(ranked.size) + 1) / ranked.size).max() <= PIXEL:
                reasons.append("the saliency is no ranking")
            kept = result.region[row] ^ (result.game == "deletion")
            if mask.shape != kept.shape or not np.abs(mask - kept).max() <= PIXEL:
                reasons.append("the mask is not that of the region")
        if rebuilt is not None and not np.abs(rebuilt[0] - result.masked_images[row]).max() <= PIXEL * (high - low):
            reasons.append("the masked image is not what the mask makes of the image")
        claim = "mask, saliency and masked image belong together"
        if rebuilt is None and not reasons:
            return Check(claim, None, LACKS)
        return Check(claim, not reasons, ", ".join(reasons))

    def _deleted(self, row: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return where the image of a row is deleted (1, 1, *spatial)."""
        region = self.result.region[row][None, None]
        return region if self.result.game == "deletion" else ~region

    def _region_check(self, row: int, same: bool | None) -> Check:
        """Check that the region is the most salient share of the image that it is said to be, and its image is its own.

        `same` says whether the image without it is as stated, None where that cannot be known.
        """
        claim, result = "the region is the most salient part of the image", self.result
        count = int(result.region[row].sum())
        reasons = [] if abs(count / result.region[row].size - result.share[row]) <= PIXEL else ["its share is another"]
        if (result.region[row] != level_set(result.saliency[row], count)).any():
            reasons.append("other pixels are more salient")
        if same is False and result.curve_shares:
            reasons.append("the image without it, or with nothing but it, is another")
        return Check(claim, not reasons, ", ".join(reasons))

    def _smallest_check(self, row: int, before: float, region: float, perturbed: float, curve: Floats) -> Check:
        """Check that the region does what was asked and no smaller share of the curve does; or that none does."""
        claim, result = "the region is the smallest that does what was asked", self.result
        if not result.curve_shares:
            return Check(claim, None, OLD)
        if self.how.perturbation is None:
            return Check(claim, None, LACKS)
        ends = np.asarray(before), lowest_score(np.asarray([perturbed]), curve[None], result.game)
        reach = float(before - ends[1][0])
        if not has_reach(ends[0], ends[1][0]):
            return Check(claim, None, f"perturbing takes {reach:.2g} of the score away: no region can be told by that")
        own, *every = (float(effect(ends[0], np.asarray(one), ends[1][0], result.game)) for one in (region, *curve))
        slack, share = self.tolerance / reach, result.share[row] - 1 / result.region[row].size
        reason = ""
        if any(one > result.suppress + slack for at, one in zip(result.curve_shares, every, strict=True) if at < share):
            reason = "a smaller share does it too"
        elif own < min(result.suppress, max(every)) - slack:
            reason = "another share does more"
        return Check(claim, not reason, reason)

    def _curve_check(self, row: int, found: Floats) -> Check:
        """Check the score at every share."""
        claim, result = "the curve of the score is as stated", self.result
        if not result.curve_shares:
            return Check(claim, None, OLD)
        if self.how.perturbation is None:
            return Check(claim, None, LACKS)
        off = np.nan_to_num(np.abs(found - result.curve[row]), nan=np.inf)
        worst = int(np.argmax(off))
        if off[worst] <= self.tolerance:
            return Check(claim, True)
        share, stated = result.curve_shares[worst], result.curve[row, worst]
        return Check(claim, False, f"at {share:.0%} {_apart(found[worst], stated)}")

    def _outcome_check(self, row: int) -> Check:
        """Check that the outcome follows from the numbers and doubts stated; the numbers are checked by themselves."""
        claim, stated = "the outcome is what the scores say", self.result.outcome[row].kind
        if not self.result.curve_shares:
            return Check(claim, None, OLD)
        earned = self.result.outcome_of(row, self.result.provenance.doubts).kind
        return Check(claim, earned == stated, "" if earned == stated else f"it is {earned!r}, and was {stated!r}")

    def _name_check(self, row: int) -> Check:
        """Check that the target is called what the model calls it."""
        claim, names = "the class is the one that is named", self.oracle.box.spec.class_names
        if names is None:
            return Check(claim, None, "the model's classes have no names")
        weights, stated = self.result.weights[row], self.result.target[row]
        _, (called,) = resolve([target_of(weights)], np.zeros((1, weights.size)), names)
        _, (counted,) = resolve([target_of(weights)], np.zeros((1, weights.size)), None)
        if counted == stated:
            return Check(claim, True, "")
        # The best of several classes come in the order of their scores.
        same = sorted(called.split(" + ")) == sorted(stated.split(" + "))
        return Check(claim, same, "" if same else f"the model calls it {called!r}, the result {stated!r}")


def _model_check(result: Explanation, box: BlackBox) -> Check:
    """Check that the model, and what it makes of pixels, are those of the result."""
    claim = "the model is the one that the result was made with"
    now, then = BoxInfo.of(box).fingerprint, result.provenance.model_fingerprint
    given, told = reading_of(box.spec), result.provenance.reading
    changed = [f"{name} is {given[name]}, and was {one}" for name, one in told.items() if given.get(name) != one]
    if changed:
        return Check(claim, False, f"its images are prepared otherwise: {'; '.join(changed)}")
    if not now or not then:
        return Check(claim, None, f"{'this model' if then else 'the result'} has no fingerprint")
    return Check(claim, now == then, "" if now == then else f"its fingerprint is {now[:20]}, and was {then[:20]}")


def _apart(found: float, stated: float) -> str:
    """Tell two numbers with as many digits as they need to look different."""
    digits = next((one for one in range(4, 17) if f"{found:.{one}f}" != f"{stated:.{one}f}"), 17)
    return f"it is {found:.{digits}f}, and was {stated:.{digits}f}"


def _suppression(before: float, after: float, fully: float) -> float:
    return float(suppression(*(np.asarray(one) for one in (before, after, fully))))
