"""Relations that move what is seen, against what is known of rotations, shifts and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from blackbox_explain.rules.relations import Crop, HorizontalFlip, Rotation, Scale, Translation
from tests.rules.pictures import Array, done, noise, waves


@pytest.mark.parametrize("size", [7, 8, 31, 64])
@pytest.mark.parametrize("quarters", [-2, -1, 1, 2])
@pytest.mark.parametrize("border", ["reflect", "edge", "mean"])
def test_a_quarter_turn_is_exact(size: int, quarters: int, border: Any) -> None:
    image = noise((3, size, size))
    turned = done(Rotation(180, 1, border), image, 90 * quarters)
    assert np.abs(turned - np.rot90(image, quarters, axes=(1, 2))).max() < 1e-6


@pytest.mark.parametrize("degrees", [1, 13, -45, 100])
@pytest.mark.parametrize("shape", [(80, 80), (91, 60)])
def test_a_rotated_image_is_the_image_at_rotated_places(degrees: float, shape: tuple[int, int]) -> None:
    y, x = (axis - (size - 1) / 2 for axis, size in zip(np.mgrid[: shape[0], : shape[1]], shape, strict=True))
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    there = (cosine * x - sine * y, sine * x + cosine * y)
    off = np.abs(done(Rotation(180, 1), waves(x, y), degrees) - waves(*there)).max(axis=0)
    # Half a pixel away the waves differ by 0.02.
    assert off[np.hypot(x, y) < min(shape) / 2 - 2].max() < 5e-3


def test_two_opposite_rotations_give_a_smooth_image_back() -> None:
    y, x = np.mgrid[:80, :80] - 39.5
    there = done(Rotation(), waves(x, y), 27)
    back = done(Rotation(), there, -27)
    inside = np.hypot(x, y) < 36
    assert np.abs(there - waves(x, y))[:, inside].max() > 0.3
    assert np.abs(back - waves(x, y))[:, inside].max() < 1e-2


def test_rotation_keeps_the_contrast_of_neighbours_that_bilinear_interpolation_takes() -> None:
    # Amplitudes of photos fall with the frequency.
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96))
    waves_of_photos = np.fft.rfft2(noise((96, 96)) - 0.5) / np.maximum(frequency, 1 / 96)
    image = np.repeat(0.5 + 0.02 * np.fft.irfft2(waves_of_photos)[None], 3, axis=0)

    def lost(turned: Array) -> float:
        inner = (slice(None), slice(24, 72), slice(24, 72))
        return float(1 - np.diff(turned[inner], axis=2).std() / np.diff(image[inner], axis=2).std())

    bilinear = lost(np.stack([ndimage.rotate(plane, 3, reshape=False, order=1) for plane in image]))
    assert bilinear > 0.1
    assert abs(lost(done(Rotation(), image, 3))) < bilinear / 10


@pytest.mark.parametrize("border", ["reflect", "edge"])
def test_nothing_foreign_comes_in_from_outside(border: Any) -> None:
    red = np.broadcast_to(np.asarray([0.9, 0.2, 0.1], np.float32)[:, None, None], (3, 40, 30))
    for relation, amount in (
        (Rotation(180, 1, border), 33),
        (Translation(border=border), 40),
        (Scale(border=border), -150),
    ):
        assert np.abs(done(relation, red, amount) - red).max() < 1e-6


def test_what_comes_in_from_outside_is_mirrored_repeated_or_the_mean() -> None:
    image = noise((3, 20, 30))
    for border, expected in (("reflect", "symmetric"), ("edge", "edge"), ("mean", None)):
        if expected:
            padded = np.pad(image, ((0, 0), (20, 20), (20, 20)), mode=expected)  # type: ignore[call-overload]
        else:
            padded = np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), (3, 60, 70)).copy()
            padded[:, 20:40, 20:50] = image
        moved = done(Translation(100, 1, border), image, 45, seed=3)  # type: ignore[arg-type]
        places = [(y, x) for y in range(-9, 10) for x in range(-9, 10)]
        found = [
            (y, x) for y, x in places if np.allclose(padded[:, 20 - y : 40 - y, 20 - x : 50 - x], moved, atol=1e-6)
        ]
        assert len(found) == 1
        assert abs(np.hypot(*found[0]) - 9) <= np.sqrt(0.5)


def test_a_translation_is_a_roll_by_whole_pixels_as_far_as_stated_in_every_direction() -> None:
    image = noise((3, 50, 70))
    angles = []
    for seed in range(12):
        moved = done(Translation(), image, 20, seed=seed)
        found = [
            (y, x)
            for y in range(-10, 11)
            for x in range(-10, 11)
            if np.array_equal(np.roll(image, (y, x), (1, 2))[:, 10:-10, 10:-10], moved[:, 10:-10, 10:-10])
        ]
        assert len(found) == 1
        assert abs(np.hypot(*found[0]) - 10) <= np.sqrt(0.5)
        angles.append(np.arctan2(*found[0]))
    assert {int(angle // (np.pi / 2)) for angle in angles} == {-2, -1, 0, 1}


def test_one_draw_is_one_direction() -> None:
    y, x = np.mgrid[:100, :100] / 99
    ramps = np.stack([x, y])[:, :, :]
    found = []
    for theta in (10, 20, 40):
        moved = done(Translation(), np.concatenate([ramps, ramps[:1]]), theta, seed=5)
        middle = (ramps - moved[:2])[:, 45:55, 45:55].mean(axis=(1, 2)) * 99
        found.append(middle / theta)
    assert np.abs(np.diff(found, axis=0)).max() < 0.1


@pytest.mark.parametrize("shape", [(60, 60), (61, 44)])
@pytest.mark.parametrize("amount", [5, 55, 200, -5, -55, -200])
def test_scaling_stretches_about_the_centre(shape: tuple[int, int], amount: float) -> None:
    y, x = (axis - (size - 1) / 2 for axis, size in zip(np.mgrid[: shape[0], : shape[1]], shape, strict=True))
    ramp = 0.5 + np.stack([x, y, x + y]) / 300
    factor = (1 + abs(amount) / 100) ** np.sign(amount)
    scaled = done(Scale(), ramp, amount)
    margin = np.ceil(2 + 2 / min(factor, 1))
    inside = (np.abs(x / factor) < shape[1] / 2 - margin) & (np.abs(y / factor) < shape[0] / 2 - margin)
    assert inside.sum() >= 100
    # Enlarged, a ramp is exact; shrunk, the filter's samples are off by up to a fiftieth of a pixel.
    off = np.abs(scaled - 0.5 - (ramp - 0.5) / factor)[:, inside].max() * 300
    assert off < (1e-3 if amount > 0 else 0.03)


def test_enlarging_undoes_shrinking_a_smooth_image() -> None:
    y, x = np.mgrid[:80, :80] - 39.5
    there = done(Scale(), waves(x, y), 40)
    back = done(Scale(), there, -40)
    inner = (slice(None), slice(20, 60), slice(20, 60))
    assert np.abs(there - waves(x, y))[inner].max() > 0.1
    assert np.abs(back - waves(x, y))[inner].max() < 1e-2


def test_a_flip_is_a_mirror_and_its_own_inverse() -> None:
    image = noise((3, 9, 12))
    flipped = done(HorizontalFlip(), image, 1)
    assert np.array_equal(flipped, image[:, :, ::-1])
    assert np.array_equal(done(HorizontalFlip(), flipped, 1), image)


def test_a_crop_shows_a_window_of_the_stated_size_inside_of_those_of_smaller_strength() -> None:
    height, width = 60, 90
    y, x = np.mgrid[:height, :width]
    ramps = np.stack([x / width, y / height, 0 * x])
    starts = []
    for seed in range(20):
        outer = (0.0, 1.0, 0.0, 1.0)
        for theta in (10, 50, 80):
            shown = done(Crop(), ramps, theta, seed=seed)[:, 10:-10, 10:-10]
            across, down = np.diff(shown[0], axis=1) * width, np.diff(shown[1], axis=0) * height
            assert np.abs(across - (1 - theta / 100)).max() < 1e-3
            assert np.abs(down - (1 - theta / 100)).max() < 1e-3
            # The first pixel centre shown is half of a new pixel inside of the window.
            left = (shown[0, 0, 0] * width + 0.5 - 10.5 * (1 - theta / 100)) / width
            top = (shown[1, 0, 0] * height + 0.5 - 10.5 * (1 - theta / 100)) / height
            window = (left, left + 1 - theta / 100, top, top + 1 - theta / 100)
            assert window[0] >= outer[0] - 1e-4
            assert window[1] <= outer[1] + 1e-4
            assert window[2] >= outer[2] - 1e-4
            assert window[3] <= outer[3] + 1e-4
            outer = window
        starts.append((outer[0], outer[2]))
    assert np.min(starts) < 0.2
    assert np.max(starts) > 0.6
