"""The pointing game: hits and misses by hand, photos that were cropped, difficult ones, and what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.data.objects import Object
from blackbox_explain.data.photos import Photo
from blackbox_explain.errors import InputError, NotMeasurableError
from blackbox_explain.metrics.marked import PointingGame
from tests.metrics.drawn import drawn, value_of, values_of
from tests.toys import Linear

MAP = np.zeros((1, 10, 10))
MAP[0, 4, 6] = 1.0
"""Whose most salient pixel has its centre at x = 6.5, y = 4.5."""


def photo(name: str, width: int, height: int, part: tuple[float, float, float, float]) -> Photo:
    return Photo(name, np.zeros((height, width, 3), np.uint8), part)


@pytest.mark.parametrize(
    ("box", "tolerance", "hit"),
    [
        ((6, 4, 7, 5), 0, 1.0),
        ((0, 0, 6, 10), 0, 0.0),
        ((0, 0, 6, 10), 0.5, 1.0),
        ((0, 0, 6, 10), 0.4, 0.0),
        # From the corner (3.5, 0.5) it is 3 across and 4 down.
        ((0, 0, 3.5, 0.5), 5, 1.0),
        ((0, 0, 3.5, 0.5), 4.9, 0.0),
    ],
)
def test_hits_by_hand(box: Any, tolerance: float, hit: float) -> None:
    assert value_of(PointingGame([[Object(box)]], tolerance), drawn(MAP)) == hit


def test_any_box_of_the_class_counts_and_of_equal_pixels_the_first() -> None:
    two = MAP.copy()
    two[0, 9, 9] = 1.0
    objects = [[Object((8, 8, 10, 10)), Object((0, 0, 1, 1))]]
    assert value_of(PointingGame(objects, 0), drawn(two)) == 0.0
    assert value_of(PointingGame([[*objects[0], Object((6, 4, 7, 5))]], 0), drawn(two)) == 1.0


def test_of_a_square_of_equal_pixels_the_middle_counts() -> None:
    square = np.zeros((1, 10, 10))
    square[0, 2:7, 3:8] = 1.0
    assert value_of(PointingGame([[Object((5, 4, 6, 5))]], 0), drawn(square)) == 1.0
    assert value_of(PointingGame([[Object((3, 2, 4, 3))]], 0), drawn(square)) == 0.0


def test_boxes_are_in_pixels_of_the_photo_and_so_is_the_tolerance() -> None:
    # Of a photo of 400 by 200 pixels the model reads the middle: the pixel is at x = 100 + 6.5 · 20, y = 4.5 · 20.
    explained = drawn(MAP, [photo("cat.jpg", 400, 200, (100.0, 0.0, 300.0, 200.0))])
    exact = Object((229.9, 89.9, 230.1, 90.1))
    assert value_of(PointingGame({"cat.jpg": [exact]}, 0), explained) == 1.0
    assert value_of(PointingGame({"cat.jpg": [Object((215, 80, 216, 100))]}), explained) == 1.0
    assert value_of(PointingGame({"cat.jpg": [Object((214, 80, 214.9, 100))]}), explained) == 0.0
    # A photo that was made smaller for the result is still measured in its own pixels.
    smaller = Photo("cat.jpg", np.zeros((20, 40, 3), np.uint8), (10.0, 0.0, 30.0, 20.0), (400, 200))
    assert value_of(PointingGame({"cat.jpg": [exact]}, 0), drawn(MAP, [smaller])) == 1.0


def test_photos_are_found_by_name_whatever_the_rows() -> None:
    maps = np.repeat(MAP, 4, axis=0)
    maps[1] = np.flip(maps[1])
    part = (0.0, 0.0, 10.0, 10.0)
    photos = [photo(name, 10, 10, part) for name in ("a.jpg", "b.jpg", "c.jpg")]
    explained = drawn(maps, [*photos, None])
    objects = {"a.jpg": [Object((6, 4, 7, 5))], "b": [Object((6, 4, 7, 5))]}
    metric = PointingGame(objects, 0)
    assert values_of(metric, explained)[:2] == [1.0, 0.0]  # "b" names its photo without the suffix
    assert np.isnan(values_of(metric, explained)[2:]).all()
    assert values_of(metric, explained[[1, 0]]) == [0.0, 1.0]


def test_only_boxes_of_the_class_count() -> None:
    box = Linear(np.ones((1, 10, 10)))
    object.__setattr__(box.spec, "class_names", ("cat, tabby", "dog"))
    here, there = (6, 4, 7, 5), (0, 0, 2, 2)
    explained = drawn(MAP, box=box)

    def hit(*objects: Object, **settings: Any) -> float:
        return value_of(PointingGame([objects], 0, **settings), explained, box)

    assert hit(Object(here, "tabby"), Object(there, "dog")) == 1.0
    assert hit(Object(here, "dog"), Object(there, "tabby")) == 0.0
    assert hit(Object(here, 1), Object(there, 0)) == 0.0
    assert np.isnan(hit(Object(here, "dog")))
    assert np.isnan(hit(Object(here, "a class that the model lacks")))
    assert hit(Object(here, "animal"), label="animal") == 1.0


def test_difficult_photos_are_small_objects_in_company() -> None:
    box = Linear(np.ones((1, 10, 10)))
    small, large = Object((4, 4, 8, 8), 0), Object((0, 0, 5, 5), 0)
    other = Object((0, 0, 1, 1), 1)

    def hit(*objects: Object) -> float:
        return value_of(PointingGame([objects], 0, difficult=True), drawn(MAP), box)

    assert hit(small, other) == 1.0
    assert np.isnan(hit(small))
    assert np.isnan(hit(large, other))  # a quarter of the photo is not below a quarter
    assert np.isnan(hit(small, Object((0, 0, 3, 3), 0), other))
    assert hit(small, Object((4, 4, 8, 7), 0), other) == 1.0  # where boxes overlap, their area counts once


def test_what_the_model_does_not_see_is_not_measured() -> None:
    explained = drawn(MAP, [photo("cat.jpg", 400, 200, (100.0, 0.0, 300.0, 200.0))])
    assert np.isnan(value_of(PointingGame({"cat.jpg": [Object((0, 0, 100, 200))]}), explained))


def test_the_model_is_not_asked() -> None:
    found = bx.evaluate(Linear(np.ones((1, 10, 10))), drawn(MAP), [PointingGame([[Object((0, 0, 1, 1))]])])
    assert found.measurements[0].queries.tolist() == [0]


def test_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"compares with objects that people marked.*PointingGame\(objects=...\)"):
        PointingGame()
    with pytest.raises(InputError, match="These are no objects"):
        PointingGame("boxes.csv")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="out of range"):
        PointingGame([[]], tolerance=-1)
    with pytest.raises(InputError, match=r"do not match the images. Got objects for 2 images; expected 1"):
        value_of(PointingGame([[], []]), drawn(MAP))
    with pytest.raises(NotMeasurableError, match="the images come from none"):
        value_of(PointingGame({"cat.jpg": []}), drawn(MAP))
    with pytest.raises(InputError, match="An object of row 0: this box is outside of its photo"):
        value_of(PointingGame([[Object((0, 0, 12, 5))]]), drawn(MAP))


def test_what_one_method_lacks_another_has() -> None:
    named = drawn(MAP, [photo("cat.jpg", 10, 10, (0.0, 0.0, 10.0, 10.0))])
    metric = PointingGame({"cat.jpg": [Object((6, 4, 7, 5))]}, 0)
    box = Linear(np.ones((1, 10, 10)))
    found = bx.evaluate(box, {"with photos": named, "without": drawn(MAP)}, [metric], progress=False)
    assert found["with photos", "pointing-game"].values.tolist() == [1.0]
    assert isinstance(found["without", "pointing-game"].failures[0], NotMeasurableError)
