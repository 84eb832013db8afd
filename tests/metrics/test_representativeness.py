"""Simplified regions and other perturbations: values by hand, artefacts found out, and settings out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import blackbox_explain as bx
from blackbox_explain.errors import InputError
from blackbox_explain.metrics.representativeness import Representativeness, Transfer
from tests.toys import Linear, Scores

WEIGHTS = np.asarray([[[4.0, 3.0], [2.0, 0.0]]])
IMAGE = np.ones((1, 1, 2, 2))


def by_gradient(weights: np.ndarray = WEIGHTS, images: np.ndarray = IMAGE) -> bx.Explanation:
    return bx.explain(Linear(weights), images, 0, method="gradient", progress=False)


def value_of(metric: Any, box: Any, explained: bx.Explanation) -> float:
    return float(bx.evaluate(box, explained, [metric], progress=False).measurements[0].values[0])


def test_representativeness_by_hand() -> None:
    # The mask 1 − map is 0, .25, .5 and 1: five thresholds (0 to .2) delete the first pixel alone, five (.25 to .45)
    # two, which leaves 2/9, and ten (.5 to .95) three, which leaves nothing.
    expected = (5 * 5 / 9 + 5 * 2 / 9 + 10 * 0) / 20
    found = value_of(Representativeness(["zero"], sigma=0), Linear(WEIGHTS), by_gradient())
    np.testing.assert_allclose(found, expected)


def test_representativeness_is_the_mean_over_perturbations() -> None:
    rng = np.random.default_rng(0)
    box = Linear(rng.random((1, 8, 8)) + 0.1)
    explained = by_gradient(box.weights, rng.random((1, 1, 8, 8)))
    alone = [value_of(Representativeness([name]), box, explained) for name in ("zero", "noise")]
    both = value_of(Representativeness(["zero", "noise"]), box, explained)
    np.testing.assert_allclose(both, np.mean(alone))


def test_representativeness_smooths_the_map() -> None:
    # A map of single pixels far from each other is no region once it is smoothed.
    weights = np.zeros((1, 30, 30))
    weights[0, 10:20, 10:20] = 1.0
    scattered = np.zeros((1, 30, 30))
    scattered[0, ::10, ::10] = 1.0
    images = np.ones((1, 1, 30, 30))
    metric = Representativeness(["zero"], sigma=2)
    whole = value_of(metric, Linear(weights), by_gradient(weights, images))
    assert whole < value_of(metric, Linear(weights), by_gradient(scattered, images)) - 0.2
    assert whole != value_of(Representativeness(["zero"], sigma=0), Linear(weights), by_gradient(weights, images))


def test_a_perturbation_that_lowers_nothing_leaves_nothing_to_measure() -> None:
    found = value_of(Representativeness(["zero", "constant"]), Linear(WEIGHTS), by_gradient())
    assert np.isnan(found)  # the mean colour of an image of ones is one


def test_transfer_by_hand() -> None:
    # Three pixels hold the whole score, and their deletion to zero takes 95 % of it; painted in the mean colour of
    # this image, 1/2, they lose what they are above it.
    images = np.asarray([[[[1.0, 1.0], [0.0, 0.0]]]])
    explained = bx.explain(Linear(WEIGHTS), images, 0, method="gradient", progress=False)
    region = explained.region[0]
    deleted = np.where(region, 0.5, images[0, 0])
    original, gone = 7.0, 4.5
    expected = 1 - (float((deleted * WEIGHTS[0]).sum()) - gone) / (original - gone)
    np.testing.assert_allclose(value_of(Transfer("constant"), Linear(WEIGHTS), explained), expected)


def test_transfer_finds_an_artefact_of_one_perturbation() -> None:
    # The score falls wherever a pixel is exactly zero: a region of zeros suppresses it, one of noise does not.
    def scores(images: np.ndarray) -> np.ndarray:
        torn = (images[:, 0, :2, :2] == 0).all(axis=(1, 2)) | (images.max(axis=(1, 2, 3)) < 0.99)
        return np.stack([np.where(torn, 0.0, 1.0), np.where(torn, 1.0, 0.0)], axis=1)

    box = Scores(scores, (1, 8, 8))
    weights = np.zeros((1, 8, 8))
    weights[0, :2, :2] = 1.0
    options: dict[str, Any] = {"method": "gradient", "perturbation": "zero", "progress": False}
    explained = bx.explain(Linear(weights), np.ones((1, 1, 8, 8)), 0, **options)
    assert value_of(Transfer("zero"), box, explained) == 1.0
    assert value_of(Transfer(bx.Constant(0.5)), box, explained) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Representativeness("blur"), "These are no perturbations"),
        (lambda: Representativeness([]), "These are no perturbations"),
        (lambda: Representativeness(["blurr"]), "no such perturbation"),
        (lambda: Representativeness(sigma=-1), "out of range"),
        (lambda: Transfer("blurr"), "no such perturbation"),
    ],
)
def test_settings_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
