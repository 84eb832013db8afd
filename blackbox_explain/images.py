"""Photos from files: decoded, turned upright, resized to what the model reads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blackbox_explain.blackbox import InputSpec
from blackbox_explain.errors import ImageError, InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Fit", "find_photos", "load_image", "load_images"]

Fit = Literal["stretch", "crop", "pad"]
PHOTOS = ("JPEG", "JPEG2000", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
"""Formats that are looked for in folders, as Pillow names them."""

FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")


def load_images(
    paths: Sequence[str | Path] | str | Path, spec: InputSpec, *, fit: Fit = "crop", blur: float = 0.0
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read photos as the model reads them.

    Parameters
    ----------
    paths
        Files; one path is a list of one.
    spec
        The model's input: (1, H, W) for grey or (3, H, W) for colour.
    fit
        ``"crop"``: scale the short side, take the centre.  ``"stretch"``: ignore the proportions.  ``"pad"``: scale
        the long side, fill the rest with the mean colour.
    blur
        Standard deviation in pixels of the file, before resizing; the authors' code perturbs with 10 of them.

    Returns
    -------
    ndarray
        (N, C, H, W) float32 in ``spec.bounds``.

    Raises
    ------
    ImageError
        If a file is missing, empty, truncated, no image, or too large to be one (a decompression bomb).
    InputError
        If the model does not read grey or colour images, or `fit` is unknown.
    """
    files = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not files:
        raise InputError("There are no photos to load", got="an empty list", expected="at least one path")
    return np.stack([load_image(path, spec, fit=fit, blur=blur) for path in files])


def find_photos(folder: str | Path) -> list[Path]:
    """Return the photos of a folder and of the folders in it, by their suffixes, in the order of their names.

    Raises
    ------
    ImageError
        If there is no such folder, or it holds no photos.
    """
    from PIL import Image

    top = Path(folder)
    if not top.is_dir():
        raise ImageError("This is no folder of photos", got=str(folder), expected="a folder")
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in PHOTOS}
    found = sorted(path for path in top.rglob("*") if path.suffix.lower() in known and path.is_file())
    if not found:
        raise ImageError("There are no photos in this folder", got=str(folder), expected="JPEG, PNG and other formats")
    return found


def load_image(
    path: str | Path, spec: InputSpec, *, fit: Fit = "crop", blur: float = 0.0
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read one photo as (C, H, W); see `load_images`."""
    if not isinstance(spec, InputSpec):
        raise InputError("This is no InputSpec", got=f"a {type(spec).__name__}", hint="load_images(paths, box.spec)")
    if len(spec.shape) != 3 or spec.shape[0] not in (1, 3):
        raise InputError(
            "This model does not read photos", got=f"shape {spec.shape}", expected="(1, H, W) or (3, H, W)"
        )
    if fit not in FITS:
        raise InputError("There is no such fit", got=repr(fit), expected=", ".join(FITS))
    from PIL import ImageFilter

    photo = _upright(Path(path), "L" if spec.shape[0] == 1 else "RGB")
    if blur > 0:
        photo = photo.filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(_fitted(photo, (spec.shape[2], spec.shape[1]), fit), dtype=np.float32) / 255
    low, high = spec.bounds
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), -1, 0) * (high - low) + low, dtype=np.float32)


def _upright(path: Path, mode: str) -> Image.Image:
    """Decode a file in the mode RGB or L, turned as its EXIF tag says, transparency over white."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not path.exists():
        raise ImageError("There is no such file", got=str(path))
    if path.is_dir():
        raise ImageError("This is a folder", got=str(path), expected="an image file")
    if path.stat().st_size == 0:
        raise ImageError("The file is empty", got=str(path), expected="an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                upright = ImageOps.exif_transpose(file)
                return _converted(upright, mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            "The image is too large to be safe",
            got=f"{path}: {error}",
            hint="shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS",
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError("This is not an image", got=str(path), expected="JPEG, PNG or another photo format") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            "The image is damaged", got=f"{path}: {error}", hint="copy it again from its source"
        ) from error


def _converted(photo: Image.Image, mode: str) -> Image.Image:
    from PIL import Image

    if photo.mode.startswith("I") or photo.mode == "F":
        # Pillow clips 16 bits to 8 instead of scaling them.
        values = np.asarray(photo, dtype=np.float64)
        scale = 1.0 if photo.mode == "F" and values.max(initial=0) <= 1 else 65535.0
        photo = Image.fromarray(np.clip(np.round(values / scale * 255), 0, 255).astype(np.uint8))
    if "A" in photo.getbands() or "transparency" in photo.info:
        layered = photo.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        photo = Image.alpha_composite(white, layered)
    return photo.convert("RGB").convert(mode)


def _fitted(photo: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    from PIL import Image, ImageOps, ImageStat

    bicubic = Image.Resampling.BICUBIC
    if fit == "stretch":
        return photo.resize(size, bicubic)
    if fit == "crop":
        return ImageOps.fit(photo, size, bicubic)
    mean = [round(value) for value in ImageStat.Stat(photo).mean]
    return ImageOps.pad(photo, size, bicubic, color=tuple(mean) if len(mean) > 1 else mean[0])
