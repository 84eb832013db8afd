"""Local rules: the linear rule of eq. 2 and the region of a learned mask, where the answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError, ModelError, NoGradientError
from blackbox_explain.perturbations.deletion import deleted, level_set
from blackbox_explain.perturbations.named import named
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness
from blackbox_explain.rules.questions import Questions
from blackbox_explain.rules.relations import Brightness, GaussianNoise, Rotation
from blackbox_explain.rules.relations.deletion import Deletion, smooth_field, square_field
from blackbox_explain.rules.repeated_samples import RepeatedSamples, distinct
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.statements.local_linear import Taylor, taylor_maps
from blackbox_explain.rules.statements.region_decides import RegionDecides, mask_trials
from tests.rules.toys import attribution
from tests.toys import Linear, Regions, Scores, box_region

SHAPE = (3, 16, 12)
SPEC = bx.InputSpec(SHAPE)


class Squared(Linear):
    """f(x) = <w, x>², whose linear rule is off by <w, x − x0>²."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        return super().scores(images) ** 2

    def scores_and_gradient(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = np.tensordot(images, self.weights, axes=self.weights.ndim)
        factor = (2 * value * weights.sum(axis=1)).reshape(-1, *[1] * self.weights.ndim)
        return self.scores(images), factor * self.weights


def some(count: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *SHAPE))


def weights(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE) / np.prod(SHAPE)


@pytest.mark.parametrize("by", ["zero", "constant", "blur", "noise"])
@pytest.mark.parametrize("form", ["smooth", "square"])
def test_a_linear_model_is_its_own_linear_rule(by: str, form: str) -> None:
    samples = RepeatedSamples.repeat(Samples.of(some(), SPEC), 20)
    rule = Taylor(Deletion(by=by, form=form), 60, tolerance=1e-6)  # type: ignore[arg-type]
    found = faithfulness(rule, Linear(weights(), 0.3), samples, progress=False)
    assert (found.errors, found.n) == (0, 80)


def test_a_linear_model_is_its_own_linear_rule_under_noise_and_any_other_change() -> None:
    samples = RepeatedSamples.repeat(Samples.of(some(), SPEC), 10)
    for relation, theta in ((GaussianNoise(), 10), (Brightness(), 20), (Rotation(), 10)):
        found = faithfulness(Taylor(relation, theta, 1e-6), Linear(weights(), 0.3), samples, progress=False)
        assert (found.errors, found.n) == (0, 40)


@pytest.mark.parametrize("batch_size", [2, 32])
def test_the_image_whose_neighbour_has_no_answer_is_named(batch_size: int) -> None:
    images = some(6)
    images[5] = 0.5  # alone of one colour, which its neighbour has not

    class Torn(Linear):
        def scores(self, given: np.ndarray) -> np.ndarray:
            flat = given.reshape(len(given), -1)
            neighbour = (flat.std(axis=1) < 1e-3) & (flat[:, 0] != 0.5)
            return np.where(neighbour[:, None], np.nan, super().scores(given))

    samples = Samples.of(images, SPEC, names=list("abcdef"))
    with pytest.raises(ModelError, match="NaN for f"):
        faithfulness(Taylor(Brightness(), 20), Torn(weights()), samples, batch_size=batch_size, progress=False)


def test_deletion_to_zero_is_the_rule_of_gradient_times_input() -> None:
    images, box = some(), Linear(weights(), 0.3)
    samples, relation = Samples.of(images, SPEC), Deletion(by="zero")
    questions, rows = Questions(box, samples), np.arange(4)
    said, true = Taylor(relation, 50).predicted(questions, rows)
    saliency = attribution(box, images, None, "gradient-times-input")
    moved = Invariance(relation, 50).transformed(questions, rows)
    kept = (moved != samples.batch(rows)).any(axis=1)
    before = box.scores(images).max(axis=1)
    np.testing.assert_allclose(said, before - (saliency.sum(axis=1) * kept).sum(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(said, true, rtol=1e-5)


def test_the_maps_of_the_linear_rule_are_those_of_eq_2() -> None:
    w, images = weights(), some(5)
    box = Linear(w, 0.3)
    signs = np.where(box.scores(images).argmax(axis=1) == 0, 1, -1)[:, None, None, None]
    for samples in (images, Samples.of(images.astype(np.float32), SPEC)):
        s1, s2 = taylor_maps(box, samples, batch_size=2)
        np.testing.assert_array_equal(s1, signs * w)
        np.testing.assert_array_equal(s2, signs * w * images.astype(np.float32))
    s1, s2 = taylor_maps(box, Samples.of(images, SPEC, labels=[0, 1, 0, 1, 0]), "label")
    np.testing.assert_array_equal(s1, np.asarray([1, -1, 1, -1, 1])[:, None, None, None] * w)
    # f(x0 ⊙ m) = f(x0) − ⟨S2, 1 − m⟩, exactly so for a linear f.
    mask = np.random.default_rng(2).random(SHAPE)
    fall = (box.scores(images)[:, 0] - box.scores(images * mask)[:, 0]) * np.asarray([1, -1, 1, -1, 1])
    np.testing.assert_allclose((s2 * (1 - mask)).sum(axis=(1, 2, 3)), fall, atol=1e-6)
    curved = Squared(w)
    s1, _ = taylor_maps(curved, Samples.of(images, SPEC, labels=[0] * 5), "label")
    np.testing.assert_allclose(s1[:, 0, 0, 0], 2 * w[0, 0, 0] * (images * w).sum(axis=(1, 2, 3)), rtol=1e-4)


def test_maps_that_cannot_be_had() -> None:
    with pytest.raises(NoGradientError):
        taylor_maps(Scores(lambda images: images.reshape(len(images), -1)[:, :2], SHAPE), some())
    with pytest.raises(InputError, match="true class"):
        taylor_maps(Linear(weights()), some(), "label")
    with pytest.raises(InputError, match="one class"):
        taylor_maps(Linear(weights()), some(), "third")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="batch_size=0"):
        taylor_maps(Linear(weights()), some(), batch_size=0)


def test_the_linear_rule_of_a_linear_model_is_the_same_everywhere_and_says_nothing_of_the_image() -> None:
    w, images = weights(), some()
    found = attribution(Linear(w), images, 0, "gradient")
    for one in found:
        np.testing.assert_array_equal(one, w)
    np.testing.assert_allclose(attribution(Linear(w), images, 0, "gradient-times-input"), w * images)


def test_the_error_of_the_linear_rule_of_a_curved_model_grows_with_the_neighbourhood() -> None:
    samples = RepeatedSamples.repeat(Samples.of(some(1), SPEC), 100)
    box = Squared(np.full(SHAPE, 1 / np.prod(SHAPE)))
    near, far = (
        faithfulness(Taylor(Deletion(by="zero"), theta, tolerance=0.01), box, samples, progress=False)
        for theta in (10, 80)
    )
    # <w, x0> is ½ on average: deleting a share a loses about (a / 2)², which is below 0.01 up to a = 0.2.
    assert near.errors == 0
    assert 0.6 < far.error < 0.9
    assert far.low < 0.75 < far.high
    assert far.violations[0].amount == pytest.approx(0.16 - 0.01, abs=0.03)


def test_a_black_box_without_gradients_has_no_linear_rule() -> None:
    box = Scores(lambda images: images.reshape(len(images), -1)[:, :2], SHAPE)
    with pytest.raises(NoGradientError):
        faithfulness(Taylor(Deletion(), 10), box, Samples.of(some(), SPEC), progress=False)


def test_one_gradient_serves_all_trials_of_an_image_in_a_batch() -> None:
    samples = RepeatedSamples.repeat(Samples.of(some(2), SPEC), 32)
    found = faithfulness(Taylor(Deletion(), 10), Linear(weights()), samples, batch_size=32, progress=False)
    # Two batches of one image each: the image, its gradient, 32 neighbours.
    assert found.queries == 2 * (1 + 1 + 32)


PATTERN = box_region((32, 32), (6, 6), (18, 18))


def pattern_trials(region: np.ndarray, times: int = 60) -> tuple[Regions, RepeatedSamples]:
    box = Regions([PATTERN])
    samples = Samples.of(box.image(), box.spec, regions=region[None], labels=[0])
    return box, RepeatedSamples.repeat(samples, times)


def test_the_region_that_a_model_looks_at_decides() -> None:
    box, trials = pattern_trials(PATTERN)
    found = faithfulness(RegionDecides(), box, trials, progress=False)
    assert (found.errors, found.n) == (0, 60)
    assert found.low == 0.0
    only_scores = Scores(box.scores, box.spec.shape)
    again = faithfulness(RegionDecides(explained="label"), only_scores, trials, progress=False)
    assert again.errors == 0


@pytest.mark.parametrize("by", ["blur", "constant", "noise", "zero"])
def test_it_decides_whatever_stands_in_where_that_takes_the_contrast_away(by: str) -> None:
    box, trials = pattern_trials(PATTERN, 10)
    found = faithfulness(RegionDecides(by), box, trials, progress=False)  # type: ignore[arg-type]
    # Zeros are as much contrast as the pattern: deleting everything does not lower the score, so nothing is said.
    assert (found.errors, found.n) == ((0, 0) if by == "zero" else (0, 10))


def test_a_region_beside_what_the_model_looks_at_is_wrong_every_time() -> None:
    box, trials = pattern_trials(box_region((32, 32), (20, 20), (32, 32)))
    found = faithfulness(RegionDecides(), box, trials, progress=False)
    assert found.errors == 60
    assert found.violations[0].amount >= 0.5


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_one_image_of_two_classes_is_judged_by_each(batch_size: int) -> None:
    other = box_region((32, 32), (20, 20), (30, 30))

    def scores(images: np.ndarray) -> np.ndarray:
        return np.stack([images[:, 0, own].mean(axis=1) for own in (PATTERN, other)], axis=1)

    box = Scores(scores, (1, 32, 32))
    images = np.ones((2, 1, 32, 32), np.float32)
    samples = Samples.of(images, box.spec, regions=np.stack([PATTERN, other]), labels=[0, 1])
    rule = RegionDecides("zero", explained="label", shift=0)
    trials = RepeatedSamples.repeat(samples, 5)
    assert faithfulness(rule, box, trials, batch_size=batch_size, progress=False).errors == 0


def test_a_region_of_which_as_much_lies_elsewhere_is_wrong_because_of_the_other_half() -> None:
    both = Regions([PATTERN | box_region((32, 32), (20, 6), (32, 30))])
    right = both.regions[0]
    questions = Questions(both, RepeatedSamples.repeat(Samples.of(both.image(), both.spec, regions=right[None]), 1))
    inside, outside, has_reach = RegionDecides(shift=0).lost(questions, np.asarray([0]))
    assert has_reach.all()
    assert inside[0] == pytest.approx(1.0, abs=0.1)
    assert outside[0] == pytest.approx(0.0, abs=0.01)
    small = right & (np.arange(32) < 12)
    box, trials = both, RepeatedSamples.repeat(Samples.of(both.image(), both.spec, regions=small[None]), 20)
    found = faithfulness(RegionDecides(), box, trials, progress=False)
    assert found.errors == 20


def test_regions_that_the_rule_says_nothing_of() -> None:
    box, trials = pattern_trials(np.ones((32, 32), dtype=bool), 5)
    assert faithfulness(RegionDecides(), box, trials, progress=False).n == 0
    box, trials = pattern_trials(np.zeros((32, 32), dtype=bool), 5)
    assert faithfulness(RegionDecides(), box, trials, progress=False).n == 0
    flat = Samples.of(np.full((1, 1, 32, 32), 0.5), box.spec, regions=PATTERN[None])
    assert faithfulness(RegionDecides(), box, flat, progress=False).n == 0


def test_the_learned_mask_of_the_toy_is_a_rule_that_holds() -> None:
    box = Regions([PATTERN])
    result = bx.explain(box, box.image(), "texture", progress=False)
    trials = mask_trials(result, box.spec, 40)
    assert len(trials) == 40
    found = faithfulness(RegionDecides(explained="label"), box, trials, progress=False)
    assert found.errors == 0
    assert "texture in image 0" in trials.names[0]
    difference = bx.explain(box, box.image(), bx.Difference(0, 1), progress=False, steps=2)
    with pytest.raises(InputError, match="one class"):
        mask_trials(difference, box.spec)
    for method in ("mask", "gradient"):
        keeping = bx.explain(box, box.image(), "texture", method=method, game="preservation", progress=False)
        with pytest.raises(InputError, match="regions that keep it"):
            mask_trials(keeping, box.spec)


def test_noise_is_drawn_anew_for_each_trial_and_each_seed() -> None:
    spec = Regions([PATTERN]).spec
    image, everywhere = np.full((1, 32, 32), 0.5, np.float32), Deletion(by="noise")
    drawn = [everywhere.transform_one(image, 100, spec, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.mean(drawn[0] != drawn[2]) > 0.9
    asked: list[np.ndarray] = []

    def scores(images: np.ndarray) -> np.ndarray:
        asked.append(images)
        return np.stack([images.mean(axis=(1, 2, 3)), 1 - images.mean(axis=(1, 2, 3))], axis=1)

    samples = Samples.of(0.9 * np.ones((1, 1, 32, 32)), spec, regions=PATTERN[None])
    for seed in (0, 1):
        faithfulness(RegionDecides("noise"), Scores(scores, spec.shape), samples, seed=seed, progress=False)
    # The image itself, deleted as a whole, within the region and outside of it.
    assert np.mean(asked[1] != asked[len(asked) // 2 + 1]) > 0.9


def test_local_rules_are_sentences_and_are_saved(tmp_path: Path) -> None:
    taylor = Taylor(Deletion(by="zero", form="square"), 10, tolerance=0.05)
    assert taylor.sentence == (
        "if a box of at most 10 % of the image is set to zero, the score of the top class is within 0.05 of what its "
        "gradient predicts"
    )
    region = RegionDecides(explained="label")
    assert region.sentence == (
        "if the region is blurred away, the score of the class it is labelled with loses at least 50 % of what it "
        "loses with the whole image, and if an equal area elsewhere is, it does not"
    )
    box, trials = pattern_trials(PATTERN, 5)
    for rule in (taylor, region, taylor & region):
        found = faithfulness(rule, box, trials, progress=False)
        path = tmp_path / "rule.json"
        found.save(path)
        loaded = Faithfulness.load(path)
        assert loaded.rule == rule
        assert json.loads(path.read_text())["n"] == loaded.again(box, trials).n == 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Taylor(Deletion(), 101),
        lambda: Taylor(Deletion(), 10, tolerance=-1),
        lambda: Taylor(Deletion(), 10, explained="third"),  # type: ignore[arg-type]
        lambda: Deletion(by="paint"),  # type: ignore[arg-type]
        lambda: Deletion(form="round"),  # type: ignore[arg-type]
        lambda: RegionDecides("paint"),  # type: ignore[arg-type]
        lambda: RegionDecides(share=0),
        lambda: RegionDecides(shift=-1),
        lambda: RepeatedSamples.repeat(Samples.of(some(), SPEC), 0),
    ],
)
def test_rules_that_make_no_sense(wrong: object) -> None:
    with pytest.raises(InputError):
        wrong()  # type: ignore[operator]


def test_what_a_local_rule_lacks_is_said() -> None:
    box, samples = Linear(weights()), Samples.of(some(), SPEC)
    with pytest.raises(InputError, match="true class"):
        faithfulness(Taylor(Deletion(), 10, explained="label"), box, samples, progress=False)
    wrong = Samples.of(some(), SPEC, labels=[7] * 4)
    with pytest.raises(InputError, match="no such class"):
        faithfulness(Taylor(Deletion(), 10, explained="label"), box, wrong, progress=False)
    with pytest.raises(InputError, match="regions"):
        faithfulness(RegionDecides(), box, samples, progress=False)


@pytest.mark.parametrize("spatial", [(40,), (20, 30), (8, 9, 10)])
@pytest.mark.parametrize("field", [smooth_field, square_field])
def test_random_regions_have_the_size_asked_for_and_grow(spatial: tuple[int, ...], field: object) -> None:
    drawn = field(spatial, np.random.default_rng(0))  # type: ignore[operator]
    assert drawn.shape == spatial
    small, large = level_set(drawn, 12), level_set(drawn, 30)
    assert (small.sum(), large.sum()) == (12, 30)
    assert not (small & ~large).any()
    assert level_set(field(spatial, np.random.default_rng(1)), 12).tolist() != small.tolist()  # type: ignore[operator]


def test_deletion_leaves_the_rest_of_the_image_alone() -> None:
    images = some(2).astype(np.float32)
    regions = np.stack([PATTERN[:16, :12], ~PATTERN[:16, :12]])
    for by in ("blur", "constant", "noise", "zero"):
        found = deleted(images, regions, named(by), SPEC)
        assert found.dtype == np.float32
        kept = np.broadcast_to(~regions[:, None], images.shape)
        np.testing.assert_array_equal(found[kept], images[kept])
        assert (found[~kept] != images[~kept]).mean() > 0.9
    relation = Deletion()
    generators = [np.random.default_rng(row) for row in range(2)]
    np.testing.assert_array_equal(relation.transform(images, np.zeros(2), SPEC, generators), images)


def test_trials_are_the_images_again_and_again() -> None:
    samples = Samples.of(some(2), SPEC, labels=[0, 1], names=["a", "b"])
    trials = RepeatedSamples.repeat(samples, 3)
    assert len(trials) == 6
    rows = np.asarray([0, 2, 3, 5])
    np.testing.assert_array_equal(trials.batch(rows), samples.batch(np.asarray([0, 0, 1, 1])))
    taken = trials.take(rows)
    np.testing.assert_array_equal(taken.batch(np.arange(4)), trials.batch(rows))
    assert taken.names == ("a, trial 0", "a, trial 2", "b, trial 0", "b, trial 2")
    assert trials.fingerprint != RepeatedSamples.repeat(samples, 4).fingerprint
    first, which = distinct(trials, trials.batch(rows), rows)
    assert (first.tolist(), which.tolist()) == ([0, 3], [0, 0, 1, 1])
