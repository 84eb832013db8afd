"""What speaks against comparing explanations: photos, classes, preprocessing, repeats and weak ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.data.photos import LoadedImages, Photo
from blackbox_explain.evaluating.pooling import pooled_rows, pooling_warnings, repeated_rows
from blackbox_explain.explanation.outcome import Outcome
from tests.toys import Linear

WEIGHTS = np.arange(1.0, 49.0).reshape(3, 4, 4)


def explained(rows: Sequence[int], method: str = "gradient", target: int = 0, shift: float = 0.0) -> bx.Explanation:
    """Explain photos by their numbers, all well; `shift` is another part of each."""
    photos = [Photo(f"{row}.jpg", np.full((8, 8, 3), row, np.uint8), (0.0, 0.0, 8.0, 8.0)) for row in rows]
    images = np.stack([np.full((3, 4, 4), 0.1 * (row + 1) + shift, np.float32) for row in rows])
    found = bx.explain(Linear(WEIGHTS), LoadedImages(images, photos), target, method=method, progress=False)
    return dataclasses.replace(found, outcome=(Outcome("ok"),) * len(found))


def warnings(**explanations: bx.Explanation) -> tuple[str, ...]:
    return pooling_warnings({name: pooled_rows(one) for name, one in explanations.items()})


def test_nothing_is_said_of_methods_that_explain_the_same() -> None:
    assert warnings(mask=explained([0, 1]), gradient=explained([1, 0], "gradient-times-input")) == ()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"mask": [0, 1, 2], "cam": [1]}, "mask was measured on 3 photos, cam on 1 of them"),
        ({"cam": [1], "mask": [0, 1, 2]}, "mask was measured on 3 photos, cam on 1 of them"),
        ({"mask": [0, 1], "cam": [2, 3]}, "mask was measured on 2 photos, cam on 2 others"),
        ({"mask": [0, 1, 2], "cam": [2, 3]}, "mask was measured on 3 photos, cam on 2, of which 1 is shared"),
        ({"mask": [0], "cam": [1], "lrp": [0]}, "mask was measured on 1 photo, cam on 1 other"),
    ],
)
def test_methods_measured_on_other_photos(rows: dict[str, list[int]], said: str) -> None:
    found = warnings(**{name: explained(own) for name, own in rows.items()})
    assert found == (f"{said}: means of different photos are no comparison",)


def test_a_metric_that_has_values_of_fewer_photos_for_one_method() -> None:
    groups = {name: pooled_rows(explained([0, 1, 2])) for name in ("mask", "cam", "lrp")}
    everything, few, none = np.ones(3, bool), np.asarray([True, False, True]), np.zeros(3, bool)
    measured = {
        "deletion": {"mask": everything, "cam": everything, "lrp": none},
        "transfer": {"mask": everything, "cam": few},
    }
    assert pooling_warnings(groups, measured) == (
        "transfer: mask was measured on 3 photos, cam on 2 of them: means of different photos are no comparison",
    )


def test_rows_that_failed_are_no_photos() -> None:
    one = explained([0, 1])
    failed = dataclasses.replace(one, outcome=(one.outcome[0], Outcome("failed", "out of memory")))
    assert "cam on 1 of them" in warnings(mask=one, cam=failed)[0]


def test_the_same_image_and_class_twice_by_one_method() -> None:
    one = explained([0, 1, 0])
    assert repeated_rows(pooled_rows(one)) == (2,)
    assert warnings(mask=one) == (
        "mask: 1 explanation is of an image and a class explained before, and in no mean: '0.jpg'",
    )
    # The first may have failed, and another class is another explanation.
    again = dataclasses.replace(one, outcome=(Outcome("failed", "why"), *one.outcome[1:]))
    assert repeated_rows(pooled_rows(again)) == ()
    assert repeated_rows((*pooled_rows(explained([0])), *pooled_rows(explained([0], target=1)))) == ()


def test_other_classes_by_other_methods() -> None:
    (said,) = warnings(mask=explained([0, 1]), cam=explained([0, 1], target=1))
    targets = [explained([0], target=target).target[0] for target in (0, 1)]
    assert said.startswith("2 photos were explained for different classes by different methods")
    assert said.endswith(f"'0.jpg' for {targets[0]!r} by mask, for {targets[1]!r} by cam")


def test_other_preprocessing_within_a_method_and_between_methods() -> None:
    rows = (*pooled_rows(explained([0, 1])), *pooled_rows(explained([1], shift=0.05)))
    assert pooling_warnings({"mask": rows}) == ("mask: photos under different preprocessing are in one mean: '1.jpg'",)
    assert warnings(mask=explained([0, 1]), cam=explained([0, 1], shift=0.05)) == (
        "methods saw photos under different preprocessing: '0.jpg', '1.jpg'",
    )
    one = explained([0])
    read = dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, reading={"mean": [0.5]}))
    assert warnings(mask=one, cam=read) == ("methods saw photos under different preprocessing: '0.jpg'",)


def test_images_without_photos_are_told_apart_by_their_pixels() -> None:
    bare = dataclasses.replace(explained([0, 1]), photos=None)
    assert warnings(mask=explained([0, 1]), cam=bare) == ()
    assert "cam on 1 of them" in warnings(mask=explained([0, 1]), cam=bare[[1]])[0]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (("", "why", ""), "1 of 3 explanations by mask is weak, that of '1.jpg': why"),
        (("why", "why", "why"), "3 of 3 explanations by mask are weak: why"),
        (("", "why", "other"), "2 of 3 explanations by mask are weak, such as that of '1.jpg': why"),
    ],
)
def test_weak_explanations(messages: tuple[str, ...], said: str) -> None:
    outcome: Any = tuple(Outcome("weak", message) if message else Outcome("ok") for message in messages)
    assert warnings(mask=dataclasses.replace(explained([0, 1, 2]), outcome=outcome)) == (said,)
