"""Images know their photos, and which part of the photo the model reads."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, ImageStat

import blackbox_explain as bx
from blackbox_explain.box.input_spec import InputSpec, check_images
from blackbox_explain.data import images as images_module
from blackbox_explain.data.photos import LoadedImages, Photo, part_read, photos_of
from blackbox_explain.samples import CAT, COFFEE

SPEC = InputSpec((3, 56, 64))
FITS = ("crop", "stretch", "pad")
SIZES = ((120, 80), (81, 133), (64, 56), (30, 20), (301, 100), (100, 301))


def numbered(count: int) -> LoadedImages:
    """Return `count` images whose pixels and whose photos' names are their number."""
    pixels = np.stack([np.full(SPEC.shape, row / 10, np.float32) for row in range(count)])
    photos = [Photo(str(row), np.zeros((2, 2, 3), np.uint8), (0, 0, 2, 2)) for row in range(count)]
    return LoadedImages(pixels, photos)


def names(images: Any) -> list[str]:
    photos = photos_of(images)
    assert photos is not None
    assert len(photos) == len(images)
    return [photo.name for photo in photos if photo is not None]


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(2, 5), "234"),
        (slice(3, 4), "3"),
        (slice(None, None, -2), "531"),
        ([4, 0, 0], "400"),
        (np.array([5, -1]), "55"),
        (np.arange(6) % 2 == 0, "024"),
        ([False, True, False, False, True, False], "14"),
        ((slice(1, 3),), "12"),
        ((slice(1, 3), ...), "12"),
        ((np.array([2]), ...), "2"),
        (..., "012345"),
    ],
)
def test_what_is_taken_of_the_first_axis_keeps_its_photos(key: Any, rows: str) -> None:
    taken = numbered(6)[key]
    assert names(taken) == list(rows)
    np.testing.assert_allclose(np.asarray(taken)[:, 0, 0, 0] * 10, [int(row) for row in rows], atol=1e-5)


@pytest.mark.parametrize(
    "key", [0, (0, ...), None, (slice(None), 0), (slice(None), slice(None), slice(None, None, -1))]
)
def test_what_shows_something_else_drops_them(key: Any) -> None:
    assert photos_of(numbered(3)[key]) is None


def test_they_are_arrays_like_any_other() -> None:
    images, plain = numbered(3), np.array(numbered(3), subok=False)
    for made in (images * 2, images - images, np.clip(images, 0, 0.1), np.stack([images, images]), images.mean(axis=0)):
        assert photos_of(made) is None
    np.testing.assert_array_equal(np.stack([images, images]), np.stack([plain, plain]))
    np.testing.assert_array_equal(np.einsum("nchw->n", images), np.einsum("nchw->n", plain))
    assert type(images.max()) is np.float32
    assert type(images * 2) is np.ndarray
    assert photos_of(images.reshape(3, -1)) is None
    assert photos_of(images.transpose(0, 1, 3, 2)) is None
    assert type(check_images(images, SPEC)) is np.ndarray


def test_images_that_are_joined_keep_their_photos() -> None:
    images = numbered(3)
    joined = np.concatenate([images[2:], np.array(images[:1], subok=False), images[:2]])
    assert [photo.name if photo else None for photo in photos_of(joined) or ()] == ["2", None, "0", "1"]
    assert photos_of(np.concatenate([images, images], axis=2)) is None


def test_copies_keep_photos_and_changed_pixels_lose_them() -> None:
    images = numbered(2)
    for made in (images.copy(), copy.copy(images), copy.deepcopy(images), pickle.loads(pickle.dumps(images))):  # noqa: S301
        assert names(made) == ["0", "1"]
        np.testing.assert_array_equal(made, images)
    images[0] = 1
    assert names(images[1:]) == ["1"]
    assert images[:1].photos is None
    images = numbered(2)[1:]
    images *= 0.5
    assert isinstance(images, LoadedImages)
    assert images.photos is None
    assert images.max() == np.float32(0.05)


def test_photos_must_be_as_many_as_images() -> None:
    with pytest.raises(ValueError, match="1 photos for 2 images"):
        LoadedImages(np.zeros((2, 3, 4, 4)), [None])


def test_tensors_are_made_of_them() -> None:
    torch = pytest.importorskip("torch")
    images = numbered(2)
    for made in (torch.tensor(images), torch.from_numpy(images), torch.as_tensor(images)):
        assert made.shape == (2, *SPEC.shape)
        np.testing.assert_array_equal(made.numpy(), np.asarray(images))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_a_marked_pixel_is_found_back_in_the_photo(fit: Any, size: tuple[int, int]) -> None:
    """A white square in the photo lies, in what the model reads, where `box` says."""
    width, height = size
    centre = (0.45 * width, 0.6 * height)
    half = max(3, min(size) // 10)
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top = int(centre[0]) - half, int(centre[1]) - half
    pixels[top : top + 2 * half, left : left + 2 * half] = 255
    images = bx.load_images(Image.fromarray(pixels), SPEC, fit=fit)
    (photo,) = images.photos or ()
    assert photo is not None
    np.testing.assert_array_equal(photo.pixels, pixels)
    read = np.asarray(images[0]).mean(axis=0)
    # Beside a padded photo is its mean colour.
    read = np.where(read > 0.5, read, 0)
    seen_y, seen_x = (np.average(np.arange(n) + 0.5, weights=read.sum(axis=axis)) for n, axis in ((56, 1), (64, 0)))
    box_left, box_top, box_right, box_bottom = photo.box
    scale_x, scale_y = (box_right - box_left) / 64, (box_bottom - box_top) / 56
    assert box_left + seen_x * scale_x == pytest.approx(left + half, abs=0.3 * scale_x)
    assert box_top + seen_y * scale_y == pytest.approx(top + half, abs=0.3 * scale_y)


@pytest.mark.parametrize("size", SIZES)
def test_photos_are_fitted_as_pillow_does(size: tuple[int, int]) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    bicubic = Image.Resampling.BICUBIC
    mean = tuple(round(value) for value in ImageStat.Stat(photo).mean)
    wanted = {
        "crop": ImageOps.fit(photo, (64, 56), bicubic),
        "stretch": photo.resize((64, 56), bicubic),
        "pad": ImageOps.pad(photo, (64, 56), bicubic, color=mean),
    }
    for fit in FITS:
        read = np.asarray(bx.load_images(photo, SPEC, fit=fit)[0])
        np.testing.assert_array_equal(np.round(read * 255), np.moveaxis(np.asarray(wanted[fit]), -1, 0), err_msg=fit)


def test_the_part_that_is_read() -> None:
    assert part_read((40, 10), (8, 8), "crop") == (15, 0, 25, 10)
    assert part_read((10, 40), (8, 8), "crop") == (0, 15, 10, 25)
    assert part_read((40, 10), (8, 8), "stretch") == (0, 0, 40, 10)
    # Two of eight rows, below a margin of three.
    assert part_read((40, 10), (8, 8), "pad") == (0, -15, 40, 25)


def test_large_photos_are_kept_smaller() -> None:
    photo = Image.new("RGB", (3000, 1500))
    photo.paste((255, 255, 255), (1200, 600, 1500, 900))
    (kept,) = bx.load_images(photo, SPEC).photos or ()
    assert kept is not None
    assert kept.pixels.shape == (1000, 2000, 3)
    assert kept.size == kept.file_size == (3000, 1500)
    np.testing.assert_allclose(kept.box, np.array(part_read((3000, 1500), (64, 56), "crop")) * 2 / 3)
    rows, columns = np.nonzero(kept.pixels[..., 0] > 127)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (400, 600, 800, 1000)


def test_grey_models_keep_coloured_photos_and_blurred_images_sharp_ones() -> None:
    photo = Image.new("RGB", (40, 40))
    photo.paste((255, 0, 0), (20, 0, 40, 40))
    (kept,) = bx.load_images(photo, InputSpec((1, 20, 20)), blur=5).photos or ()
    assert kept is not None
    np.testing.assert_array_equal(kept.pixels, np.asarray(photo))


def test_photos_know_their_names(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    path = tmp_path / "cat.png"
    with Image.open(path) as opened, path.open("rb") as file:
        given = [path, str(path), opened, file, path.read_bytes(), np.zeros((8, 8), np.uint8)]
        photos = bx.load_images(given, SPEC).photos or ()
    assert [photo.name for photo in photos if photo] == ["cat.png"] * 4 + ["", ""]


def test_very_many_photos_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "KEPT_BYTES", 3 * 4 * 100**2)
    photo = Image.new("RGB", (400, 200))
    (first, *_) = bx.load_images([photo] * 4, SPEC).photos or ()
    assert first is not None
    assert first.pixels.shape == (50, 100, 3)
    # Smaller than what the model reads, they are of no use.
    assert bx.load_images([photo] * 16, SPEC).photos is None


@pytest.mark.parametrize("alpha", [1.0, 255.0])
def test_transparency_has_a_range_of_its_own(alpha: float) -> None:
    spec = bx.InputSpec((3, 8, 8))
    pixels = np.full((8, 8, 4), 120.0)
    pixels[..., 3] = alpha
    np.testing.assert_allclose(bx.load_images([pixels], spec), 120 / 255, atol=1 / 255)
    pixels[..., 3] = 0
    np.testing.assert_allclose(bx.load_images([pixels], spec), 1, atol=1 / 255)


def test_changed_images_have_no_photo_any_more() -> None:
    images = bx.load_images([CAT, COFFEE], bx.InputSpec((3, 32, 32)))
    assert photos_of(images) is not None
    images[0][:, :8] = 0
    first, second = photos_of(images) or (None, None)
    assert first is None
    assert second is not None
    assert photos_of(images[1:]) == (second,)
    images.fill(0)
    assert photos_of(images) is None
