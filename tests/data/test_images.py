"""Photos of every kind: the valid ones just work, each of the others has its error."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import blackbox_explain as bx
from blackbox_explain import samples
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.images import load_image
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
    "clear.png": lambda photo, path: save(photo.quantize(255), path, transparency=255),
    "lab.tif": lambda photo, path: save(photo.convert("LAB"), path),
    "ycbcr.jpg": lambda photo, path: save(photo.convert("YCbCr"), path, quality=95),
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
        "folder": folder,
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
    with pytest.raises(ImageError, match="This is a folder"):
        load_image(tmp_path, SPEC)
    with pytest.raises(InputError, match="not one photo"):
        load_image([path, path], SPEC)
    with pytest.raises(InputError, match="White is no such value"):
        bx.load_images(path, SPEC, white=0)


GREY = InputSpec((1, 64, 64))


def test_of_several_pages_the_first_is_read_with_a_warning(tmp_path: Path) -> None:
    first, second = Image.new("L", (64, 64), 255), Image.new("L", (64, 64), 0)
    for name in ("stack.tif", "moving.gif"):
        path = save(first, tmp_path / name, save_all=True, append_images=[second])
        with pytest.warns(UserWarning, match=rf"{name} holds 2 pictures: the first is read"):
            assert bx.load_images(path, GREY).min() == 1
        with Image.open(path) as opened:
            opened.seek(1)
            assert bx.load_images(opened, GREY).max() == 0


def test_all_eight_orientations_are_turned_upright(gradient_photo: Image.Image, tmp_path: Path) -> None:
    wanted = bx.load_images(gradient_photo, SPEC)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        turns = [gradient_photo, *map(gradient_photo.transpose, Image.Transpose)]
        stored = next(one for one in turns if np.array_equal(upright(one, exif), gradient_photo))
        path = save(stored, tmp_path / f"{orientation}.png", exif=exif)
        np.testing.assert_array_equal(bx.load_images(path, SPEC), wanted)


def upright(photo: Image.Image, exif: Image.Exif) -> Image.Image:
    file = io.BytesIO()
    photo.save(file, "PNG", exif=exif)
    return ImageOps.exif_transpose(Image.open(file))


def test_heic_names_the_package_that_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pillow-heif.*IMG_0001.HEIC.*pip install pillow-heif"):
        bx.load_images(tmp_path, SPEC)
    reader: Any = types.ModuleType("pillow_heif")
    registered: list[bool] = []
    reader.register_heif_opener = lambda: registered.append(True)
    monkeypatch.setitem(sys.modules, "pillow_heif", reader)
    with pytest.raises(ImageError, match="not an image"):
        bx.load_images(path, SPEC)
    assert registered == [True]


def test_photos_come_in_every_form(gradient_photo: Image.Image, tmp_path: Path) -> None:
    pixels = np.asarray(gradient_photo)
    path = save(gradient_photo, tmp_path / "b.png")
    save(ImageOps.mirror(gradient_photo), tmp_path / "a.png")
    (wanted,) = bx.load_images(path, SPEC)
    (mirrored,) = bx.load_images(tmp_path / "a.png", SPEC)
    with path.open("rb") as file:
        one: list[Any] = [gradient_photo, pixels, pixels / 255, path.read_bytes(), io.BytesIO(path.read_bytes()), file]
        for image in bx.load_images([str(path), *one], SPEC):
            np.testing.assert_allclose(image, wanted, atol=1e-6)
    for source in (gradient_photo, pixels, path.read_bytes(), pixels[None], np.array([str(path)]), iter([path])):
        np.testing.assert_array_equal(bx.load_images(source, SPEC), wanted[None])
    for folder in (tmp_path, str(tmp_path), [tmp_path], tmp_path.glob("*.png")):
        images = bx.load_images(folder, SPEC)
        assert sorted(photo.name for photo in images.photos or () if photo) == ["a.png", "b.png"]
    np.testing.assert_array_equal(bx.load_images(tmp_path, SPEC), [mirrored, wanted])
    mixed = bx.load_images([np.stack([pixels, pixels]), tmp_path, gradient_photo], SPEC)
    np.testing.assert_array_equal(mixed, [wanted, wanted, mirrored, wanted, wanted])


def test_arrays_may_be_grey_and_transparent() -> None:
    grey = np.full((8, 8), 51, np.uint8)
    for array in (grey, grey[..., None], np.stack([grey] * 3, axis=-1), grey / 255, grey.astype(np.int64)):
        np.testing.assert_allclose(bx.load_images(array, SPEC), 0.2, atol=1e-6)
    clear = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    np.testing.assert_allclose(bx.load_images(clear, SPEC), 1)
    np.testing.assert_allclose(bx.load_images(clear / 255, SPEC), 1)


def test_tensors_are_photos() -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(bx.load_images(torch.full((8, 8, 3), 0.2), SPEC), 0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "no photo.*None.*a path, a folder"),
        ([3], "no photo.*image 0, 3"),
        ({"a.png": 1}, "no photo"),
        ({"a.png"}, "set of photos has no order"),
        ([np.zeros((8, 8)), np.zeros((3, 8, 8))], r"image 1, an array \(3, 8, 8\).*transpose\(1, 2, 0\)"),
        (np.zeros((5, 8, 8)), r"list\(images\)"),
        (np.zeros((2, 3, 8, 8)), r"\(N, H, W, 3\).*go to explain as they are"),
        (np.zeros(8), r"array \(8,\)"),
        (io.StringIO("text"), r'opened as text.*open\(path, "rb"\)'),
    ],
)
def test_what_is_no_photo_at_all(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bx.load_images(given, SPEC)


def test_what_pillow_does_not_know_has_a_way_out(tmp_path: Path) -> None:
    np.save(tmp_path / "photo.npy", np.zeros((8, 8)))
    with pytest.raises(ImageError, match=r"numpy\.load"):
        bx.load_images(tmp_path / "photo.npy", SPEC)
    with pytest.raises(ImageError, match="tifffile"):
        bx.load_images(b"II*\0" + b"\0" * 20, SPEC)
    with pytest.raises(ImageError, match="download it first"):
        bx.load_images("http://127.0.0.1/cat.jpg", SPEC)
    with pytest.raises(ImageError, match="empty"):
        bx.load_images([b""], SPEC)
    with pytest.raises(ImageError, match="no photos in this folder"):
        bx.load_images(tmp_path, SPEC)


def test_a_photo_without_pixels_is_no_image() -> None:
    with pytest.raises(ImageError, match=r"has no pixels.*0 x 5"):
        bx.load_images([Image.new("RGB", (0, 5))], bx.InputSpec((3, 8, 8)))
