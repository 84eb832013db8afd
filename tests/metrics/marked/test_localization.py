"""Localisation by boxes: the three thresholds by hand, the IoU, α tuned on held-out images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_explain.data.objects import Object
from blackbox_explain.errors import InputError, NotMeasurableError
from blackbox_explain.metrics.marked import Localization
from tests.metrics.drawn import drawn, value_of
from tests.toys import Linear

MAP = np.zeros((8, 8))
MAP[2:4, 1:5] = 0.5  # eight pixels that hold 4 of 7
MAP[2, 2:5] = 1.0  # three of them 3 of 5.5
WHERE = [[Object((0, 0, 8, 8))]]


@pytest.mark.parametrize(
    ("threshold", "alpha", "box"),
    [
        ("value", 0.0, (0, 0, 8, 8)),
        ("value", 0.4, (1, 2, 5, 4)),
        ("value", 0.6, (2, 2, 5, 3)),
        ("energy", 0.0, (2, 2, 3, 3)),
        ("energy", 3 / 5.5, (2, 2, 5, 3)),
        # The first of the equal pixels is at the left end of the same row, the next below.
        ("energy", 3.5 / 5.5, (1, 2, 5, 3)),
        ("energy", 1.0, (1, 2, 5, 4)),
        # The mean is 5.5 / 64, or 0.086.
        ("mean", 0.0, (0, 0, 8, 8)),
        ("mean", 5.0, (1, 2, 5, 4)),
        ("mean", 6.0, (2, 2, 5, 3)),
    ],
)
def test_boxes_by_hand(threshold: Any, alpha: float, box: tuple[int, ...]) -> None:
    assert Localization(WHERE, threshold, alpha).box(MAP) == box


@pytest.mark.parametrize("threshold", ["value", "energy", "mean"])
def test_of_a_ranking_the_boxes_by_the_alpha_of_masks_are_almost_the_image(threshold: Any) -> None:
    down, across = np.indices((40, 40)) - 19.5
    ranking = np.linspace(1, 0, 1600)[np.argsort(np.argsort((down**2 + across**2).ravel()))].reshape(40, 40)
    left, top, right, bottom = Localization(WHERE, threshold).box(ranking) or (0, 0, 0, 0)
    assert (right - left) * (bottom - top) > 0.9 * 1600
    found = Localization(WHERE, "value", 0.9).box(ranking) or (0, 0, 40, 40)
    assert (found[2] - found[0]) * (found[3] - found[1]) < 0.2 * 1600


def test_nothing_is_salient_above_the_maximum() -> None:
    metric = Localization(WHERE, "mean", 20.0)
    assert metric.box(MAP) is None
    assert value_of(metric, drawn(MAP[None])) == 0.0


def test_negative_saliency_holds_no_energy() -> None:
    signed = MAP.copy()
    signed[7] = -5.0
    for threshold, alpha in (("energy", 1.0), ("mean", 5.0)):
        assert Localization(WHERE, threshold, alpha).box(signed) == (1, 2, 5, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objects", "least_iou", "right"),
    [
        ([Object((1, 2, 5, 4))], 1.0, 1.0),
        ([Object((1, 2, 5, 6))], 0.5, 1.0),
        ([Object((1, 2, 5, 6.1))], 0.5, 0.0),
        ([Object((1, 2, 5, 6.1))], 0.45, 1.0),
        ([Object((5, 4, 8, 8))], 0.01, 0.0),
        ([Object((5, 4, 8, 8)), Object((1, 2, 5, 4))], 0.9, 1.0),
    ],
)
def test_intersection_over_union_by_hand(objects: list[Object], least_iou: float, right: float) -> None:
    assert value_of(Localization([objects], "value", 0.4, least_iou), drawn(MAP[None])) == right


def test_alpha_is_that_of_the_paper_until_it_is_tuned() -> None:
    assert [Localization(WHERE, one).alpha for one in ("value", "energy", "mean")] == [0.1, 0.95, 0.5]
    objects = [[Object((2, 2, 5, 3))], [Object((1, 2, 5, 4))], [Object((2, 2, 5, 3))]]
    held_out = drawn(np.repeat(MAP[None], 3, axis=0))
    metric = Localization(objects, "value", least_iou=0.9)
    box = Linear(np.ones((1, 8, 8)))
    found = metric.accuracies(box, held_out)
    assert (found[0.0], found[0.1], found[0.5], found[0.55]) == (0.0, 1 / 3, 1 / 3, 2 / 3)
    assert metric.tuned(box, held_out).alpha == 0.55
    assert metric.tuned(box, held_out, alphas=[0.9, 0.2, 0.7]).alpha == 0.7
    assert metric.tuned(box, held_out).least_iou == 0.9
    assert list(Localization(WHERE, "mean").accuracies(box, held_out[:1]))[-1] == 10.0


def test_there_is_nothing_to_tune_on_without_objects() -> None:
    metric = Localization([[Object((0, 0, 2, 2), 1)]])
    with pytest.raises(NotMeasurableError, match="No image has an object"):
        metric.tuned(Linear(np.ones((1, 8, 8))), drawn(MAP[None]))
    assert np.isnan(value_of(metric, drawn(MAP[None])))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": "values"}, "no such threshold"),
        ({"alpha": 1.1}, "a number of at least 0 and at most 1\\."),
        ({"alpha": -0.1}, "out of range"),
        ({"threshold": "mean", "alpha": np.inf}, "alpha of .localization. is out of range"),
        ({"least_iou": 0}, "out of range"),
        ({"objects": {}}, "compares with objects"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Localization(**{"objects": WHERE, **settings})
