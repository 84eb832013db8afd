"""What leading constants of a model say of its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_explain import Preprocessing
from blackbox_explain.box.adapter_tools.rescaling import Rescaling, at_odds, preprocessing_told

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BYTES, SHARES, SIGNED = (0, 255), (0, 1), (-1, 1)


def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> Rescaling:
    return Rescaling().then(plus=[-one for one in mean]).then(times=[1 / one for one in std])


@pytest.mark.parametrize(
    ("rescaling", "reads"),
    [
        (Rescaling((1 / 255,)), BYTES),
        (Rescaling((1 / 256,)), BYTES),
        (Rescaling((1 / 127.5,), (-1.0,)), BYTES),
        (Rescaling((1 / 128,), (-127.5 / 128,)), BYTES),
        (Rescaling((1 / 255,), (-0.5,)), BYTES),
        (Rescaling((1.0,), (-104.0, -117.0, -123.0)), BYTES),
        (normalised((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)), BYTES),
        (
            Rescaling((1 / 255,)).then(plus=[-one for one in IMAGENET[0]]).then(times=[1 / s for s in IMAGENET[1]]),
            BYTES,
        ),
        (normalised(*IMAGENET), SHARES),
        (Rescaling((2.0,), (-1.0,)), SHARES),
        (Rescaling((1.0,), (-0.5,)), SHARES),
        (Rescaling((255.0,)), SHARES),
        (Rescaling((255.0,), (-104.0, -117.0, -123.0)), SHARES),
        (Rescaling((127.5,), (127.5,)), SIGNED),
        (Rescaling((0.5,), (0.5,)), SIGNED),
        # Torchvision's Inception undoes one normalisation for another; factors near one, and negative ones.
        (Rescaling((0.458, 0.448, 0.45), (-0.03, -0.088, -0.188)), None),
        (Rescaling(), None),
        (Rescaling((2.0,)), None),
        (Rescaling((0.05,)), None),
        (normalised((0.03, 0.02, 0.05), (0.97, 0.98, 0.97)), None),
        (Rescaling((1 / 58,)), BYTES),
        (Rescaling((-1 / 255,), (1.0,)), None),
        (Rescaling((1 / 20,), (3.0,)), None),
        (Rescaling((float("nan"),)), None),
    ],
)
def test_constants_tell_the_range(rescaling: Rescaling, reads: tuple[float, float] | None) -> None:
    assert rescaling.reads() == reads


@pytest.mark.parametrize(
    ("rescaling", "bounds", "reads"),
    [
        (Rescaling((1 / 255,)), None, BYTES),
        (Rescaling((1 / 255,)), (0.0, 255.0), BYTES),
        (Rescaling((2.0,), (-1.0,)), None, SHARES),
        (Rescaling((127.5,), (127.5,)), None, SIGNED),
        (Rescaling((127.5,), (127.5,)), (0.0, 255.0), SIGNED),
    ],
)
def test_pixels_are_brought_to_that_range(
    rescaling: Rescaling, bounds: tuple[float, float] | None, reads: tuple[float, float]
) -> None:
    found = preprocessing_told(rescaling, (3, 8, 8), bounds)
    assert found is not None
    ends = np.ones((2, 3, 8, 8)) * np.reshape(bounds or (0.0, 1.0), (2, 1, 1, 1))
    np.testing.assert_allclose(found[0].forward(ends)[:, 0, 0, 0], reads, atol=1e-12)
    assert f"between {reads[0]} and {reads[1]}" in found[1]


def test_what_is_no_image_or_has_a_range_of_its_own_is_left_alone() -> None:
    assert preprocessing_told(Rescaling((1 / 255,)), (1, 400), None) is None
    assert preprocessing_told(Rescaling((1 / 255,)), (17, 8, 8), None) is None
    assert preprocessing_told(Rescaling((1 / 255,)), (1, 64, 64), (-80.0, 0.0)) is None
    assert preprocessing_told(Rescaling((0.458,), (-0.03,)), (3, 8, 8), None) is None


def test_a_preprocessing_that_gives_another_size_is_questioned() -> None:
    bytes_ = Rescaling((1 / 255,))
    imagenet = Preprocessing(*IMAGENET)
    assert "may be wrong" in (at_odds(bytes_, (3, 8, 8), None, imagenet) or "")
    assert "may be wrong" in (at_odds(bytes_, (3, 8, 8), None, Preprocessing()) or "")
    assert at_odds(bytes_, (3, 8, 8), None, Preprocessing(std=1 / 255)) is None
    assert "gets -1.99 to 2.44" in (at_odds(normalised(*IMAGENET), (3, 8, 8), None, imagenet) or "")
    assert at_odds(bytes_, (3, 8, 8), (0.0, 255.0), Preprocessing()) is None
    assert "may be wrong" in (at_odds(normalised(*IMAGENET), (3, 8, 8), (0.0, 255.0), Preprocessing()) or "")
    assert at_odds(normalised(*IMAGENET), (3, 8, 8), None, Preprocessing()) is None
