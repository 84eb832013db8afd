"""Photos resized to what the model reads, from files, folders, bytes, arrays and Pillow's images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.decoding import HEIF_SUFFIXES, array_of, decoded, name_of
from blackbox_explain.data.photos import FITS, Fit, LoadedImages, Photo, margin_of, part_read, size_in
from blackbox_explain.data.pixel_ranges import check_white
from blackbox_explain.errors import ImageError, InputError
from blackbox_explain.setting_ranges import is_number

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Fit", "find_photos", "fitted_image", "load_image", "load_images", "photo_suffixes"]

PHOTOS = ("JPEG", "JPEG2000", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
"""Formats that are looked for in folders, as Pillow names them; HEIF comes with a package of its own."""

CONTENTS = (bytes, bytearray, memoryview, dict)
"""What can be gone through and is still no collection of photos."""

LONG_SIDE = 2000
"""Pixels on the long side of the photos that images keep."""

KEPT_BYTES = 2**29
"""Memory for all photos that one call keeps; of very many photos smaller ones are kept, or none."""


def load_images(
    photos: Any, spec: InputSpec, *, fit: Fit = "crop", blur: float = 0.0, white: float | None = None
) -> LoadedImages:
    """Read photos as the model reads them.

    Parameters
    ----------
    photos
        Paths of files or folders (all photos in it, in the order of their names), contents of files as bytes, open
        binary files, PIL images, arrays (H, W), (H, W, 3) or (N, H, W, 3) of bytes or of floats in 0 to 1; one, or
        any mixture in a list.
    spec
        The model's input: (1, H, W) for grey or (3, H, W) for colour.
    fit
        ``"crop"``: scale the short side, take the centre.  ``"stretch"``: ignore the proportions.  ``"pad"``: scale
        the long side, fill the rest with the mean colour.
    blur
        Standard deviation in pixels of the file, before resizing; the authors' code perturbs with 10 of them.
    white
        The value of white in images of more than 8 bits, such as 4095 for 12 bits in a 16-bit TIFF; None is what the
        file tells, or what its brightest pixel leaves no doubt of: 1 or 255 for floats, 65535 for 16 bits.

    Returns
    -------
    LoadedImages
        (N, C, H, W) float32 in ``spec.bounds``, an array whose attribute ``photos`` holds a `Photo` for each image.

    Raises
    ------
    ImageError
        If a file is missing, empty, truncated, no image, or too large to be one (a decompression bomb); if pixels
        are NaN, or it is in doubt which value is white.
    InputError
        If the model does not read grey or colour images, `fit` is unknown, or something is no photo.
    """
    _check(spec, fit, white, blur)
    sources = list(_each(photos))
    if not sources:
        raise InputError("There are no photos to load", got="an empty list", expected="at least one path")
    side = min(LONG_SIDE, int((KEPT_BYTES / len(sources) / 3) ** 0.5))
    images: list[np.ndarray[Any, Any]] = []
    kept: list[Photo] = []
    for index, source in enumerate(sources):
        picture = decoded(source, _where(source, index), white)
        images.append(fitted_image(picture, spec, fit, blur))
        if side >= max(spec.spatial):
            kept.append(replace(_photo(picture, name_of(source), spec, fit, side), blur=float(blur)))
    return LoadedImages(np.stack(images), kept or None)


def find_photos(folder: str | Path) -> list[Path]:
    """Return the photos of a folder and of the folders in it, by their suffixes, in the order of their names.

    Raises
    ------
    ImageError
        If there is no such folder, or it holds no photos.
    """
    top = Path(folder)
    if not top.is_dir():
        raise ImageError("This is no folder of photos", got=str(folder), expected="a folder")
    known = photo_suffixes()
    found = sorted(path for path in top.rglob("*") if path.suffix.lower() in known and path.is_file())
    if not found:
        raise ImageError("There are no photos in this folder", got=str(folder), expected="JPEG, PNG and other formats")
    return found


def photo_suffixes() -> set[str]:
    """Return the suffixes of photos, in small letters and with their dots."""
    from PIL import Image

    Image.init()
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in PHOTOS} | set(HEIF_SUFFIXES)


def load_image(
    photo: Any, spec: InputSpec, *, fit: Fit = "crop", blur: float = 0.0, white: float | None = None
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read one photo as (C, H, W), without keeping it; see `load_images`."""
    _check(spec, fit, white, blur)
    sources = [photo] if isinstance(photo, (str, Path)) else list(_each(photo))
    if len(sources) != 1:
        raise InputError("This is not one photo", got=f"{len(sources)} of them", hint="load_images reads many")
    return fitted_image(decoded(sources[0], _where(sources[0], 0), white), spec, fit, blur)


def _check(spec: InputSpec, fit: Fit, white: float | None, blur: float) -> None:
    if not isinstance(spec, InputSpec):
        raise InputError("This is no InputSpec", got=f"a {type(spec).__name__}", hint="load_images(paths, box.spec)")
    if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
        raise InputError(
            "This model does not read photos", got=f"shape {spec.shape}", expected="(1, H, W) or (3, H, W)"
        )
    if fit not in FITS:
        raise InputError("There is no such fit", got=repr(fit), expected=", ".join(FITS))
    check_white(white)
    if not is_number(blur) or not 0 <= blur < np.inf:
        raise InputError("This is no blur", got=f"blur={blur!r}", expected="pixels of the photo, at least 0")


def _each(photos: Any) -> Iterator[Any]:
    """Yield one source for each photo."""
    if isinstance(photos, (str, Path)):
        yield from find_photos(photos) if Path(photos).is_dir() else [photos]
    elif (array := array_of(photos)) is not None:
        if array.ndim == 4 and array.shape[-1] not in (1, 3, 4):
            hint = "images that are as the model reads them, (N, C, H, W), go to explain as they are"
            raise InputError("These are no photos", got=f"an array {array.shape}", expected="(N, H, W, 3)", hint=hint)
        yield from array if array.ndim == 4 else [array]
    elif isinstance(photos, (set, frozenset)):
        raise InputError("A set of photos has no order", got=f"{len(photos)} photos", hint="give a list")
    elif isinstance(photos, Iterable) and not isinstance(photos, CONTENTS) and not hasattr(photos, "read"):
        for one in photos:
            yield from _each(one)
    else:
        yield photos


def _where(source: Any, index: int) -> str:
    """Name a photo in messages."""
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, np.ndarray):
        return f"image {index}, an array {tuple(source.shape)}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"image {index}, {len(source)} bytes"
    return name_of(source) or f"image {index}, {source!r}"[:80]


def fitted_image(
    picture: Image.Image, spec: InputSpec, fit: Fit, blur: float = 0.0
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a picture, as `decoded` returns it, as the model reads it: (C, H, W) float32; see `load_images`."""
    from PIL import ImageFilter

    photo = picture.convert("L") if spec.shape[0] == 1 else picture
    if blur > 0:
        photo = photo.filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(_fitted(photo, (spec.shape[2], spec.shape[1]), fit), dtype=np.float32) / 255
    low, high = spec.bounds
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), -1, 0) * (high - low) + low, dtype=np.float32)


def _fitted(photo: Image.Image, target: tuple[int, int], fit: Fit) -> Image.Image:
    from PIL import Image, ImageStat

    bicubic = Image.Resampling.BICUBIC
    if fit != "pad":
        return photo.resize(target, bicubic, box=part_read(photo.size, target, fit))
    shown = size_in(photo.size, target)
    mean = [round(value) for value in ImageStat.Stat(photo).mean]
    padded = Image.new(photo.mode, target, tuple(mean) if len(mean) > 1 else mean[0])
    margins = tuple(margin_of(one, whole) for one, whole in zip(shown, target, strict=True))
    padded.paste(photo.resize(shown, bicubic), (margins[0], margins[1]))
    return padded


def _photo(picture: Image.Image, name: str, spec: InputSpec, fit: Fit, side: int) -> Photo:
    from PIL import Image

    left, top, right, bottom = part_read(picture.size, (spec.shape[2], spec.shape[1]), fit)
    scale = min(1.0, side / max(picture.size))
    width, height = (max(1, round(one * scale)) for one in picture.size)
    smaller = picture if scale == 1 else picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2)
    across, down = width / picture.width, height / picture.height
    whole = None if scale == 1 else picture.size
    return Photo(name, np.array(smaller), (left * across, top * down, right * across, bottom * down), whole)
