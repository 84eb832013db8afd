"""One family of what stands in for deleted pixels: by name, as objects, in masks and in rules."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.metrics.deletion_insertion import Deletion
from blackbox_explain.metrics.max_sensitivity import MaxSensitivity
from blackbox_explain.perturbations import NAMES, deleted, level_set, named
from blackbox_explain.perturbations.deletion import ranks
from blackbox_explain.perturbations.levels import levels_of, taken
from blackbox_explain.perturbations.named import record_of
from blackbox_explain.rules import Deletion as DeletionRelation
from blackbox_explain.rules import ObjectDecides, Occlusion
from blackbox_explain.rules.serialization import from_dict
from tests.toys import Regions, box_region

SPEC = bx.InputSpec((3, 6, 6), bounds=(-1.0, 3.0))
IMAGES = np.random.default_rng(0).uniform(-1, 3, (2, 3, 6, 6))


class Grey:
    """Written with NumPy alone, whatever the model computes with."""

    def levels(self, images: Any, spec: Any, seed: int) -> Any:
        return np.stack([np.full_like(images, 0.5), images])

    def take(self, rows: Any) -> Grey:
        return self


class NoStack(Grey):
    def levels(self, images: Any, spec: Any, seed: int) -> Any:
        return images


@pytest.mark.parametrize(("name", "value"), [("zero", 0.0), ("middle", 1.0), ("low", -1.0)])
def test_colours_by_name(name: str, value: float) -> None:
    assert (named(name).levels(IMAGES, SPEC, 0)[0] == value).all()


def test_the_constant_is_the_mean_colour() -> None:
    gone = named("constant").levels(IMAGES, SPEC, 0)[0]
    np.testing.assert_allclose(gone[:, :, 0, 0], IMAGES.mean(axis=(2, 3)))


def test_hard_deletion_leaves_the_rest_untouched() -> None:
    regions = np.zeros((2, 6, 6), dtype=bool)
    regions[0, :3] = True
    found = deleted(IMAGES, regions, named("low"), SPEC)
    assert (found[0, :, :3] == -1).all()
    np.testing.assert_array_equal(found[0, :, 3:], IMAGES[0, :, 3:])
    np.testing.assert_array_equal(found[1], IMAGES[1])


def test_a_level_set_has_exactly_as_many_pixels() -> None:
    flat = np.zeros((4, 5))
    assert level_set(flat, 7).sum() == 7
    flat[2, 3] = 1
    assert level_set(flat, 1)[2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_taken_by_masks_and_rules(name: Any) -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    result = bx.explain(box, box.image(), 0, perturbation=name, steps=2, progress=False)
    assert result.perturbation == name
    certificate = bx.verify(result, box, progress=False)
    # Where perturbing lowers nothing, as zero and black do here, no region can be told by it.
    unknown = [one.claim for one in certificate.rows[0].checks if one.held is None]
    assert certificate.holds, certificate.sentence
    assert unknown == ["the region is the smallest that does what was asked"] * (name in ("zero", "low"))
    assert from_dict(DeletionRelation(by=name).to_dict()) == DeletionRelation(by=name)


@pytest.mark.parametrize("method", ["gradient", "center"])
@pytest.mark.parametrize("game", ["deletion", "preservation"])
def test_methods_without_such_settings_look_for_their_region_by_them(method: str, game: Any) -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    usual, other = (
        bx.explain(box, box.image(), 0, method=method, progress=False, **settings)
        for settings in ({}, {"game": game, "perturbation": "low"})
    )
    assert (usual.game, usual.perturbation, other.game, other.perturbation) == ("deletion", "blur", game, "low")
    np.testing.assert_array_equal(other.saliency, usual.saliency)
    kept = ~other.region if game == "deletion" else other.region
    # Outside of what is kept lies the lower end of the pixels, and the score of that is the one that is told.
    np.testing.assert_array_equal(other.region_images, np.where(kept[:, None], box.image(), 0))
    assert other.score_region[0] == pytest.approx(box.scores(other.region_images)[0, 0])
    again = bx.evaluate(box, {method: other}, {"it": MaxSensitivity(draws=1)}, progress=False)
    assert np.isfinite(again.measurements[0].values).all()


def test_methods_check_how_their_region_is_looked_for() -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    for wrong, said in (({"game": "both"}, r"game.*'both'.*'preservation'"), ({"perturbation": "blurr"}, "'blurr'")):
        with pytest.raises(InputError, match=said):
            bx.explain(box, box.image(), 0, method="center", progress=False, **wrong)


def test_what_earlier_versions_called_the_mean_colour_is_read() -> None:
    for rule, field in ((DeletionRelation(by="constant"), "by"), (Occlusion(), "fill")):
        old = json.loads(json.dumps(rule.to_dict())) | {field: "mean"}
        assert from_dict(old) == rule
    old = json.loads(json.dumps(ObjectDecides().to_dict())) | {"ways": ["blur", "mean", "noise"]}
    assert from_dict(old) == ObjectDecides()


def test_names_and_colours_that_are_none() -> None:
    with pytest.raises(InputError, match=r"no such perturbation.*'blurr'.*'blur'"):
        named("blurr")
    with pytest.raises(InputError, match=r"no such colour.*'high'"):
        bx.Constant("high").levels(IMAGES, SPEC, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["mask", "occlusion", "gradient"])
def test_one_of_your_own_is_given_numpy(method: str) -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    box = bx.wrap(network, shape=(1, 24, 24), activation="none")
    image = np.random.default_rng(0).random((1, 1, 24, 24), dtype=np.float32)
    own = bx.explain(box, image, 0, method=method, perturbation=Grey(), progress=False)
    usual = bx.explain(box, image, 0, method=method, perturbation="middle", progress=False)
    np.testing.assert_array_equal(own.region, usual.region)
    with pytest.raises(InputError, match="'NoStack' is broken"):
        bx.explain(box, image, 0, method=method, perturbation=NoStack(), progress=False)


@pytest.mark.parametrize(
    "perturbation",
    [bx.Constant(124.0), bx.Constant((0.5, 124.0, 0.5)), bx.Reference(np.full((1, 3, 6, 6), 90, dtype=np.uint8))],
)
def test_what_stands_in_for_pixels_keeps_to_their_bounds(perturbation: Any) -> None:
    with pytest.raises(InputError, match="leaves the bounds of pixel space"):
        taken(perturbation, np.arange(2), 2, SPEC)


def test_zero_is_taken_whatever_the_bounds() -> None:
    spec = bx.InputSpec((3, 6, 6), bounds=(1.0, 2.0))
    assert (taken(named("zero"), np.arange(2), 2, spec).levels(np.clip(IMAGES, 1, 2), spec, 0)[0] == 0).all()


def test_colours_as_the_layers_of_a_network_keep_them() -> None:
    assert bx.Constant(np.reshape([0.25, 0.5, 1.0], (1, 3, 1, 1))).value == (0.25, 0.5, 1.0)
    with pytest.raises(InputError, match=r"no such colour. Got shape \(2, 2\)"):
        bx.Constant(np.zeros((2, 2)))


class OfTorch(Grey):
    def levels(self, images: Any, spec: Any, seed: int) -> Any:
        return images.detach()


def test_levels_as_a_list_and_levels_of_another_library() -> None:
    class Listed(Grey):
        def levels(self, images: Any, spec: Any, seed: int) -> Any:
            return [np.full_like(images, 0.5), images]

    assert levels_of(Listed(), IMAGES, SPEC).shape == (2, *IMAGES.shape)
    with pytest.raises(InputError, match=r"expected levels\(\) of NumPy arrays"):
        levels_of(OfTorch(), IMAGES, SPEC)


def test_numbers_of_numpy_are_recorded_as_numbers() -> None:
    made = bx.Constant(np.array([0.25, 0.5, 1.0])), bx.Blur(np.float64(2)), bx.Noise(sigma=np.float64(0.1))
    assert [record_of(one) for one in made] == [
        {"value": [0.25, 0.5, 1.0]},
        {"sigma": 2.0, "levels_count": 2},
        {"distribution": "gaussian", "sigma": 0.1},
    ]
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    result = bx.explain(box, box.image(), 0, perturbation=bx.Constant(np.array([0.25])), steps=2, progress=False)
    assert bx.verify(result, box, progress=False).holds


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bx.Constant((0.1, "x")), "no such colour"),
        (lambda: bx.Constant(float("nan")), "no such colour"),
        (lambda: bx.Noise(sigma=-1), "no noise"),
        (lambda: bx.Blur("3"), "no blur"),
        (lambda: bx.Blur(3, 2.5), "no blur"),
    ],
)
def test_wrong_settings_are_told_when_they_are_made(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_class_is_no_perturbation() -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    with pytest.raises(InputError, match="This is no perturbation"):
        bx.explain(box, box.image(), perturbation=bx.Blur, progress=False)


def test_as_many_references_as_images() -> None:
    box = Regions([box_region((32, 32), (8, 8), (20, 20))])
    images = np.concatenate([box.image()] * 3)
    three, five = (bx.Reference(np.zeros((count, 1, 32, 32))) for count in (3, 5))
    with pytest.raises(InputError, match="Got 5; expected 1 or 3"):
        bx.explain(box, images, 0, method="occlusion", perturbation=five, progress=False)
    result = bx.explain(box, images, 0, method="gradient", progress=False)
    assert len(bx.evaluate(box, result, Deletion(three), progress=False).measurements[0].values) == 3
    with pytest.raises(InputError, match="Got 3; expected 1 or 2"):
        bx.evaluate(box, result[1:], Deletion(three), progress=False)


@pytest.mark.parametrize(
    "values", [[3.0, 1.0, 2.0], [1.0, 2.0, 2.0, 1.0, 2.0], [np.nan, 1.0, np.nan, -np.inf, np.inf], [0.0, -0.0, 0.0], []]
)
def test_ranks_are_those_of_a_stable_sort(values: list[float]) -> None:
    many = np.tile(values, 50)  # of few values every sort is stable
    for one in (np.asarray(values), many, many.reshape(5, -1)):
        falling = [np.inf if np.isnan(value) else -value for value in one.ravel()]
        last = [np.isnan(value) for value in one.ravel()]
        order = sorted(range(one.size), key=lambda place, last=last, falling=falling: (last[place], falling[place]))
        expected = np.empty(one.size, np.int64)
        expected[order] = np.arange(one.size)
        np.testing.assert_array_equal(ranks(one), expected.reshape(one.shape))
