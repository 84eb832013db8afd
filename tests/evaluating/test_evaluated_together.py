"""Several explanations in one call of `evaluate`: how they are given, and what speaks against comparing them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.metrics.deletion_insertion import Deletion
from tests.toys import Linear

BOX = Linear(np.asarray([[[4.0, 3.0], [2.0, 1.0]]]))
IMAGES = np.ones((3, 1, 2, 2)) * np.asarray([1.0, 0.5, 0.25])[:, None, None, None]
ZERO = [Deletion("zero")]


def by(method: str, rows: slice = slice(None)) -> bx.Explanation:
    return bx.explain(BOX, IMAGES[rows], 0, method=method, progress=False)


def test_a_sequence_is_named_by_its_methods() -> None:
    given = [by("gradient"), by("gradient-times-input")]
    found = bx.evaluate(BOX, given, ZERO, progress=False)
    named = bx.evaluate(BOX, {one.method: one for one in given}, ZERO, progress=False)
    assert found.to_dict() == named.to_dict()
    assert [one.method for one in found.measurements] == ["gradient", "gradient-times-input"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([by("gradient"), by("gradient")], "Two explanations are by one method.*'gradient'.*a name for each"),
        ([by("gradient"), "mask"], "This is no explanation. Got 'mask'"),
        ([None], "This is no explanation. Got None"),
        ({"mask": IMAGES}, "This is no explanation"),
        ("mask", "This is no explanation. Got 'mask'"),
        (None, "This is no explanation. Got None"),
        ([], "There are no explanations"),
        ({}, "There are no explanations"),
    ],
)
def test_what_cannot_be_told_apart_or_is_no_explanation_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bx.evaluate(BOX, given, ZERO, progress=False)


def test_warnings_are_in_the_result_its_table_and_its_dictionary() -> None:
    found = bx.evaluate(BOX, {"a": by("gradient"), "b": by("gradient", slice(0, 2))}, ZERO, progress=False)
    said = "a was measured on 3 photos, b on 2 of them: means of different photos are no comparison"
    assert said in found.warnings
    assert f"warning: {said}" in found.summary().splitlines()
    assert found.to_dict()["warnings"] == list(found.warnings)


def test_what_is_explained_twice_keeps_its_value_and_is_in_no_mean() -> None:
    bright = Linear(np.asarray([[[4.0, 3.0], [2.0, 1.0]]]), bias=1.0)
    images = IMAGES[[0, 1, 0]]
    twice = bx.explain(bright, images, 0, method="gradient", progress=False)
    found = bx.evaluate(bright, twice, ZERO, progress=False).measurements[0]
    once = bx.evaluate(bright, twice[:2], ZERO, progress=False).measurements[0]
    assert found.repeated == (2,)
    assert found.values[2] == found.values[0]
    assert (found.mean, found.low, found.high) == (once.mean, once.low, once.high)
    assert found.measured == found.distinct == 2
    assert found.counted.tolist() == [True, True, False]
