"""Files, bytes, arrays and Pillow's images: decoded, turned upright, in colour and 8 bits."""

from __future__ import annotations

import importlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import is_array_api_obj

from blackbox_explain.arrays import to_numpy
from blackbox_explain.data.pixel_ranges import WORD, as_bytes
from blackbox_explain.errors import ImageError, InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["HEIF_SUFFIXES", "SOURCES", "array_of", "decoded", "name_of"]

SOURCES = "a path, a folder, bytes, an open file, a PIL image, or an array (H, W) or (H, W, 3); or a list of them"

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

BITS, PHOTOMETRIC, LARGEST_SAMPLE = 258, 262, 341
"""Tags of TIFF 6.0: BitsPerSample, PhotometricInterpretation (0: white is zero), SMaxSampleValue."""

UNREAD = dict.fromkeys(
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "read this TIFF with tifffile, which knows more of its kinds, and give load_images the array",
) | {b"\x93NUMPY": "give load_images the array: load_images(numpy.load(path), ...)"}
"""What to do about files that Pillow does not know, by their first bytes."""

LOST = 63
"""Pillow keeps the upper 8 of 16 bits of a colour; where 14 bits were used, no more than this is left of white."""


def array_of(given: Any) -> np.ndarray[Any, Any] | None:
    """Return an array of numbers, of whatever library, on the host; None of anything else."""
    if isinstance(given, np.ndarray) or is_array_api_obj(given):
        array = to_numpy(given)
    elif hasattr(given, "shape") and hasattr(given, "__array__"):
        array = np.asarray(given)
    else:
        return None
    return array if array.dtype.kind in "biufc" else None


def name_of(source: Any) -> str:
    """Return the name of a source's file, without its folder; "" where it has none."""
    path = source if isinstance(source, (str, Path)) else getattr(source, "filename", getattr(source, "name", ""))
    return Path(path).name if isinstance(path, (str, Path)) else ""


def decoded(source: Any, where: str, white: float | None = None) -> Image.Image:
    """Return a picture in RGB and 8 bits, turned as its EXIF tag says, transparency over white.

    Parameters
    ----------
    source
        A path, bytes, an open file, a PIL image, or a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
    where
        Names it in messages.
    white
        The value of white in images of more than 8 bits; None is what the file tells, or infers it.

    Raises
    ------
    ImageError
        If it cannot be read.
    InputError
        If it is nothing that can hold a picture.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(source, np.ndarray):
        return _of_array(source, where, white)
    held, head = _held(source, where)
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        _register_heif(where)
    try:
        if isinstance(held, Image.Image):
            return _upright(held, where, white)
        with _opened(held) as file:
            _warn_of_pages(file, where)
            return _upright(file, where, white)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            "The image is too large to be safe",
            got=f"{where}: {error}",
            hint="shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS",
        ) from error
    except UnidentifiedImageError as error:
        hint = next((told for start, told in UNREAD.items() if head.startswith(start)), "")
        expected = "JPEG, PNG or another photo format"
        raise ImageError("This is not an image", got=where, expected=expected, hint=hint) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            "The image is damaged", got=f"{where}: {error}", hint="copy it again from its source"
        ) from error


def _held(source: Any, where: str) -> tuple[Any, bytes]:
    """Return what Pillow can open, and its first bytes."""
    from PIL import Image

    if isinstance(source, Image.Image):
        if not all(source.size):
            raise ImageError("This image has no pixels", got=f"{where}: {source.width} x {source.height}")
        return source, b""
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.exists():
            hint = "download it first" if "://" in str(source) else ""
            raise ImageError("There is no such file", got=where, hint=hint)
        if path.is_dir():
            raise ImageError("This is a folder", got=where, expected="an image file")
        if path.stat().st_size == 0:
            raise ImageError("The file is empty", got=where, expected="an image")
        try:
            with path.open("rb") as file:
                return path, file.read(12)
        except OSError as error:
            raise ImageError("The file cannot be read", got=f"{where}: {error.strerror}") from error
    content = source.read() if hasattr(source, "read") else source
    if isinstance(content, str):
        raise InputError("This file was opened as text", got=where, hint='open(path, "rb")')
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise InputError("This is no photo", got=where, expected=SOURCES)
    content = bytes(content)
    if not content:
        raise ImageError("The file is empty", got=where, expected="an image")
    return io.BytesIO(content), content[:12]


def _opened(held: Any) -> Image.Image:
    """Open a file, whose pixels are not decoded yet; one that is too large is an error."""
    from PIL import Image

    # Pillow only warns of what is up to twice too large, and filters of warnings are the whole process's: threads that
    # decode must not change them.
    file = Image.open(held)
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and file.width * file.height > most:
        file.close()
        raise Image.DecompressionBombError(f"{file.width} x {file.height} pixels, and {most} are allowed")
    return file


def _register_heif(where: str) -> None:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise ImageError(
            "HEIC photos are read with the package pillow-heif", got=where, hint="pip install pillow-heif"
        ) from error


def _warn_of_pages(file: Image.Image, where: str) -> None:
    pages = getattr(file, "n_frames", 1)
    # The second picture of an MPO, as cameras write it, is a preview or the other eye.
    if pages > 1 and file.format != "MPO":
        warnings.warn(f"{where} holds {pages} pictures: the first is read", UserWarning, stacklevel=4)


def _upright(file: Image.Image, where: str, white: float | None) -> Image.Image:
    from PIL import ImageOps

    tags = getattr(file, "tag_v2", {})
    sixteen = any(";16" in str(getattr(tile, "args", "")) for tile in getattr(file, "tile", ()))
    upright = ImageOps.exif_transpose(file)
    if upright.mode.startswith("I") or upright.mode == "F":
        values = np.asarray(upright)
        if file.format == "PNG":
            # Some versions of Pillow read 16 bits as 32.
            values = values.astype(np.uint16)
        grey = as_bytes(values, where, white=white, told=_white_told(file, tags))
        # Pillow turns this around in 8 bits alone.
        return _converted(_image(255 - grey if tags.get(PHOTOMETRIC) == 0 else grey))
    picture = _converted(upright)
    doubtful = sixteen and (white is None or white < WORD)
    if doubtful and 0 < (brightest := max(high for _, high in _extrema(picture))) <= LOST:
        raise ImageError(
            "Pillow keeps 8 of the 16 bits of these colours, and the picture does not fill them",
            got=f"{where}: at most {brightest / 255:.0%} of white",
            hint="white=65535, or --white 65535, if it is as dark; otherwise read it with tifffile or imageio, and "
            "give load_images the array",
        )
    return picture


def _extrema(picture: Image.Image) -> list[tuple[int, int]]:
    found: Any = picture.getextrema()
    return list(found)


def _white_told(file: Image.Image, tags: Any) -> float | None:
    """Return the value of white that a file in grey tells."""
    # Pillow scales it to 16 bits.
    if file.mode == "I" and file.format == "PPM":
        return WORD
    if LARGEST_SAMPLE in tags:
        told = tags[LARGEST_SAMPLE]
        return float(np.max(told)) or None
    bits = tags.get(BITS, (16,))
    depth = int(np.max(bits))
    return float(2**depth - 1) if depth < 16 else None


def _converted(photo: Image.Image) -> Image.Image:
    from PIL import Image

    if photo.has_transparency_data:
        layered = photo.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        photo = Image.alpha_composite(white, layered)
    return photo.convert("RGB")


def _of_array(values: np.ndarray[Any, Any], where: str, white: float | None) -> Image.Image:
    if values.ndim == 3 and values.shape[-1] not in (1, 3, 4):
        hint = "list(images) for grey ones (N, H, W)"
        if values.shape[0] in (1, 3, 4):
            hint = "image.transpose(1, 2, 0) puts channels last; what is as the model reads it goes to explain as it is"
        raise InputError("This array is no photo", got=where, expected="(H, W), (H, W, 3) or (N, H, W, 3)", hint=hint)
    if values.ndim not in (2, 3):
        raise InputError("This array is no photo", got=where, expected="(H, W), (H, W, 3) or (N, H, W, 3)")
    grey = values.ndim == 3 and values.shape[-1] == 1
    if not values.size:
        raise ImageError("This image has no pixels", got=where)
    if values.ndim == 3 and values.shape[-1] == 4 and values.dtype.kind == "f" and white is None:
        # Transparency is no brightness, but it has the range of the colours.
        brightest = values[..., :3].max()
        white = 1.0 if brightest <= 1 else None
        if white is None and values[..., 3].max() <= 1:
            values = np.concatenate([values[..., :3], values[..., 3:] * max(brightest, 255.0)], axis=-1)
    return _converted(_image(as_bytes(values[..., 0] if grey else values, where, white=white)))


def _image(values: np.ndarray[Any, np.dtype[np.uint8]]) -> Image.Image:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(values))
