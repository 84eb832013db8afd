"""What all relations of the catalogue have in common."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.rules.relations import (
    CATALOGUE,
    Brightness,
    Contrast,
    Crop,
    GaussianBlur,
    GaussianNoise,
    GreyScale,
    HorizontalFlip,
    Hue,
    Jpeg,
    Occlusion,
    Relation,
    Resolution,
    Rotation,
    Saturation,
    Scale,
    Translation,
    relations_for,
    relations_named,
)
from blackbox_explain.rules.serialization import Saved, from_dict
from tests.rules.pictures import BOUNDS, Array, done, noise, photo

ALL = relations_named(tuple(CATALOGUE))


def amounts(relation: Relation) -> list[float]:
    levels = relation.levels.tolist()
    return [*levels, *(-level for level in levels)] if relation.signed else levels


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_transformed_images_are_floats_in_the_bounds_and_the_original_stays(
    relation: Relation, bounds: tuple[float, float]
) -> None:
    low, high = bounds
    images = (np.stack([photo(), noise((3, 64, 64))]) * (high - low) + low).astype(np.float32)
    before = images.copy()
    middle, last = relation.levels[[len(relation.levels) // 2, -1]]
    for amount in (0.0, middle, last, -last if relation.signed else 0.0):
        generators = [np.random.default_rng(row) for row in range(2)]
        made = relation.transform(images, np.full(2, amount), InputSpec((3, 64, 64), bounds), generators)
        assert made.dtype == np.float32
        assert made.shape == images.shape
        assert made.min() >= low
        assert made.max() <= high
        assert np.array_equal(images, before)
        assert np.array_equal(made, images) == (amount == 0)
        assert not np.shares_memory(made, images)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("bounds", BOUNDS[1:])
def test_what_is_done_does_not_depend_on_the_units_of_pixels(relation: Relation, bounds: tuple[float, float]) -> None:
    low, high = bounds
    amount = relation.levels[len(relation.levels) // 2]
    plain = done(relation, photo(), amount)
    other = done(relation, photo() * (high - low) + low, amount, bounds=bounds)
    # A value halfway between two bytes may fall to either side, in a JPEG file alone.
    assert np.abs((other - low) / (high - low) - plain).max() < (0.05 if relation.name == "jpeg" else 1e-5)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_an_image_is_transformed_alike_in_any_company(relation: Relation) -> None:
    images = np.stack([photo(), noise((3, 64, 64)), np.zeros((3, 64, 64), np.float32)])
    strengths = relation.levels[[0, -1, len(relation.levels) // 2]]
    spec = InputSpec((3, 64, 64))
    together = relation.transform(images, strengths, spec, [np.random.default_rng(row) for row in range(3)])
    for row in range(3):
        alone = relation.transform(images[[row]], strengths[[row]], spec, [np.random.default_rng(row)])
        assert np.array_equal(alone[0], together[row])


@pytest.mark.parametrize("relation", [one for one in ALL if len(one.levels) > 1], ids=lambda one: one.name)
def test_more_of_it_is_further_from_the_original_and_the_range_goes_from_hardly_to_badly(relation: Relation) -> None:
    image = photo(112)
    few = relation.levels[[0, 1, len(relation.levels) // 4, len(relation.levels) // 2, -1]]
    ways = (1, -1) if relation.signed else (1,)
    # Far enough away, what lies at a place has nothing to do any more with what lay there.
    far = [
        np.mean(
            [np.abs(done(relation, image, way * theta, seed=seed) - image).mean() for way in ways for seed in range(8)]
        )
        for theta in few
    ]
    grows = far[:3] if relation.name in ("scale", "translation", "crop", "rotation") else far
    assert np.all(np.diff(grows) > 0), far
    assert far[0] < 0.05
    assert far[-1] > 4 * far[0]


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_relation_is_known_by_its_name_and_has_a_range_worth_searching(relation: Relation) -> None:
    words = "".join(word.capitalize() for word in relation.name.split("-"))
    assert type(relation).__name__ == words
    assert relation.levels[0] == relation.step
    assert relation.levels[-1] == pytest.approx(relation.largest)
    assert len(relation.levels) == 1 or 10 <= len(relation.levels) <= 60
    assert np.all(np.diff(relation.levels) > 0)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_relation_is_saved_and_restored_with_its_range(relation: Relation) -> None:
    assert from_dict(json.loads(json.dumps(relation.to_dict()))) == relation
    if len(relation.levels) > 1:
        other = type(relation)(largest=relation.step * 4, step=relation.step * 2)
        assert from_dict(json.loads(json.dumps(other.to_dict()))) == other != relation


def test_borders_and_fills_are_saved() -> None:
    for relation in (Rotation(180, 3, border="mean"), Occlusion(fill="low")):
        assert from_dict(relation.to_dict()) == relation
    with pytest.raises(InputError, match="no such border"):
        from_dict(Rotation().to_dict() | {"border": "black"})


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_strength_out_of_range_is_refused(relation: Relation) -> None:
    for theta in relation.levels:
        relation.check_theta(theta)
    for theta in (0.0, -relation.step, relation.step / 2, relation.largest * 1.01, np.nan):
        with pytest.raises(InputError, match=f"out of the range of the relation {relation.name}"):
            relation.check_theta(theta)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rotation(181, 1),
        lambda: Rotation(10, 11),
        lambda: Rotation(10, 0),
        lambda: Rotation(np.nan, 1),
        lambda: GaussianBlur(np.inf, 1),
        lambda: HorizontalFlip(1, 0.5),
        lambda: Jpeg(50, 2.5),
        lambda: Crop(100, 1),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(InputError, match="no range of the relation"):
        make()


def test_levels_end_where_the_range_does() -> None:
    assert Rotation(45, 2).levels.tolist() == list(range(2, 45, 2))
    assert Resolution(0.3, 0.1).levels.tolist() == [0.1, 0.2, 0.3]
    assert HorizontalFlip().levels.tolist() == [1]


def test_unknown_choices_are_refused() -> None:
    for cls in (Rotation, Translation, Scale):
        with pytest.raises(InputError, match=r"no such border.*'reflect', 'edge', 'mean'"):
            cls(border="black")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such fill"):
        Occlusion(fill="pink")  # type: ignore[arg-type]


def test_relations_are_found_by_name() -> None:
    assert relations_named(["hue", "jpeg"]) == (Hue(), Jpeg())
    with pytest.raises(InputError, match=r"(?s)no such relation.*'rotatoin'.*occlusion.*[Tt]ry: rotation"):
        relations_named(["hue", "rotatoin"])


def test_a_relation_says_which_images_it_fits() -> None:
    assert relations_for(InputSpec((3, 8, 8))) == ALL
    colours = {"saturation", "hue", "grey-scale"}
    assert {one.name for one in ALL} - {one.name for one in relations_for(InputSpec((1, 8, 8)))} == colours
    assert {one.name for one in relations_for(InputSpec((3, 8, 8)))} - {
        one.name for one in relations_for(InputSpec((4, 8, 8)))
    } == colours | {"jpeg"}
    anything = {"translation", "brightness", "contrast", "gaussian-blur", "gaussian-noise", "occlusion"}
    for shape in ((3, 50), (1, 6, 7, 8)):
        spec = InputSpec(shape)
        assert {one.name for one in relations_for(spec)} == anything
        for relation in ALL:
            images = noise((1, *shape))
            if relation.name in anything:
                made = relation.transform(images, relation.levels[[-1]], spec, [np.random.default_rng(0)])
                assert made.shape == images.shape
                assert np.abs(made - images).max() > 1e-3
            else:
                with pytest.raises(InputError, match=f"The relation {relation.name} does not fit"):
                    relation.transform(images, relation.levels[[-1]], spec, [np.random.default_rng(0)])


def test_a_relation_that_changes_the_shape_is_refused() -> None:
    class Half(Relation):
        name = "half"

        def phrase(self, theta: float) -> str:
            return "half is gone"

        def transform_one(self, image: Array, amount: float, spec: InputSpec, generator: np.random.Generator) -> Array:
            return image[..., ::2]

    try:
        with pytest.raises(ModelError, match="half changes the shape"):
            done(Half(), photo(), 1)
    finally:
        del Saved.kinds["Half"]


@pytest.mark.parametrize(
    ("relation", "theta", "phrase"),
    [
        (Rotation(), 13, "the image is rotated by at most 13°"),
        (Translation(), 10, "the image is shifted by at most 10 % of its side"),
        (Scale(), 20, "the image is enlarged or shrunk by a factor of at most 1.2"),
        (HorizontalFlip(), 1, "the image is flipped left to right"),
        (Crop(), 20, "the image is cropped to at least 80 % of its width and height"),
        (Brightness(), 5, "the brightness is raised or lowered by at most 5 % of its range"),
        (Contrast(), 30, "the contrast is raised or lowered by at most 30 %"),
        (Saturation(), 30, "the saturation is raised or lowered by at most 30 %"),
        (Hue(), 60, "every hue is turned by at most 60°"),
        (GreyScale(), 1, "the image is turned into shades of grey"),
        (GaussianBlur(), 1, "the image is blurred by a Gaussian with a σ of at most 1 pixel at a side of 224"),
        (GaussianBlur(), 2.5, "the image is blurred by a Gaussian with a σ of at most 2.5 pixels at a side of 224"),
        (GaussianNoise(), 3, "Gaussian noise is added with a σ of at most 3 % of the range"),
        (Jpeg(), 60, "the image is compressed as JPEG of quality 40 or better"),
        (Resolution(), 2, "the image keeps at least a quarter of its resolution"),
        (Resolution(), 1.5, "the image keeps at least 35 % of its resolution"),
        (Occlusion(), 20, "a square of at most 20 % of the image's side is covered"),
    ],
)
def test_a_relation_says_in_english_what_it_does(relation: Relation, theta: float, phrase: str) -> None:
    assert relation.phrase(theta) == phrase


@pytest.mark.parametrize("relation", [GaussianBlur(), Occlusion(), Translation()], ids=lambda one: one.name)
def test_signals_laid_out_as_images_change_as_signals_do(relation: Relation) -> None:
    signal = np.random.default_rng(0).random((1, 1, 128)).astype(np.float32)
    theta, draw = float(relation.levels[-1]) / 2, np.random.default_rng
    flat = relation.transform_one(signal[0], theta, InputSpec((1, 128)), draw(0))
    laid_out = relation.transform_one(signal, theta, InputSpec((1, 1, 128)), draw(0))
    changed = np.abs(laid_out - signal).max(), np.mean(laid_out != signal)
    assert changed[0] > 0.1
    assert changed[1] > 0.2
    assert np.mean(flat != signal[0]) > 0.2
