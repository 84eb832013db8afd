"""Every method by name: the contract, and a black box whose map is known by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.entry_points import entry_points
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, NoGradientError
from blackbox_explain.methods.by_name import METHODS, kind_of
from blackbox_explain.methods.extremal import ExtremalPerturbation
from blackbox_explain.methods.gradients import IntegratedGradients, SmoothGrad
from blackbox_explain.methods.occlusions import Lime, Occlusion, Rise, SegmentGraying, Shapley
from blackbox_explain.methods.occlusions.rise import RandomMasks
from blackbox_explain.methods.occlusions.segments import segments_of
from blackbox_explain.testing import check_method
from tests.toys import Regions, Scores, box_region

SIZE, LOW, HIGH = (24, 24), (6, 6), (14, 14)
"""A square of the image is all that the toy reads."""

QUICK: dict[str, dict[str, Any]] = {
    "mask": {"steps": 6},
    "rise": {"masks": 300},
    "lime": {"samples": 120, "segments": 16},
    "shapley": {"samples": 200, "segments": 16},
    "segment-graying": {"segments": 16},
    "extremal-perturbation": {"steps": 120, "perturbation": "low"},
    "circle-occlusion": {"spacing": 20.0},
    "variable-occlusion": {"spacing": 30.0},
    "smoothgrad": {"samples": 8},
    "integrated-gradients": {"steps": 8},
    "blur-integrated-gradients": {"steps": 8},
}
"""Settings that make a method fast enough for a test; the others are as they come."""

BY_SCORES = (
    "center",
    "circle-occlusion",
    "lime",
    "mask",
    "occlusion",
    "rise",
    "segment-graying",
    "shapley",
    "variable-occlusion",
)
BY_GRADIENT = (
    "blur-integrated-gradients",
    "extremal-perturbation",
    "gradient",
    "gradient-times-input",
    "integrated-gradients",
    "smoothgrad",
)
BY_LAYERS = ("attention-rollout", "cam", "grad-cam", "grad-cam++", "layer-cam")
BY_RULES = ("contrastive-excitation-backprop", "deconvnet", "excitation-backprop", "guided-backprop", "lrp")


def toy() -> Regions:
    return Regions([box_region(SIZE, LOW, HIGH)])


class Bright:
    """The mean of the square: a score that is linear in the pixels, so that every map is known."""

    spec = InputSpec((1, *SIZE))
    inside = box_region(SIZE, LOW, HIGH)

    def scores(self, images: Any) -> Any:
        return images[:, 0, self.inside].mean(axis=1)[:, None]

    def scores_and_gradient(self, images: Any, weights: Any) -> Any:
        gradient = weights[:, 0].reshape(-1, 1, 1, 1) * (self.inside / self.inside.sum())
        return self.scores(images), gradient.astype(images.dtype)


def made(name: str) -> Any:
    return kind_of(name)(**QUICK.get(name, {}))


def test_every_method_is_tested() -> None:
    named = {point.name for point in entry_points(METHODS)}
    assert named == {*BY_SCORES, *BY_GRADIENT, *BY_LAYERS, *BY_RULES}


@pytest.mark.parametrize("name", [*BY_SCORES, *BY_GRADIENT])
def test_the_contract(name: str) -> None:
    check_method(made(name), toy())


@pytest.mark.parametrize("name", [one for one in BY_SCORES if one != "mask"])
def test_scores_are_enough(name: str) -> None:
    box = Scores(toy().scores, (1, *SIZE))
    check_method(made(name), box)
    assert bx.methods_for(box)[name] is None


@pytest.mark.parametrize("name", [*BY_GRADIENT, *BY_LAYERS, *BY_RULES])
def test_boxes_that_lack_what_is_needed_are_refused(name: str) -> None:
    box = Scores(toy().scores, (1, *SIZE))
    why = bx.methods_for(box)[name]
    assert why is not None
    with pytest.raises(NoGradientError, match=f"the method '{name.replace('+', '.')}'"):
        bx.explain(box, np.zeros((1, 1, *SIZE), np.float32), 0, method=name, progress=False)
    assert name in why


def explained(name: str, **settings: Any) -> bx.Explanation:
    image = np.random.default_rng(1).uniform(0.1, 0.4, (1, 1, *SIZE)).astype(np.float32)
    image[:, :, LOW[0] : HIGH[0], LOW[1] : HIGH[1]] = 0.9
    method = kind_of(name)(**{**QUICK.get(name, {}), **settings})
    return bx.explain(Bright(), image, 0, method=method, progress=False)


@pytest.mark.parametrize("name", [one for one in (*BY_SCORES, *BY_GRADIENT) if one != "center"])
def test_what_is_read_is_what_matters(name: str) -> None:
    found = explained(name)
    inside = box_region(SIZE, LOW, HIGH)
    saliency = found.saliency[0]
    assert saliency[inside].mean() > saliency[~inside].mean()
    assert inside[np.unravel_index(saliency.argmax(), SIZE)]


def test_occlusion_is_the_mean_fall_over_the_squares() -> None:
    found = explained("occlusion", side=4, stride=4, perturbation="low")
    score = float(found.score[0])
    # Squares of the read one's own grid: (6, 6) to (14, 14) meets three squares along each axis, half, whole, half.
    share = np.zeros(SIZE)
    for y in range(0, 24, 4):
        for x in range(0, 24, 4):
            rows, columns = (max(0, min(first + 4, 14) - max(first, 6)) for first in (y, x))
            share[y : y + 4, x : x + 4] = rows * columns / 64
    np.testing.assert_allclose(found.saliency[0], score * share, atol=1e-6)


def test_integrated_gradients_add_up_to_the_difference() -> None:
    for settings in ({}, {"perturbation": "constant"}, {"perturbation": "blur"}):
        found = explained("integrated-gradients", **settings)
        assert found.attribution is not None
        box, images = Bright(), found.images
        chosen = kind_of("integrated-gradients")(**settings).chosen()
        gone = np.asarray(chosen.levels(images, box.spec, 0)[0])
        difference = box.scores(images)[0, 0] - box.scores(gone)[0, 0]
        assert found.attribution.sum() == pytest.approx(difference, abs=1e-5)
    blurred = explained("blur-integrated-gradients", steps=40)
    assert blurred.attribution is not None
    wide = kind_of("blur-integrated-gradients")(steps=40).chosen().levels(blurred.images, Bright.spec, 0)[0]
    fall = blurred.score[0] - Bright().scores(np.asarray(wide))[0, 0]
    assert blurred.attribution.sum() == pytest.approx(fall, abs=1e-5)


@pytest.mark.parametrize("samples", [100, 5000])
def test_shapley_values_of_a_sum_are_its_terms(samples: int) -> None:
    # Each segment adds what its own pixels do, in whatever order: by drawn orders and exactly.
    found = explained("shapley", segments=9, samples=samples, perturbation="low")
    (own,) = segments_of(found.images, 9, (0.0, 1.0))
    terms = found.images[0, 0] * Bright.inside / Bright.inside.sum()
    expected = np.bincount(own.ravel(), terms.ravel())[own]
    np.testing.assert_allclose(found.saliency[0], expected, atol=1e-6)


def test_rise_is_its_formula() -> None:
    found = explained("rise", masks=40, perturbation="low")
    box, method = Bright(), Rise(masks=40)
    masks = RandomMasks.draw(method, SIZE, 0).masks(slice(0, 40))
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks.mean() == pytest.approx(0.5, abs=0.05)
    scores = box.scores(found.images * masks[:, None])[:, 0]
    expected = np.tensordot(scores, masks, 1) / (40 * 0.5) - scores.mean() * masks.mean(axis=0) / 0.5
    np.testing.assert_allclose(found.saliency[0], expected, atol=1e-5)


def test_noise_of_smoothgrad_changes_no_linear_score() -> None:
    plain, smooth = explained("gradient"), explained("smoothgrad")
    np.testing.assert_allclose(smooth.saliency, plain.saliency, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Occlusion, {"side": 0}),
        (Occlusion, {"stride": 1.5}),
        (Occlusion, {"side": 4, "stride": 8}),
        (Rise, {"masks": 0}),
        (Rise, {"kept": 1.0}),
        (Lime, {"segments": 1}),
        (Lime, {"width": 0.0}),
        (Shapley, {"samples": 10}),
        (SegmentGraying, {"segments": 1}),
        (SmoothGrad, {"noise": -1.0}),
        (IntegratedGradients, {"steps": 0}),
        (IntegratedGradients, {"space": "output"}),
        (IntegratedGradients, {"perturbation": "fog"}),
        (ExtremalPerturbation, {"area": 1.0}),
        (ExtremalPerturbation, {"learning_rate": 0.0}),
    ],
)
def test_settings_out_of_range(kind: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        kind(**settings)


def test_an_unknown_method_or_setting_names_near_ones() -> None:
    image = np.zeros((1, 1, *SIZE), np.float32)
    with pytest.raises(InputError, match="did you mean 'grad-cam'"):
        bx.explain(toy(), image, 0, method="gradcam", progress=False)
    with pytest.raises(InputError, match="did you mean masks="):
        bx.explain(toy(), image, 0, method="rise", mask=5, progress=False)


def test_a_score_that_is_none_fails_its_row_alone() -> None:
    class Torn(Bright):
        def scores(self, images: Any) -> Any:
            dark = (images[:, 0] == 0.5).mean(axis=(1, 2)) > 0.01
            return np.where(dark & (images[:, 0, 0, 0] > 0.9), np.nan, images[:, 0].mean(axis=(1, 2)))[:, None]

    images = np.full((2, 1, *SIZE), 0.2, np.float32)
    images[1, 0, 0, 0] = 0.95
    for name in ("lime", "occlusion", "segment-graying"):
        found = bx.explain(Torn(), images, 0, method=made(name), progress=False)
        assert [one.failed for one in found.outcome] == [False, True]
        assert "not finite" in found.outcome[1].message


def test_superpixels_of_grey_images_follow_what_is_in_them() -> None:
    image = np.zeros((1, 1, 40, 40), np.float32)
    image[:, :, 7:23, 11:31] = 1.0
    (labels,) = segments_of(image, 16, (0.0, 1.0))
    inside = np.zeros((40, 40), bool)
    inside[7:23, 11:31] = True
    shares = [inside[labels == part].mean() for part in np.unique(labels)]
    assert all(share < 0.05 or share > 0.95 for share in shares)


@pytest.mark.parametrize("channels", [1, 3])
def test_busy_images_have_as_many_superpixels_as_plain_ones(channels: int) -> None:
    # By likeness of colour alone, noise falls into crumbs that are then joined to a single part.
    noise = np.random.default_rng(0).normal(0.5, 0.5, (2, channels, 48, 48)).clip(0, 1).astype(np.float32)
    for labels in segments_of(noise, 12, (0.0, 1.0)):
        assert 6 <= len(np.unique(labels)) <= 12


def test_a_perturbation_that_is_an_object_is_recorded_by_name_and_settings() -> None:
    found = explained("occlusion", perturbation=bx.Blur(5.0))
    assert found.perturbation == "blur"
    told = found.provenance.settings
    assert told["perturbation"] == "blur"
    assert told["perturbation_settings"] == {"sigma": 5.0, "levels_count": 2}
    json.dumps(found.to_dict())
    with pytest.raises(InputError, match="This is no perturbation"):
        Occlusion(perturbation={"sigma": 5.0})  # type: ignore[arg-type]
