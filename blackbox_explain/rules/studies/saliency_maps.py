"""Saliency maps as rules: which of two deletions lowers the score more?  The paper's argument, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array
from blackbox_explain.binomial_interval import clopper_pearson
from blackbox_explain.box.input_spec import check_images
from blackbox_explain.box.oracle import check_call
from blackbox_explain.box.protocols import BlackBox, Differentiable
from blackbox_explain.box.targets import Target, resolve
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError
from blackbox_explain.explaining import explain
from blackbox_explain.explanation.archive import finite
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.perturbations.deletion import deleted, level_set
from blackbox_explain.perturbations.named import NAMES, PerturbationName, named
from blackbox_explain.progress import Advance, progress_bar
from blackbox_explain.rules.measuring.arguments import check_options
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness
from blackbox_explain.rules.questions import BATCH, Questions, Rows
from blackbox_explain.rules.relations.deletion import Booleans, smooth_field
from blackbox_explain.rules.relations.relation import check_choice
from blackbox_explain.rules.repeated_samples import RepeatedSamples
from blackbox_explain.rules.statements.region_decides import RegionDecides
from blackbox_explain.setting_ranges import is_whole

__all__ = ["Predictor", "Predictors", "compare_predictors", "maps_of"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Predictor:
    """One map as a predictor of f.

    Attributes
    ----------
    name
        Of the method.
    errors, n
        Pairs of deletions of which it said wrongly which lowers the score more.
    low, high
        Clopper–Pearson interval of the error.
    correlation
        Rank correlation of what it says and what the score loses, the mean over the images of which there is one; NaN
        if there is none.
    uncorrelated
        Images that `correlation` leaves out: what the map says of all deletions, or what the score loses by them, is
        the same.
    region
        How often its own region does not decide; None if that was not asked.
    """

    name: str
    errors: int
    n: int
    low: float
    high: float
    correlation: float
    uncorrelated: int = 0
    region: Faithfulness | None = None

    @property
    def error(self) -> float:
        """The share of wrong answers; ½ is guessing."""
        return self.errors / self.n


@dataclass(frozen=True, eq=False)
class Predictors:
    """Maps of the same images as predictors of the same deletions, best first.

    Attributes
    ----------
    rows
        One for each map.
    images
        How many images.
    by, area, margin
        How deleted, the share of the image, and how much a pair differs at least.
    confidence
        Of the intervals, which hold for random deletions of these images.
    """

    rows: tuple[Predictor, ...]
    images: int
    by: PerturbationName
    area: float
    margin: float
    confidence: float

    def summary(self) -> str:
        """Return a table for people, one line per map."""
        images = f"{self.images} image{'s' * (self.images > 1)}"
        lines = [
            f"Which of two deletions ({100 * self.area:g} % of the image, {self.by}) lowers the score more?",
            f"{self.rows[0].n} pairs in {images} whose scores differ by {self.margin:g} or more",
            f"{'predicted by':<20}{'wrong':>7}{f'{100 * self.confidence:g} % interval':>18}{'rank corr.':>11}",
        ]
        for one in self.rows:
            interval = f"{one.low:.1%} to {one.high:.1%}"
            rank = "–" if np.isnan(one.correlation) else f"{one.correlation:.2f}"
            lines.append(f"{one.name[:19]:<20}{one.error:7.1%}{interval:>18}{rank:>11}")
        for one in self.rows:
            if 0 < one.uncorrelated < self.images:
                lines.append(f"rank corr. of {one.name[:19]} without {one.uncorrelated} of {images}: nothing varies")
        asked = [(one.name, one.region) for one in self.rows if one.region is not None and one.region.n]
        if asked:
            lines += [
                f"Does deleting where the map is largest ({100 * self.area:g} %) drop the score by half,",
                f"and deleting as much elsewhere not?  {asked[0][1].n} trials",
            ]
        for name, found in sorted(asked, key=lambda pair: pair[1].error):
            lines.append(f"{name[:19]:<20}{found.error:7.1%}{f'{found.low:.1%} to {found.high:.1%}':>18}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; numbers that are not finite become None."""
        rows = [
            {**vars(one), "error": one.error, "region": None if one.region is None else one.region.to_dict()}
            for one in self.rows
        ]
        shared = {name: getattr(self, name) for name in ("images", "by", "area", "margin", "confidence")}
        return finite({"rows": rows, **shared})


def compare_predictors(
    box: BlackBox,
    images: Array,
    target: Target | Sequence[Target | None] | None = None,
    maps: Mapping[str, Array] | None = None,
    *,
    by: PerturbationName = "blur",
    area: float = 0.2,
    pairs: int = 100,
    margin: float = 0.05,
    times: int = 20,
    confidence: float = 0.95,
    batch_size: int = BATCH,
    seed: int = 0,
    progress: bool | Advance | None = None,
) -> Predictors:
    """Ask several saliency maps to predict the black box, all on the same random deletions.

    Two questions, each about regions of equal area, so that no map gains by its scale:

    - For each image, pairs of smooth random regions are deleted.  A map predicts that the region with more of its mass
      lowers the score more; a coin is tossed where the masses are equal.  No deletion is shaped after any map.
    - Of each map the largest values are taken as its region, and `RegionDecides` is checked: deleting there drops the
      score, and deleting as much elsewhere does not.  Asked of targets that are one class each.

    Parameters
    ----------
    box
        From `wrap`.
    images
        (N, *shape) in pixel space.
    target
        As in `explain`.
    maps
        Name to map (N, *spatial), of any sign, high where deletion should lower the score.  None takes `maps_of`.
    by
        How the regions are deleted.
    area
        Share of the image in each region.
    pairs
        For each image; two queries each.
    margin
        Pairs whose scores differ by less are left out: neither deletion lowers the score more to speak of.
    times
        Trials of each map's own region, for each image; two queries each.  0 leaves that question out.
    confidence
        Of the intervals.
    batch_size, seed
        As in `faithfulness`.
    progress
        As in `faithfulness`, counted in images asked about.

    Raises
    ------
    InputError
        If maps or settings do not fit.
    """
    check_call(box, batch_size, seed)
    check_options(confidence)
    host = check_images(images, box.spec)
    check_choice("perturbation", by, NAMES)
    size = round(area * int(np.prod(box.spec.spatial)))
    if not 0 < area < 1 or size == 0 or not is_whole(pairs) or pairs < 2 or margin < 0 or times < 0:
        got = f"area={area}, pairs={pairs}, margin={margin}, times={times}"
        expected = "an area between 0 and 1, at least 2 pairs, margin and times at least 0"
        raise InputError("These are no deletions to compare", got=got, expected=expected)
    known = maps_of(box, host, target, seed=seed) if maps is None else {name: np.asarray(m) for name, m in maps.items()}
    shape = (len(host), *box.spec.spatial)
    for name, one in known.items():
        if one.shape != shape or not np.isfinite(one).all():
            raise InputError(
                f"The map {name!r} does not fit the images", got=f"{one.shape}", expected=f"finite, {shape}"
            )
    if not known:
        raise InputError("There are no maps to compare", got="maps={}")
    spec, per_image = box.spec, 2 * pairs
    trials = RepeatedSamples.repeat(Samples.of(host, spec), per_image)
    questions = Questions(box, trials, seed, batch_size)

    def regions(rows: Rows) -> Booleans:
        fields = (smooth_field(spec.spatial, questions.generator(row, "region")) for row in rows)
        return np.stack([level_set(field, size) for field in fields])

    total = len(trials) + len(known) * len(host) * times
    with progress_bar(total, "comparing maps", None if callable(progress) else progress) as bar:
        advance = progress if callable(progress) else bar
        before = questions.original(per_image * np.arange(len(host)))
        weights = resolve(target, before, spec.class_names)[0].astype(np.float64)
        rows = np.arange(len(trials))
        questions.advance = advance
        scores = questions.ask(rows, lambda some: deleted(trials.batch(some), regions(some), named(by), spec, seed))
        own: dict[str, Faithfulness] = {}
        if times and ((weights != 0).sum(axis=1) == 1).all() and (weights.sum(axis=1) == 1).all():
            rule = RegionDecides(by, explained="label")
            for name, one in known.items():
                where = np.stack([level_set(each, size) for each in one])
                samples = Samples.of(host, spec, labels=weights.argmax(axis=1).tolist(), regions=where)
                options: dict[str, Any] = {"confidence": confidence, "batch_size": batch_size, "seed": seed}
                own[name] = faithfulness(rule, box, RepeatedSamples.repeat(samples, times), progress=advance, **options)
    chosen = np.repeat(weights, per_image, axis=0)
    after = (np.where(chosen != 0, scores, 0) * chosen).sum(axis=1)
    mass = {name: np.zeros(len(trials)) for name in known}
    for batch in questions.batches(rows):
        where = regions(batch)
        for name, one in known.items():
            mass[name][batch] = [one[row // per_image][at].sum() for row, at in zip(batch, where, strict=True)]
    coins = np.random.default_rng([seed, 0x636F696E]).integers(0, 2, size=(len(host), pairs)) == 1
    found = [
        replace(_predictor(name, one, -after, coins, margin, confidence), region=own.get(name))
        for name, one in mass.items()
    ]
    ordered = tuple(sorted(found, key=lambda one: one.error))
    return Predictors(ordered, len(host), by, area, margin, confidence)


def maps_of(
    box: BlackBox, images: Array, target: Target | Sequence[Target | None] | None = None, *, seed: int = 0
) -> dict[str, Floats]:
    """Return the maps that the paper compares: gradient, gradient × input and the learned mask.

    The gradient is shown as it usually is, the largest magnitude of the channels; gradient × input is summed over the
    channels with its sign, which is what it predicts of a deletion to zero.  A map of the distance from the centre says
    how much of the result is that objects lie there.  Without gradients, the learned mask and the centre are left.

    Parameters
    ----------
    box, images, target, seed
        As in `explain`.

    Returns
    -------
    dict
        Name to map (N, *spatial).
    """
    host = check_images(images, box.spec)
    found: dict[str, Floats] = {}
    if isinstance(box, Differentiable):
        for name, method in (("gradient", "gradient"), ("gradient × input", "gradient-times-input")):
            found[name] = _complete(explain(box, host, target, method=method, seed=seed, progress=False))
    result = explain(box, host, target, seed=seed, progress=False)
    _complete(result)
    # Not the ranks, by which a pixel that hardly matters would count half as much as the first.
    learned = np.stack([result.importance(row) for row in range(len(result))]).astype(np.float64)
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in box.spec.spatial), indexing="ij")
    centre = -np.sqrt(sum(axis**2 for axis in axes))
    found |= {"learned mask": learned, "centre of the image": np.stack([centre] * len(host))}
    return found


def _complete(result: Explanation) -> Floats:
    """Return the saliency (N, *spatial) of a result all of whose rows have one."""
    if failed := next((one for one in result.outcome if one.failed), None):
        raise InputError("An image could not be explained", got=failed.message.removesuffix("."))
    return result.saliency.astype(np.float64)


def _predictor(name: str, said: Floats, lost: Floats, coins: Booleans, margin: float, confidence: float) -> Predictor:
    """Compare what was said and what was lost, (N · 2 · pairs,) each, the deletions of a pair side by side."""
    images, pairs = coins.shape
    shape = (images, pairs, 2)
    # Scores may be infinite; pairs that both are do not differ.
    with np.errstate(invalid="ignore"):
        by_map, true = (np.diff(one.reshape(shape))[..., 0] for one in (said, lost))
    first = np.where(by_map == 0, coins, by_map > 0)
    tells = (true != 0) & (np.abs(true) >= margin)
    errors, n = int((first != (true > 0))[tells].sum()), int(tells.sum())
    if n == 0:
        raise InputError(
            "No pair of deletions differs in what it does to the score", got=f"{images * pairs} pairs within {margin:g}"
        )
    ranks = [_rank_correlation(a, b) for a, b in zip(said.reshape(images, -1), lost.reshape(images, -1), strict=True)]
    known = [rank for rank in ranks if not np.isnan(rank)]
    mean = float(np.mean(known)) if known else float("nan")
    return Predictor(name, errors, n, *clopper_pearson(errors, n, confidence), mean, images - len(known))


def _rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation, equal values sharing their mean rank; NaN if either is constant."""
    if any(one.min() == one.max() for one in (first, second)):
        return float("nan")
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
