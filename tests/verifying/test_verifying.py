"""Certificates of saved results: what holds, and what does not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.explanation import Outcome, Provenance
from blackbox_explain.explanation.region import SHARES
from blackbox_explain.methods.mask.mask import Mask
from blackbox_explain.perturbations.deletion import level_set
from blackbox_explain.perturbations.perturbation import Blur
from blackbox_explain.verifying.certificate import Certificate
from blackbox_explain.verifying.certification import verify
from blackbox_explain.verifying.restored_settings import Restored, target_of
from tests.toys import Faulty, Linear, Regions, Scores, box_region

PATTERN = box_region((32, 32), (6, 6), (18, 18))


class Known(Regions):
    """A toy with a fingerprint."""

    def __init__(self, region: np.ndarray, name: str = "first") -> None:
        super().__init__([region])
        self._name = name

    def fingerprint(self) -> str:
        return self._name


def known() -> Known:
    return Known(PATTERN)


def named_otherwise() -> Known:
    return Known(PATTERN, "second")


def elsewhere() -> Known:
    return Known(box_region((32, 32), (14, 14), (30, 30)), "third")


def larger() -> Regions:
    return Regions([box_region((48, 32), (6, 6), (18, 18))])


def scores_alone() -> Scores:
    box = Scores(known().scores, (1, 32, 32))
    box.spec = known().spec
    return box


def failing() -> Scores:
    def fail(images: np.ndarray) -> np.ndarray:
        raise RuntimeError("no power")

    return Scores(fail, (1, 32, 32))


@pytest.fixture(scope="module")
def result() -> bx.Explanation:
    return explained()


def explained() -> bx.Explanation:
    images = np.concatenate([known().image(), known().image()[:, :, ::-1]])
    return bx.explain(known(), images, ["texture", None], progress=False)


def told(result: bx.Explanation, **settings: Any) -> Provenance:
    """Return a provenance with other settings of the method."""
    return dataclasses.replace(result.provenance, settings={**result.provenance.settings, **settings})


def broken(found: Certificate, row: int = 0) -> list[str]:
    return [one.claim for one in found.rows[row].checks if one.held is False]


def changed(result: bx.Explanation, **arrays: Any) -> bx.Explanation:
    return dataclasses.replace(result, **arrays)


def test_a_result_holds_on_its_own_model(result: bx.Explanation) -> None:
    found = verify(result, known(), progress=False)
    assert found.holds
    assert len(found.rows) == 2
    assert all(one.held for row in found.rows for one in row.checks)
    row = found.rows[0]
    assert row.found == pytest.approx(row.stated, abs=1e-6)
    assert set(row.elsewhere) == {"constant", "noise"}
    assert row.elsewhere["constant"] > 0.8
    # Images of 32 pixels are moved by at most one.
    assert row.shifts == 4
    assert row.jitter is not None
    low, mean, high = row.jitter
    assert low < mean < high < row.stated["score"]
    assert found.sentence == "The result holds: the model is the same, and all 2 masks do as the result says."


def test_what_is_measured_is_what_it_is_called(result: bx.Explanation) -> None:
    box, image, region = known(), result.images[:1], result.region[0]
    row = verify(result, box, progress=False).rows[0]
    mean = image.mean()
    by_constant = np.where(region, mean, image)
    before, after, fully = (float(box.scores(one)[0, 0]) for one in (image, by_constant, image * 0 + mean))
    assert row.elsewhere["constant"] == pytest.approx((before - after) / (before - fully), abs=1e-6)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_the_objective_is_that_of_mask_and_masked_score(game: Any, preset: Any) -> None:
    box = known()
    made = bx.explain(box, box.image(), 0, game=game, preset=preset, steps=5, area_weight=0.02, progress=False)
    how = Restored.of(made).mask
    sign = 1 if game == "deletion" else -1
    expected = float(how.regularizer(made.mask)[0][0]) + sign * made.score_masked[0]
    assert how.area_weight == 0.02
    row = verify(made, box, progress=False).rows[0]
    assert row.found["objective"] == pytest.approx(expected, abs=1e-6)
    assert row.found["objective"] == pytest.approx(made.objective[0], abs=1e-5)
    # The weights that the mask was learned with are a part of what is claimed.
    lighter = dataclasses.replace(made, provenance=told(made, area_weight=0.01))
    assert broken(verify(lighter, box, progress=False)) == ["the objective is as stated"]


@pytest.mark.parametrize("game", ["deletion", "preservation", "both"])
def test_the_objective_of_a_ranking_is_the_mean_of_its_curve(game: Any) -> None:
    box = known()
    made = bx.explain(box, box.image(), 0, game=game, steps=5, progress=False)
    columns = [place for place, share in enumerate(made.curve_shares) if 0.02 <= share <= 0.5]
    left = (made.curve[0, columns] - made.score_perturbed[0]) / (made.score[0] - made.score_perturbed[0])
    assert made.objective[0] == pytest.approx(left.mean() * (-1 if game == "preservation" else 1), abs=1e-6)
    assert verify(made, box, progress=False).holds
    higher = changed(made, curve=made.curve + np.asarray([0.0] * 5 + [0.1] + [0.0] * 4))
    assert broken(verify(higher, box, progress=False)) == ["the curve of the score is as stated"]
    moved = changed(made, region=np.roll(made.region, 1, axis=2))
    assert "the region is the most salient part of the image" in broken(verify(moved, box, progress=False))


def test_a_suppression_of_a_score_that_hardly_falls_cannot_be_known() -> None:
    flat = Scores(lambda images: np.stack([0.5 + 1e-5 * images[:, 0, 0, 0], 0 * images[:, 0, 0, 0]], 1))
    image = np.random.default_rng(0).random((1, 1, 16, 16))
    made = bx.explain(flat, image, 0, perturbation=bx.Constant(), progress=False, queries=150)
    claim = "the suppression is as stated"
    for stated in (made.suppression, made.suppression + 0.9, made.suppression * np.nan):
        found = verify(dataclasses.replace(made, suppression=stated), flat, progress=False)
        check = next(one for one in found.rows[0].checks if one.claim == claim)
        assert (check.held, check.reason[:19]) == (None, "the score falls by ")
    exact = verify(dataclasses.replace(made, suppression=made.suppression + 0.9), flat, tolerance=0.0, progress=False)
    assert claim in broken(exact)


def test_masks_of_other_seeds_are_alike(result: bx.Explanation) -> None:
    done = []
    found = verify(result, known(), seeds=2, progress=done.append)
    assert len(found.rows[0].seeds) == 2
    for row in found.rows:
        for correlation, iou in row.seeds:
            assert 0.8 < correlation <= 1
            assert 0.5 < iou <= 1
    # Four scores, the curve, two other perturbations and their whole, 4 shifts; two masks more.
    mask = Mask().budget(BoxInfo.of(known())).with_region
    assert sum(done) == 2 * (4 + len(SHARES) + 4 + 4 + 2 * mask)


@pytest.mark.parametrize("game", ["deletion", "preservation"])
@pytest.mark.parametrize("perturbation", ["blur", "constant", "noise"])
@pytest.mark.parametrize("preset", ["fast", "paper", "authors"])
def test_results_of_every_kind_hold(game: Any, perturbation: str, preset: Any) -> None:
    box = known()
    options: dict[str, Any] = {"game": game, "perturbation": perturbation, "preset": preset, "steps": 5}
    made = bx.explain(box, box.image(), bx.Difference(0, 1), progress=False, **options)
    found = verify(made, box, progress=False)
    assert found.holds, found.to_dict()
    assert all(one.held for one in found.rows[0].checks)
    assert perturbation not in found.rows[0].elsewhere
    assert len(found.rows[0].elsewhere) == 2


@pytest.mark.parametrize("references", [1, 3])
def test_results_of_reference_images_hold(references: int, tmp_path: Path) -> None:
    box = known()
    reference = bx.Reference(np.linspace(0.4, 0.6, references)[:, None, None, None] * np.ones((1, 1, 32, 32)))
    images = np.repeat(box.image(), 3, axis=0)
    made = bx.explain(box, images, 0, perturbation=reference, progress=False, steps=5)
    found = verify(bx.Explanation.load(made[1:].save(tmp_path / "one.npz")), box, seeds=1, progress=False)
    assert found.holds, found.to_dict()
    assert all(one.held for row in found.rows for one in row.checks)
    assert set(found.rows[0].elsewhere) == {"blur", "constant", "noise"}
    other = dataclasses.replace(made, reference=np.ones_like(made.images))
    assert not verify(other, box, progress=False).holds


class Checkered:
    """A perturbation of a user's own."""

    def levels(self, images: Any, spec: bx.InputSpec, seed: int) -> Any:
        return np.stack([np.zeros_like(images) + np.indices(images.shape).sum(axis=0) % 2 * 0.1 + 0.45, images])

    def take(self, rows: slice) -> Any:
        return self


def test_a_result_of_a_perturbation_of_ones_own_is_checked_as_far_as_it_can_be() -> None:
    box = known()
    found = verify(bx.explain(box, box.image(), 0, perturbation=Checkered(), progress=False), box, progress=False)
    assert found.holds
    assert found.sentence.endswith("the mask does as the result says, as far as can be checked.")
    unknown = {one.claim for one in found.rows[0].checks if one.held is None}
    assert "the score of the fully perturbed image is as stated" in unknown
    assert "mask, saliency and masked image belong together" in unknown
    assert set(found.rows[0].elsewhere) == {"blur", "constant", "noise"}
    assert found.rows[0].jitter is None


def test_signals_volumes_and_several_labels_hold() -> None:
    for shape in ((2, 90), (1, 10, 12, 14)):
        box = Linear(np.random.default_rng(0).random(shape) / np.prod(shape), 0.1)
        images = np.random.default_rng(1).random((1, *shape))
        made = bx.explain(box, images, bx.Labels(0), progress=False, steps=3)
        found = verify(made, box, progress=False)
        assert found.holds
        # A volume whose shortest side is 10 is too small to be moved.
        assert found.rows[0].shifts == (4 if len(shape) == 2 else 1)


def test_a_model_without_gradients_and_fingerprint(result: bx.Explanation) -> None:
    found = verify(result, scores_alone(), progress=False)
    assert found.holds
    assert found.model.held is None
    assert "may be another" in found.sentence
    box = Scores(known().scores, (1, 32, 32))
    made = bx.explain(box, known().image(), 0, progress=False, queries=150)
    assert verify(made, box, seeds=1, progress=False).rows[0].seeds[0][0] > 0.3


def test_other_preprocessing_is_named(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((1, 3, 16, 16)).astype(np.float32)

    def box(mean: tuple[float, ...]) -> bx.BlackBox:
        return bx.wrap(
            lambda rows: rows.mean(axis=(2, 3)), shape=(3, 16, 16), preprocessing=bx.Preprocessing(mean=mean, std=0.5)
        )

    result = bx.explain(box((0.5, 0.4, 0.3)), images, 0, queries=100, progress=False)
    result.save(tmp_path / "one.npz")
    again = bx.Explanation.load(tmp_path / "one.npz")
    held = bx.verify(again, box((0.5, 0.4, 0.3)), seeds=0, progress=False)
    assert held.model.held is not False
    found = bx.verify(again, box((0.0, 0.4, 0.3)), seeds=0, progress=False)
    assert found.model.held is False
    assert "mean is [0.0, 0.4, 0.3], and was [0.5, 0.4, 0.3]" in found.model.reason
    assert "because of the model or its input" in found.sentence


def test_another_model_breaks_the_result(result: bx.Explanation) -> None:
    found = verify(result, named_otherwise(), progress=False)
    assert not found.holds
    assert all(row.holds for row in found.rows)
    assert found.model.reason == "its fingerprint is second, and was first"
    assert found.sentence == "The result does not hold, because of the model or its input."
    found = verify(result, elsewhere(), progress=False)
    assert not found.holds
    assert "the score after the mask is as stated" in broken(found)
    assert found.sentence == "The result does not hold, because of the model or its input and 2 of 2 masks."


@pytest.mark.parametrize(
    ("field", "claim"),
    [
        ("score", "the score of the image is as stated"),
        ("score_masked", "the score after the mask is as stated"),
        ("score_region", "the score without (or of) the region is as stated"),
        ("score_perturbed", "the score of the fully perturbed image is as stated"),
        ("suppression", "the suppression is as stated"),
        ("area", "the area is as stated"),
        ("objective", "the objective is as stated"),
    ],
)
@pytest.mark.parametrize("wrong", [0.01, np.nan])
def test_a_number_that_was_changed_is_found(result: bx.Explanation, field: str, claim: str, wrong: float) -> None:
    values = getattr(result, field) + np.asarray([wrong, 0])
    found = verify(changed(result, **{field: values}), known(), progress=False)
    assert claim in broken(found)
    assert found.rows[1].holds
    json.dumps(found.to_dict(), allow_nan=False)


def test_changed_masks_images_names_and_statuses_are_found(result: bx.Explanation) -> None:
    together = "mask, saliency and masked image belong together"
    for name in ("mask", "saliency", "masked_images", "images"):
        values = np.clip(getattr(result, name) * 0.5 + 0.1, 0, 1)
        assert together in broken(verify(changed(result, **{name: values}), known(), progress=False)), name
    for wrong in (np.nan, 3.0):
        mask = result.mask.copy()
        mask[0, 3, 3] = wrong
        assert together in broken(verify(changed(result, mask=mask), known(), progress=False))
    renamed = changed(result, target=("nothing", result.target[1]))
    assert broken(verify(renamed, known(), progress=False)) == ["the class is the one that is named"]
    other = changed(result, weights=result.weights[:, ::-1].copy())
    assert "the score of the image is as stated" in broken(verify(other, known(), progress=False))
    weak = changed(result, outcome=(Outcome("weak", "nothing"), result.outcome[1]))
    assert broken(verify(weak, known(), progress=False)) == ["the outcome is what the scores say"]
    provenance = told(result, perturbation_settings={"sigma": 1.0, "levels_count": 2})
    assert together in broken(verify(changed(result, provenance=provenance), known(), progress=False))


def test_results_that_do_not_fit_themselves(result: bx.Explanation) -> None:
    wrong: list[dict[str, Any]] = [
        {"mask": result.mask[:1]},
        {"mask": result.mask[:, 0]},
        {"mask": np.zeros((2, 64, 64))},
        {"saliency": result.saliency[:, :4]},
        {"score_masked": result.score_masked[:1]},
        {"score_masked": np.asarray(["a", "b"])},
        {"masked_images": result.masked_images[:, :, :4]},
        {"outcome": (Outcome("ok"),)},
        {"weights": result.weights * 0.3},
        {"provenance": dataclasses.replace(result.provenance, settings={})},
        {"provenance": told(result, steps="many")},
        {"provenance": told(result, preset="best")},
        {"provenance": told(result, game="chess")},
        {"provenance": told(result, perturbation_settings={"colour": 3})},
        {"provenance": dataclasses.replace(result.provenance, seed=None)},
        {"outcome": (Outcome("failed", "a"), Outcome("failed", "b"))},
    ]
    for fields in wrong:
        with pytest.raises(ResultError):
            verify(changed(result, **fields), known(), progress=False)


def test_models_that_do_not_fit_the_result(result: bx.Explanation) -> None:
    with pytest.raises(InputError, match="do not fit the model"):
        verify(result, larger(), progress=False)
    with pytest.raises(ModelError, match="other classes"):
        verify(result, Scores(lambda images: images[:, 0, 0, :3], (1, 32, 32)), progress=False)
    with pytest.raises(ModelError, match="no power"):
        verify(result, failing(), progress=False)
    with pytest.raises(InputError, match="not a black box"):
        verify(result, known().scores, progress=False)  # type: ignore[arg-type]
    for options in ({"tolerance": -1.0}, {"tolerance": np.nan}, {"seeds": -1}, {"batch_size": 0}):
        with pytest.raises(InputError):
            verify(result, known(), progress=False, **options)  # type: ignore[arg-type]


def test_rows_that_failed_claim_nothing() -> None:
    box = Faulty(lambda scores: scores * np.nan)
    images = np.stack([np.full((1, 16, 16), 0.5), np.ones((1, 16, 16))])
    found = verify(bx.explain(box, images, 0, progress=False), box, progress=False)
    assert (len(found.rows), found.failed) == (1, 1)


def test_targets_come_back_from_their_weights() -> None:
    assert target_of(np.asarray([0.0, 1, 0])) == 1
    assert target_of(np.asarray([1.0, 1, 0])) == bx.Labels(0, 1)
    assert target_of(np.asarray([0.0, -1, 1])) == bx.Difference(2, 1)
    for weights in ([0.0, 0, 0], [0.5, 0, 0], [-1.0, 0, 0], [1.0, 1, -1], [np.nan, 1, 0]):
        with pytest.raises(ResultError):
            target_of(np.asarray(weights))


def test_settings_that_were_not_yet_known_take_the_presets(result: bx.Explanation) -> None:
    kept = result.provenance.settings
    older = {name: value for name, value in kept.items() if name != "queries"} | {"newer": 3}
    provenance = dataclasses.replace(result.provenance, settings=older)
    assert Restored.of(dataclasses.replace(result, provenance=provenance)).mask == Restored.of(result).mask


def test_a_region_that_is_not_the_smallest_is_found(result: Any) -> None:
    larger_one = np.stack([level_set(one, one.size // 2) for one in result.saliency])
    made = Blur(levels_count=2).levels(result.images, known().spec, 0)[0]
    forged = np.where(larger_one[:, None], made, result.images)
    wrong = dataclasses.replace(
        result,
        region=larger_one,
        share=np.full_like(result.share, larger_one[0].mean()),
        region_images=forged,
        score_region=known().scores(forged)[:, 0],
        mask=(~larger_one).astype(result.mask.dtype),
    )
    checks = [one for row in verify(wrong, known(), progress=False).rows for one in row.checks]
    claims = [one.claim for one in checks if one.held is False]
    assert "the region is the smallest that does what was asked" in claims
    assert not [one for row in verify(result, known(), progress=False).rows for one in row.checks if one.held is False]


def test_a_picture_of_the_region_that_is_another_is_found(result: Any) -> None:
    wrong = dataclasses.replace(result, region_images=np.zeros_like(result.region_images))
    checks = [one for row in verify(wrong, known(), progress=False).rows for one in row.checks if one.held is False]
    assert [one.reason for one in checks] == ["the image without it, or with nothing but it, is another"] * 2
