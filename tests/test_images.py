"""Photos of every kind: the valid ones just work, each of the others has its error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import ImageError, InputError

SPEC = InputSpec((3, 32, 32))


@pytest.fixture
def gradient_photo() -> Image.Image:
    """Return a photo of 40 × 30, dark at the left, red at the top."""
    x, y = np.meshgrid(np.linspace(0, 255, 40), np.linspace(255, 0, 30))
    return Image.fromarray(np.stack([y, x, x], axis=-1).astype(np.uint8))


def save(photo: Image.Image, path: Path, **options: object) -> Path:
    photo.save(path, **options)
    return path


def rotated(photo: Image.Image, path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    return save(photo.rotate(90, expand=True), path, exif=exif, quality=95)


def sixteen_bit(photo: Image.Image, path: Path) -> Path:
    grey = np.asarray(photo.convert("L"), dtype=np.uint16) * 257
    return save(Image.fromarray(grey), path)


VALID: dict[str, Callable[[Image.Image, Path], Path]] = {
    "rgb.png": save,
    "cmyk.jpg": lambda photo, path: save(photo.convert("CMYK"), path, quality=95),
    "palette.png": lambda photo, path: save(photo.quantize(256), path),
    "palette.gif": lambda photo, path: save(photo.quantize(256), path),
    "alpha.png": lambda photo, path: save(photo.convert("RGBA"), path),
    "exif.jpg": rotated,
    "webp.webp": lambda photo, path: save(photo, path, quality=95),
}


@pytest.mark.parametrize("name", VALID)
def test_valid_photos_just_work(name: str, gradient_photo: Image.Image, tmp_path: Path) -> None:
    path = VALID[name](gradient_photo, tmp_path / name)
    image = bx.load_images(path, SPEC)
    plain = bx.load_images(save(gradient_photo, tmp_path / "plain.png"), SPEC)
    assert image.shape == (1, 3, 32, 32)
    assert image.dtype == np.float32
    assert np.abs(image - plain).mean() < 0.03


def test_sixteen_bits_are_scaled_and_not_clipped(gradient_photo: Image.Image, tmp_path: Path) -> None:
    image = bx.load_images(sixteen_bit(gradient_photo, tmp_path / "deep.png"), SPEC)
    plain = bx.load_images(save(gradient_photo.convert("L"), tmp_path / "plain.png"), SPEC)
    np.testing.assert_allclose(image, plain, atol=0.005)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (8, 8), (200, 0, 0, 0)), tmp_path / "clear.png")
    np.testing.assert_allclose(bx.load_images(path, SPEC), 1.0)


def test_one_pixel_is_a_photo(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (1, 1), (255, 0, 51)), tmp_path / "dot.png")
    np.testing.assert_allclose(bx.load_images(path, SPEC)[0, :, 5, 5], [1, 0, 0.2], atol=1e-6)


def test_grey_models_and_other_bounds(gradient_photo: Image.Image, tmp_path: Path) -> None:
    path = save(gradient_photo, tmp_path / "photo.png")
    grey = bx.load_images(path, InputSpec((1, 16, 16), bounds=(-1, 1)))
    assert grey.shape == (1, 1, 16, 16)
    assert -1 <= grey.min() < -0.2 < 0.2 < grey.max() <= 1


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_fits(fit: str, tmp_path: Path) -> None:
    photo = Image.new("RGB", (60, 20))
    photo.paste((255, 255, 255), (20, 0, 40, 20))
    image = bx.load_images(save(photo, tmp_path / "wide.png"), SPEC, fit=fit)[0, 0]
    white = {"crop": 1.0, "stretch": 1 / 3, "pad": 1 / 9}[fit]
    assert np.mean(image > 0.8) == pytest.approx(white, abs=0.05)


def broken_files(folder: Path) -> dict[str, Path]:
    """Make one file of each kind that is no photo."""
    cat = samples.CAT.read_bytes()
    contents = {"zero.jpg": b"", "text.jpg": b"not a photo\n" * 40, "short.jpg": cat[: len(cat) // 2]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    bomb = folder / "bomb.png"
    Image.new("1", (20000, 20000)).save(bomb)
    return {
        "empty": folder / "zero.jpg",
        "not an image": folder / "text.jpg",
        "damaged": folder / "short.jpg",
        "too large": bomb,
        "no such file": folder / "missing.jpg",
    }


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return broken_files(tmp_path_factory.mktemp("broken"))


@pytest.mark.parametrize("message", ["empty", "not an image", "damaged", "too large", "no such file"])
def test_what_is_no_photo_says_so(message: str, broken: dict[str, Path]) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        bx.load_images(broken[message], SPEC)
    assert str(broken[message]) in str(caught.value)


def test_what_load_images_refuses(tmp_path: Path, gradient_photo: Image.Image) -> None:
    path = save(gradient_photo, tmp_path / "photo.png")
    with pytest.raises(InputError, match="does not read photos"):
        bx.load_images(path, InputSpec((1, 100)))
    with pytest.raises(InputError, match="no such fit"):
        bx.load_images(path, SPEC, fit="squeeze")
    with pytest.raises(InputError, match="no photos"):
        bx.load_images([], SPEC)
