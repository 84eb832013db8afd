"""The saliency of parts: means in windows by hand, at the edges, and what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_explain.data.photos import Photo
from blackbox_explain.errors import InputError
from blackbox_explain.metrics.marked import PartSaliency
from tests.metrics.drawn import drawn, value_of

MAP = np.arange(100.0).reshape(1, 10, 10)
"""Whose scaled value in row r and column c is (10 r + c) / 99."""


@pytest.mark.parametrize(
    ("points", "window", "mean"),
    [
        ([(4.5, 3.5)], 5, 34 / 99),
        ([(4.5, 3.5)], 1, 34 / 99),
        ([(4.0, 3.0)], 1, 34 / 99),  # the corner of a pixel belongs to it
        ([(4.5, 3.5), (5.5, 7.5)], 3, (34 + 75) / 2 / 99),
        ([(0.5, 0.5)], 3, (0 + 1 + 10 + 11) / 4 / 99),
        ([(9.9, 9.9)], 3, (88 + 89 + 98 + 99) / 4 / 99),
    ],
)
def test_means_by_hand(points: Any, window: int, mean: float) -> None:
    np.testing.assert_allclose(value_of(PartSaliency([{"eyes": points}], "eyes", window), drawn(MAP)), mean)


def test_the_ratio_of_two_parts() -> None:
    points = [{"eyes": [(5.5, 7.5)], "feet": [(5.5, 2.5)]}]
    eyes, feet = (value_of(PartSaliency(points, part), drawn(MAP)) for part in ("eyes", "feet"))
    np.testing.assert_allclose(eyes / feet, 75 / 25)


def test_points_are_in_pixels_of_the_photo() -> None:
    photo = Photo("cat.jpg", np.zeros((200, 400, 3), np.uint8), (100.0, 0.0, 300.0, 200.0))
    explained = drawn(MAP, [photo])
    # The middle of row 3, column 4 is at x = 100 + 4.5 · 20, y = 3.5 · 20.
    assert value_of(PartSaliency({"cat.jpg": {"eyes": [(190, 70)]}}), explained) == pytest.approx(34 / 99)
    outside = PartSaliency({"cat.jpg": {"eyes": [(190, 70), (99, 70)], "feet": [(301, 70)]}})
    assert value_of(outside, explained) == pytest.approx(34 / 99)
    assert np.isnan(value_of(PartSaliency({"cat.jpg": {"feet": [(301, 70)]}}, "feet"), explained))
    assert np.isnan(value_of(PartSaliency({"dog.jpg": {"eyes": [(190, 70)]}}), explained))


def test_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="compares with points"):
        PartSaliency()
    with pytest.raises(InputError, match=r"No photo has this part. Got part='eyes'; expected feet, tail"):
        PartSaliency([{"tail": [(1, 1)]}, {"feet": [(1, 1)]}])
    for window in (0, 4, 2.5):
        with pytest.raises(InputError, match=r"A window has a middle|window of 'part-saliency' is out of range"):
            PartSaliency([{"eyes": [(1, 1)]}], window=window)  # type: ignore[arg-type]
