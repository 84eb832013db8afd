"""Relations against what is known of rotations, shifts, colours, noise and files."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import InputError, ModelError
from blackbox_explain.rules.relations import (
    CATALOGUE,
    Brightness,
    Contrast,
    Crop,
    GaussianBlur,
    GaussianNoise,
    GreyScale,
    HorizontalFlip,
    Hue,
    Jpeg,
    Occlusion,
    Relation,
    Resolution,
    Rotation,
    Saturation,
    Scale,
    Translation,
    relations_for,
    relations_named,
)
from blackbox_explain.rules.saved import Saved, from_dict

Array = np.ndarray[Any, Any]

BOUNDS = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]
ALL = relations_named(tuple(CATALOGUE))


def done(
    relation: Relation, image: Array, amount: float, *, seed: int = 0, bounds: tuple[float, float] = (0, 1)
) -> Array:
    spec = InputSpec(image.shape, bounds)
    generators = [np.random.default_rng(seed)]
    return relation.transform(image[None].astype(np.float32), np.asarray([amount]), spec, generators)[0]


def noise(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def waves(x: Array, y: Array) -> Array:
    """Three smooth channels with values between 0 and 1, at any places."""
    phases = np.asarray([0.0, 1.0, 2.0])[:, None, None]
    return (2 + np.cos(0.11 * x + 0.05 * y + phases) + np.cos(0.13 * y - 0.07 * x - phases)) / 4


def photo(size: int = 64) -> Array:
    """Smooth shapes, an edge and some texture: enough of a photo to be spoilt."""
    y, x = np.mgrid[:size, :size] * (64 / size)
    made = 0.7 * waves(2 * x, 3 * y) + 0.04 * noise((3, size, size))
    made[:, size // 4 : size // 2, size // 3 : 2 * size // 3] += np.asarray([0.2, 0.0, 0.1])[:, None, None]
    return np.asarray(made, dtype=np.float32)


def amounts(relation: Relation) -> list[float]:
    levels = relation.levels.tolist()
    return [*levels, *(-level for level in levels)] if relation.signed else levels


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("bounds", BOUNDS)
def test_transformed_images_are_floats_in_the_bounds_and_the_original_stays(
    relation: Relation, bounds: tuple[float, float]
) -> None:
    low, high = bounds
    images = (np.stack([photo(), noise((3, 64, 64))]) * (high - low) + low).astype(np.float32)
    before = images.copy()
    middle, last = relation.levels[[len(relation.levels) // 2, -1]]
    for amount in (0.0, middle, last, -last if relation.signed else 0.0):
        generators = [np.random.default_rng(row) for row in range(2)]
        made = relation.transform(images, np.full(2, amount), InputSpec((3, 64, 64), bounds), generators)
        assert made.dtype == np.float32
        assert made.shape == images.shape
        assert made.min() >= low
        assert made.max() <= high
        assert np.array_equal(images, before)
        assert np.array_equal(made, images) == (amount == 0)
        assert not np.shares_memory(made, images)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("bounds", BOUNDS[1:])
def test_what_is_done_does_not_depend_on_the_units_of_pixels(relation: Relation, bounds: tuple[float, float]) -> None:
    low, high = bounds
    amount = relation.levels[len(relation.levels) // 2]
    plain = done(relation, photo(), amount)
    other = done(relation, photo() * (high - low) + low, amount, bounds=bounds)
    # A value halfway between two bytes may fall to either side, in a JPEG file alone.
    assert np.abs((other - low) / (high - low) - plain).max() < (0.05 if relation.name == "jpeg" else 1e-5)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_an_image_is_transformed_alike_in_any_company(relation: Relation) -> None:
    images = np.stack([photo(), noise((3, 64, 64)), np.zeros((3, 64, 64), np.float32)])
    strengths = relation.levels[[0, -1, len(relation.levels) // 2]]
    spec = InputSpec((3, 64, 64))
    together = relation.transform(images, strengths, spec, [np.random.default_rng(row) for row in range(3)])
    for row in range(3):
        alone = relation.transform(images[[row]], strengths[[row]], spec, [np.random.default_rng(row)])
        assert np.array_equal(alone[0], together[row])


@pytest.mark.parametrize("relation", [one for one in ALL if len(one.levels) > 1], ids=lambda one: one.name)
def test_more_of_it_is_further_from_the_original_and_the_range_goes_from_hardly_to_badly(relation: Relation) -> None:
    image = photo(112)
    few = relation.levels[[0, 1, len(relation.levels) // 4, len(relation.levels) // 2, -1]]
    ways = (1, -1) if relation.signed else (1,)
    # Far enough away, what lies at a place has nothing to do any more with what lay there.
    far = [
        np.mean(
            [np.abs(done(relation, image, way * theta, seed=seed) - image).mean() for way in ways for seed in range(8)]
        )
        for theta in few
    ]
    grows = far[:3] if relation.name in ("scale", "translation", "crop", "rotation") else far
    assert np.all(np.diff(grows) > 0), far
    assert far[0] < 0.05
    assert far[-1] > 4 * far[0]


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_relation_is_known_by_its_name_and_has_a_range_worth_searching(relation: Relation) -> None:
    words = "".join(word.capitalize() for word in relation.name.split("-"))
    assert type(relation).__name__ == words
    assert relation.levels[0] == relation.step
    assert relation.levels[-1] == pytest.approx(relation.largest)
    assert len(relation.levels) == 1 or 10 <= len(relation.levels) <= 60
    assert np.all(np.diff(relation.levels) > 0)


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_relation_is_saved_and_restored_with_its_range(relation: Relation) -> None:
    assert from_dict(json.loads(json.dumps(relation.to_dict()))) == relation
    if len(relation.levels) > 1:
        other = type(relation)(largest=relation.step * 4, step=relation.step * 2)
        assert from_dict(json.loads(json.dumps(other.to_dict()))) == other != relation


def test_borders_and_fills_are_saved() -> None:
    for relation in (Rotation(180, 3, border="mean"), Occlusion(fill="low")):
        assert from_dict(relation.to_dict()) == relation
    with pytest.raises(InputError, match="no such border"):
        from_dict(Rotation().to_dict() | {"border": "black"})


@pytest.mark.parametrize("relation", ALL, ids=lambda one: one.name)
def test_a_strength_out_of_range_is_refused(relation: Relation) -> None:
    for theta in relation.levels:
        relation.check_theta(theta)
    for theta in (0.0, -relation.step, relation.step / 2, relation.largest * 1.01, np.nan):
        with pytest.raises(InputError, match=f"out of the range of the relation {relation.name}"):
            relation.check_theta(theta)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rotation(181, 1),
        lambda: Rotation(10, 11),
        lambda: Rotation(10, 0),
        lambda: Rotation(np.nan, 1),
        lambda: GaussianBlur(np.inf, 1),
        lambda: HorizontalFlip(1, 0.5),
        lambda: Jpeg(50, 2.5),
        lambda: Crop(100, 1),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(InputError, match="no range of the relation"):
        make()


def test_levels_end_where_the_range_does() -> None:
    assert Rotation(45, 2).levels.tolist() == list(range(2, 45, 2))
    assert Resolution(0.3, 0.1).levels.tolist() == [0.1, 0.2, 0.3]
    assert HorizontalFlip().levels.tolist() == [1]


def test_unknown_choices_are_refused() -> None:
    for cls in (Rotation, Translation, Scale):
        with pytest.raises(InputError, match=r"no such border.*'reflect', 'edge', 'mean'"):
            cls(border="black")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such fill"):
        Occlusion(fill="pink")  # type: ignore[arg-type]


def test_relations_are_found_by_name() -> None:
    assert relations_named(["hue", "jpeg"]) == (Hue(), Jpeg())
    with pytest.raises(InputError, match=r"(?s)no such relation.*'rotatoin'.*occlusion.*[Tt]ry: rotation"):
        relations_named(["hue", "rotatoin"])


def test_a_relation_says_which_images_it_fits() -> None:
    assert relations_for(InputSpec((3, 8, 8))) == ALL
    colours = {"saturation", "hue", "grey-scale"}
    assert {one.name for one in ALL} - {one.name for one in relations_for(InputSpec((1, 8, 8)))} == colours
    assert {one.name for one in relations_for(InputSpec((3, 8, 8)))} - {
        one.name for one in relations_for(InputSpec((4, 8, 8)))
    } == colours | {"jpeg"}
    anything = {"translation", "brightness", "contrast", "gaussian-blur", "gaussian-noise", "occlusion"}
    for shape in ((3, 50), (1, 6, 7, 8)):
        spec = InputSpec(shape)
        assert {one.name for one in relations_for(spec)} == anything
        for relation in ALL:
            images = noise((1, *shape))
            if relation.name in anything:
                made = relation.transform(images, relation.levels[[-1]], spec, [np.random.default_rng(0)])
                assert made.shape == images.shape
                assert np.abs(made - images).max() > 1e-3
            else:
                with pytest.raises(InputError, match=f"The relation {relation.name} does not fit"):
                    relation.transform(images, relation.levels[[-1]], spec, [np.random.default_rng(0)])


def test_a_relation_that_changes_the_shape_is_refused() -> None:
    class Half(Relation):
        name = "half"

        def phrase(self, theta: float) -> str:
            return "half is gone"

        def transform_one(self, image: Array, amount: float, spec: InputSpec, generator: np.random.Generator) -> Array:
            return image[..., ::2]

    try:
        with pytest.raises(ModelError, match="half changes the shape"):
            done(Half(), photo(), 1)
    finally:
        del Saved.kinds["Half"]


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


@pytest.mark.parametrize(
    ("relation", "theta", "phrase"),
    [
        (Rotation(), 13, "the image is rotated by at most 13°"),
        (Translation(), 10, "the image is shifted by at most 10 % of its side"),
        (Scale(), 20, "the image is enlarged or shrunk by a factor of at most 1.2"),
        (HorizontalFlip(), 1, "the image is flipped left to right"),
        (Crop(), 20, "the image is cropped to at least 80 % of its width and height"),
        (Brightness(), 5, "the brightness is raised or lowered by at most 5 % of its range"),
        (Contrast(), 30, "the contrast is raised or lowered by at most 30 %"),
        (Saturation(), 30, "the saturation is raised or lowered by at most 30 %"),
        (Hue(), 60, "every hue is turned by at most 60°"),
        (GreyScale(), 1, "the image is turned into shades of grey"),
        (GaussianBlur(), 1, "the image is blurred by a Gaussian with a σ of at most 1 pixel at a side of 224"),
        (GaussianBlur(), 2.5, "the image is blurred by a Gaussian with a σ of at most 2.5 pixels at a side of 224"),
        (GaussianNoise(), 3, "Gaussian noise is added with a σ of at most 3 % of the range"),
        (Jpeg(), 60, "the image is compressed as JPEG of quality 40 or better"),
        (Resolution(), 2, "the image keeps at least a quarter of its resolution"),
        (Resolution(), 1.5, "the image keeps at least 35 % of its resolution"),
        (Occlusion(), 20, "a square of at most 20 % of the image's side is covered"),
    ],
)
def test_a_relation_says_in_english_what_it_does(relation: Relation, theta: float, phrase: str) -> None:
    assert relation.phrase(theta) == phrase
