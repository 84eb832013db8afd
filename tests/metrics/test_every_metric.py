"""Every metric that is registered keeps the contract, and says what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.box.entry_points import entry_points
from blackbox_explain.data.objects import Object
from blackbox_explain.data.photos import LoadedImages, Photo
from blackbox_explain.metrics import Metric
from blackbox_explain.metrics.by_name import METRICS
from blackbox_explain.metrics.deletion_insertion import Deletion, Insertion
from blackbox_explain.metrics.infidelity import Infidelity
from blackbox_explain.metrics.marked import Localization, PartSaliency, PointingGame
from blackbox_explain.metrics.max_sensitivity import MaxSensitivity
from blackbox_explain.metrics.minimal_box import MinimalBox
from blackbox_explain.metrics.randomization import Randomization
from blackbox_explain.metrics.representativeness import Representativeness, Transfer
from blackbox_explain.metrics.smallest_region import SmallestRegion
from blackbox_explain.testing import check_metric
from tests.toys import Factors

PART = (0.0, 0.0, 12.0, 10.0)
NAMES = ("a.jpg", "b.jpg", "c.jpg")
OBJECTS = {name: [Object((2, 2, 6 + row, 7))] for row, name in enumerate(NAMES)}
POINTS = {name: {"eyes": [(3.0 + row, 4.0)]} for row, name in enumerate(NAMES)}

SETTINGS: dict[str, Callable[[], Any]] = {
    "deletion": Deletion,
    "insertion": Insertion,
    "smallest-region": SmallestRegion,
    "minimal-box": MinimalBox,
    "representativeness": Representativeness,
    "transfer": Transfer,
    "localization": lambda: Localization(OBJECTS),
    "pointing-game": lambda: PointingGame(OBJECTS, tolerance=1),
    "part-saliency": lambda: PartSaliency(POINTS),
    "infidelity": lambda: Infidelity(draws=5),
    "max-sensitivity": lambda: MaxSensitivity(draws=2),
    "randomization": lambda: Randomization((0.5, 1.0)),
}


def registered() -> set[str]:
    return {one.name for one in entry_points(METRICS) if one.module.startswith("blackbox_explain.")}


@pytest.fixture(scope="module")
def explained() -> tuple[bx.BlackBox, bx.Explanation]:
    rng = np.random.default_rng(0)
    # Images that look like the weights: whatever stands in for their pixels lowers the score.
    weights = rng.normal(size=(3, 10, 12))
    box = Factors(weights)
    photos = [Photo(name, np.zeros((10, 12, 3), np.uint8), PART) for name in NAMES]
    images = LoadedImages((0.4 + 0.2 * np.sign(weights) + 0.3 * rng.random((3, 3, 10, 12))).astype(np.float32), photos)
    return box, bx.explain(box, images, 0, method="gradient", progress=False)


def test_every_name_is_checked() -> None:
    assert registered() == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_contract(name: str, explained: tuple[bx.BlackBox, bx.Explanation]) -> None:
    metric = SETTINGS[name]()
    assert metric.name == name
    assert isinstance(metric, Metric)
    box, explanation = explained
    check_metric(metric, box, explanation, tolerance=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_class_says_what_it_measures(name: str) -> None:
    kind = type(SETTINGS[name]())
    assert kind.__doc__ is not None
    assert kind.measure.__doc__ is not None
    low, high = kind.range
    assert low < high
