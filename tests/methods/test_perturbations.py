"""One family of what stands in for deleted pixels: by name, as objects, in masks and in rules."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.metrics.max_sensitivity import MaxSensitivity
from blackbox_explain.perturbations import NAMES, deleted, level_set, named
from blackbox_explain.rules import Deletion, ObjectDecides, Occlusion
from blackbox_explain.rules.serialization import from_dict
from tests.toys import Regions, box_region

SPEC = bx.InputSpec((3, 6, 6), bounds=(-1.0, 3.0))
IMAGES = np.random.default_rng(0).uniform(-1, 3, (2, 3, 6, 6))


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
    assert all(one.held for one in certificate.rows[0].checks), certificate.sentence
    assert from_dict(Deletion(by=name).to_dict()) == Deletion(by=name)


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
    for rule, field in ((Deletion(by="constant"), "by"), (Occlusion(), "fill")):
        old = json.loads(json.dumps(rule.to_dict())) | {field: "mean"}
        assert from_dict(old) == rule
    old = json.loads(json.dumps(ObjectDecides().to_dict())) | {"ways": ["blur", "mean", "noise"]}
    assert from_dict(old) == ObjectDecides()


def test_names_and_colours_that_are_none() -> None:
    with pytest.raises(InputError, match=r"no such perturbation.*'blurr'.*'blur'"):
        named("blurr")
    with pytest.raises(InputError, match=r"no such colour.*'high'"):
        bx.Constant("high").levels(IMAGES, SPEC, 0)  # type: ignore[arg-type]
