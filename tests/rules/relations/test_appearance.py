"""Relations that change colours, sharpness and what is covered, against what is known of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from blackbox_explain.rules.relations import (
    Brightness,
    Contrast,
    GaussianBlur,
    GaussianNoise,
    GreyScale,
    Hue,
    Jpeg,
    Occlusion,
    Resolution,
    Saturation,
)
from tests.rules.pictures import BOUNDS, done, noise, photo


@pytest.mark.parametrize("bounds", BOUNDS)
def test_brightness_adds_a_share_of_the_range_and_clips(bounds: tuple[float, float]) -> None:
    low, high = bounds
    image = np.linspace(low, high, 12, dtype=np.float32).reshape(3, 2, 2)
    for amount in (20, -20):
        expected = np.clip(image + amount / 100 * (high - low), low, high)
        assert done(Brightness(), image, amount, bounds=bounds) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_contrast_is_lost_or_doubled_about_the_mean() -> None:
    image = (0.4 + 0.2 * noise((3, 16, 16))).astype(np.float32)
    assert done(Contrast(), image, -100) == pytest.approx(np.full_like(image, image.mean()))
    for amount in (-50, 50, 100):
        changed = done(Contrast(), image, amount)
        assert changed.std() == pytest.approx((1 + amount / 100) * image.std(), rel=1e-5)
        assert changed.mean() == pytest.approx(image.mean(), rel=1e-5)


def test_grey_is_luma_and_is_what_saturation_ends_in() -> None:
    image = noise((3, 8, 8))
    luma = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    grey = done(GreyScale(), image, 1)
    assert np.abs(grey - luma).max() < 1e-6
    assert np.abs(done(Saturation(), image, -100) - grey).max() < 1e-6
    assert np.abs(done(Saturation(), grey, 100) - grey).max() < 1e-6


def test_saturation_moves_colours_from_grey_and_keeps_luma() -> None:
    image = (0.4 + 0.2 * noise((3, 8, 8))).astype(np.float32)
    luma = np.tensordot([0.299, 0.587, 0.114], image, axes=1)
    stronger = done(Saturation(), image, 60)
    assert np.abs((stronger - luma) - 1.6 * (image - luma)).max() < 1e-6
    assert np.abs(np.tensordot([0.299, 0.587, 0.114], stronger, axes=1) - luma).max() < 1e-6


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_third_of_all_hues_away_pure_colours_change_places(bounds: tuple[float, float]) -> None:
    low, high = bounds
    pure = np.full((3, 1, 4), low, np.float32)
    for channel in range(3):
        pure[channel, 0, channel] = high
    pure[:, 0, 3] = (low + high) / 2
    turned = done(Hue(), pure, 120, bounds=bounds)
    assert turned == pytest.approx(pure[[2, 0, 1]], abs=1e-5 * (high - low))
    assert done(Hue(), turned, -120, bounds=bounds) == pytest.approx(pure, abs=1e-5 * (high - low))


def test_hues_turn_about_grey() -> None:
    image = (0.4 + 0.2 * noise((3, 8, 8))).astype(np.float32)
    turned = done(Hue(), image, 37)
    grey, other = image.mean(axis=0), turned.mean(axis=0)
    assert np.abs(grey - other).max() < 1e-6
    before, after = image - grey, turned - other
    cosine = (before * after).sum(axis=0) / np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0))
    assert np.abs(cosine - np.cos(np.radians(37))).max() < 1e-3


@pytest.mark.parametrize("size", [56, 224])
def test_a_blurred_point_is_a_gaussian_of_the_stated_width_whatever_the_size(size: int) -> None:
    point = np.zeros((1, size, size))
    point[0, size // 2, size // 2] = 1
    blurred = done(GaussianBlur(), point, 8)[0].astype(np.float64)
    y, x = np.mgrid[:size, :size] - size // 2
    assert blurred.sum() == pytest.approx(1, rel=1e-3)
    for axis in (x, y):
        assert np.sqrt((blurred * axis**2).sum()) == pytest.approx(8 * size / 224, rel=1e-2)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_noise_has_the_stated_width_and_a_larger_one_is_the_same_only_more(bounds: tuple[float, float]) -> None:
    low, high = bounds
    grey = np.full((3, 100, 100), (low + high) / 2, np.float32)
    added = [(done(GaussianNoise(), grey, theta, bounds=bounds) - grey) / (high - low) for theta in (5, 10)]
    assert added[0].std() == pytest.approx(0.05, rel=0.02)
    assert abs(added[0].mean()) < 4 * 0.05 / np.sqrt(30_000)
    assert np.abs(added[1] - 2 * added[0]).max() < 1e-4
    assert np.abs(np.corrcoef(added[0].reshape(3, -1)) - np.eye(3)).max() < 0.04


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_a_file_of_that_quality_holds(channels: int) -> None:
    image = np.round(photo()[:channels] * 255) / 255
    values = (image * 255).round().astype(np.uint8)
    for theta in (2, 50, 98):
        file = io.BytesIO()
        written = Image.fromarray(values[0]) if channels == 1 else Image.fromarray(np.moveaxis(values, 0, -1).copy())
        written.save(file, "JPEG", quality=100 - theta, subsampling="4:2:0")
        read = np.asarray(Image.open(file), dtype=np.float32).reshape(64, 64, channels)
        assert np.abs(done(Jpeg(), image, theta) - np.moveaxis(read, -1, 0) / 255).max() < 1e-6


def test_resolution_loses_what_is_finer_than_its_pixels_and_keeps_what_is_coarser() -> None:
    x = np.broadcast_to(np.arange(64), (1, 64, 64))
    coarse, fine = 0.5 + 0.4 * np.cos(2 * np.pi * x / 32), 0.5 + 0.4 * np.cos(2 * np.pi * x / 6)
    assert np.abs(done(Resolution(), coarse, 1) - coarse)[:, :, 4:-4].max() < 0.02
    assert done(Resolution(), fine, 1)[:, :, 8:-8].std() > 0.1
    assert done(Resolution(), fine, 3)[:, :, 8:-8].std() < 0.02
    assert done(Resolution(10, 1), noise((3, 64, 64)), 6).std(axis=(1, 2)) == pytest.approx(np.zeros(3), abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 100, 100), (1, 50, 80), (2, 40), (1, 20, 30, 25)])
def test_a_covered_square_has_the_stated_area_and_lies_in_that_of_a_larger_strength(shape: tuple[int, ...]) -> None:
    image = noise(shape)
    spatial = tuple(range(1, len(shape)))
    for seed in range(10):
        smaller = np.zeros(shape[1:], bool)
        for theta in (10, 20, 44, 80):
            made = done(Occlusion(), image, theta, seed=seed)
            covered = (made != image).all(axis=0)
            side = round(theta / 100 * min(shape[1:]))
            assert covered.sum() == side ** len(spatial)
            assert all(
                covered.any(axis=tuple(set(range(len(spatial))) - {axis})).sum() == side for axis in range(len(spatial))
            )
            assert np.all(covered[smaller])
            assert np.array_equal(made[:, ~covered], image[:, ~covered])
            mean = image.mean(axis=spatial, dtype=np.float64)[:, None]
            assert np.abs(made[:, covered] - mean).max() < 1e-5
            smaller = covered


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_square_may_be_grey_or_black(bounds: tuple[float, float]) -> None:
    low, high = bounds
    image = np.full((3, 10, 10), high, np.float32)
    for fill, expected in (("middle", (low + high) / 2), ("low", low)):
        made = done(Occlusion(fill=fill), image, 50, bounds=bounds)  # type: ignore[arg-type]
        assert (made == np.float32(expected)).sum() == 75
        assert (made == high).sum() == 225
