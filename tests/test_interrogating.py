"""Interrogation: what the score is without a region, and with nothing but it, of boxes and of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.errors import InputError, TargetError
from tests.toys import Linear, Regions, box_region


def test_scores_are_those_known_by_hand() -> None:
    draw = np.random.default_rng(0)
    weights, image = draw.normal(size=(1, 6, 7)), draw.uniform(size=(1, 6, 7))
    box = Linear(weights)
    region = box_region((6, 7), (1, 2), (4, 6))
    found = bx.interrogate(box, image, region, 0, perturbation="zero")
    products = weights[0] * image[0]
    assert found.score == pytest.approx(products.sum())
    assert found.without == pytest.approx([products[~region].sum()])
    assert found.alone == pytest.approx([products[region].sum()])
    assert found.score_perturbed == pytest.approx(0)
    assert found.share == pytest.approx([12 / 42])
    # The same region as a box: left, top, right, bottom.
    boxed = bx.interrogate(box, image, [(2, 1, 6, 4)], 0, perturbation="zero")
    assert np.array_equal(boxed.regions, found.regions)
    assert boxed.without == pytest.approx(found.without)


def test_two_sufficient_regions_are_each_enough_alone() -> None:
    left, right = box_region((16, 16), (2, 2), (8, 6)), box_region((16, 16), (2, 10), (8, 14))
    box = Regions([left, right])
    found = bx.interrogate(box, box.image(), np.stack([left, right, left | right]), "texture", perturbation="middle")
    assert found.alone == pytest.approx([1, 1, 1])
    assert found.without == pytest.approx([1, 1, 0])
    assert found.predictions[2].before[0][0] == "nothing"
    assert "18.8%" in found.summary()
    assert [row["alone"] for row in found.to_dict()["regions"]] == pytest.approx([1, 1, 1])


def test_boxes_are_in_pixels_of_the_photo(tmp_path: Path) -> None:
    Image.new("RGB", (64, 32), "grey").save(tmp_path / "wide.png")
    box = Linear(np.ones((3, 8, 8)))
    images = bx.load_images([tmp_path / "wide.png"], box.spec, fit="crop")
    # The model reads the middle 32 × 32 pixels, at a quarter of their size.
    found = bx.interrogate(box, images, [(16, 0, 32, 32), (0, 0, 24, 16)], 0)
    assert np.array_equal(found.regions[0], box_region((8, 8), (0, 0), (8, 4)))
    assert np.array_equal(found.regions[1], box_region((8, 8), (0, 0), (4, 2)))
    with pytest.raises(InputError, match="outside of what the model reads"):
        bx.interrogate(box, images, [(0, 0, 10, 10)], 0)
    with pytest.raises(InputError, match=r"try: images\[0:1\]"):
        bx.interrogate(box, images[0], [(16, 0, 32, 32)], 0)
    assert len(bx.interrogate(box, images[0], np.ones((1, 8, 8)), 0)) == 1


def test_an_array_of_the_size_of_a_narrow_image_is_a_mask() -> None:
    box, mask = Linear(np.ones((1, 3, 4))), np.zeros((3, 4))
    mask[1] = 1
    assert np.array_equal(bx.interrogate(box, np.ones((1, 3, 4)), mask, 0).regions[0], mask > 0)
    assert bx.interrogate(box, np.ones((1, 3, 4)), [(0, 0, 2, 2)] * 3, 0).share == pytest.approx([1 / 3] * 3)


def test_the_cup_is_what_the_espresso_hangs_on(default_box: bx.BlackBox) -> None:
    images = bx.load_images([samples.COFFEE], default_box.spec)
    width, height = images.photos[0].size
    cup = (0.28 * width, 0.05 * height, 0.72 * width, 0.75 * height)
    corner = (0.2 * width, 0.8 * height, 0.35 * width, height)
    found = bx.interrogate(default_box, images, [cup, corner], "espresso")
    assert found.without[0] < 0.2 < 0.5 < found.alone[0]
    assert found.without[1] > 0.8


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([(3, 1, 3, 5)], "This is no box"),
        (np.zeros((2, 5, 5)), "These are no regions"),
        ([], "These are no regions"),
        ([(0, 0, np.nan, 3)], "This is no box"),
        ([(0, 0, 3), (0, 0, 3, 3)], "rows of different lengths"),
        (np.full((1, 8, 8), np.nan), "masks that hold NaN"),
        ([("a", "b", "c", "d")], "These are no regions"),
    ],
)
def test_wrong_regions_are_named(regions: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bx.interrogate(Linear(np.ones((1, 8, 8))), np.zeros((1, 8, 8)), regions)  # type: ignore[arg-type]


def test_one_image_and_a_class_that_there_is() -> None:
    box = Linear(np.ones((1, 8, 8)))
    with pytest.raises(InputError, match="One image is interrogated at a time"):
        bx.interrogate(box, np.zeros((2, 1, 8, 8)), [(0, 0, 4, 4)])
    with pytest.raises(TargetError):
        bx.interrogate(box, np.zeros((1, 8, 8)), [(0, 0, 4, 4)], 7)
