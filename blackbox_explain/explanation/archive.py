"""Results in files: NumPy archives without pickle, written at once or not at all; photos in them as JPEG."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from blackbox_explain.data.photos import Photo, Photos
from blackbox_explain.errors import ResultError
from blackbox_explain.explanation.format_1 import from_format_1
from blackbox_explain.whole_files import written_whole

__all__ = [
    "UNREADABLE",
    "archive_path",
    "completed",
    "finite",
    "not_saved",
    "packed_photos",
    "read_archive",
    "unpacked_photos",
    "write_archive",
]

FORMAT = 2

FORMER = {"stride": 8}
"""What masks were learned with before it was a setting."""

QUALITY = 90
"""Of photos; they are looked at, and nothing is computed from them."""

LOSSLESS = 256
"""Photos of no more pixels on either side are kept as they are: each of theirs is seen."""

UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, BadZipFile, MemoryError, zlib.error)
"""What reading a file of something else may raise."""


def not_saved(path: str | Path, error: BaseException) -> ResultError:
    """Return what to raise where reading a file raised one of `UNREADABLE`."""
    if isinstance(error, FileNotFoundError):
        return ResultError("There is no such file", got=str(path))
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    expected = "an .npz file written by Explanation.save"
    return ResultError("This is not a saved explanation", got=f"{path}: {reason}", expected=expected)


PICTURES = (".png", ".jpg", ".jpeg", ".pdf", ".svg", ".webp", ".gif", ".tif", ".tiff", ".bmp")
"""Suffixes that ask for a picture."""


def archive_path(path: Path) -> Path:
    """Return the name of the file that a result is saved as; `ResultError` if it is that of a picture."""
    if path.suffix.lower() in PICTURES:
        hint = f"result.plot().savefig({path.name!r})"
        raise ResultError("A result is saved as .npz; this is a picture", got=str(path), hint=hint)
    return path if path.suffix.lower() == ".npz" else path.with_name(path.name + ".npz")


SAFE, MOST_PACKED = 256 * 2**20, 200
"""Bytes of arrays that any file may unpack to, and how many times its own size one may that unpacks to more."""


def write_archive(path: Path, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Write arrays, and what JSON can hold, to one .npz file; a file of that name is replaced at the end.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, **meta}, default=_plain)
    with written_whole(path, "The result cannot be written") as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, meta=text, **arrays)


def _plain(value: Any) -> Any:
    """Turn the numbers and small arrays of NumPy into Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ResultError("This setting cannot be saved", got=f"{value!r}"[:80], expected="a number, a text or a list")


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the rest of a file that `write_archive` wrote.

    Raises
    ------
    ResultError
        If it has another format; one of `UNREADABLE` if it is something else.
    """
    with path.open("rb") as stream:
        if not is_zipfile(stream):
            # NumPy would speak of pickles.
            raise BadZipFile("it is no archive, or not a whole one")
        _check_size(path, stream)
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
    meta = json.loads(str(arrays.pop("meta")))
    found = meta.pop("format")
    if found == 1:
        arrays, meta = from_format_1(arrays, meta)
    elif found != FORMAT:
        hint = "read it with the version of blackbox_explain that wrote it"
        raise ResultError("This result has another format", got=f"{path}: {found}", expected=f"{FORMAT}", hint=hint)
    provenance = meta["provenance"]
    provenance["settings"] = completed(meta["method"], provenance["settings"])
    return arrays, meta


def completed(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of an earlier version with those that were none then."""
    return {**settings, **FORMER, **settings} if method == "mask" else settings


def _check_size(path: Path, stream: BinaryIO) -> None:
    """Raise `ResultError` where a small file would fill the memory; no member unpacks to more than it says."""
    with ZipFile(stream) as archive:
        members = archive.infolist()
    whole, packed = (sum(getattr(one, name) for one in members) for name in ("file_size", "compress_size"))
    if whole > SAFE and whole > MOST_PACKED * packed:
        got, expected = f"{path}: {whole / 2**20:,.0f} MiB in {packed / 2**20:,.1f}", "images, which pack less well"
        raise ResultError("This file would unpack to far more than a result does", got=got, expected=expected)


def packed_photos(photos: Photos | None) -> tuple[dict[str, Any], list[dict[str, Any] | None] | None]:
    """Return photos as bytes of JPEG, or of PNG where they are small, and their names and boxes for JSON.

    Rows that share a photo share its bytes.
    """
    if photos is None:
        return {}, None
    arrays: dict[str, Any] = {}
    told: list[dict[str, Any] | None] = []
    known: dict[int, str] = {}
    for index, photo in enumerate(photos):
        if photo is None:
            told.append(None)
            continue
        if id(photo.pixels) not in known:
            from PIL import Image

            stream = io.BytesIO()
            if max(photo.pixels.shape) <= LOSSLESS:
                Image.fromarray(photo.pixels).save(stream, "PNG")
            else:
                Image.fromarray(photo.pixels).save(stream, "JPEG", quality=QUALITY)
            name = known[id(photo.pixels)] = f"photo_{index}"
            arrays[name] = np.frombuffer(stream.getvalue(), np.uint8)
        pixels = known[id(photo.pixels)]
        kept = {"name": photo.name, "box": [float(one) for one in photo.box], "pixels": pixels}
        kept |= {} if photo.file_size is None else {"file_size": list(photo.file_size)}
        told.append(kept | ({"blur": photo.blur} if photo.blur else {}))
    return arrays, told


def unpacked_photos(arrays: dict[str, Any], told: list[dict[str, Any] | None] | None) -> Photos | None:
    """Return what `packed_photos` packed, and take it out of `arrays`."""
    if told is None:
        return None
    photos: list[Photo | None] = []
    decoded: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = {}
    for one in told:
        if one is None:
            photos.append(None)
            continue
        if one["pixels"] not in decoded:
            from PIL import Image

            stream = io.BytesIO(arrays.pop(one["pixels"]).tobytes())
            with Image.open(stream, formats=["JPEG", "PNG"]) as image:
                decoded[one["pixels"]] = np.asarray(image.convert("RGB"))
        left, top, right, bottom = one["box"]
        across, down = one.get("file_size", (0, 0))
        size = (int(across), int(down)) if across else None
        photos.append(
            Photo(one["name"], decoded[one["pixels"]], (left, top, right, bottom), size, float(one.get("blur", 0)))
        )
    return tuple(photos)


def finite(tree: Any) -> Any:
    """Return lists and dictionaries with None for every number that is not finite: JSON has no word for those."""
    if isinstance(tree, dict):
        return {name: finite(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite(value) for value in tree]
    if isinstance(tree, (float, np.floating)):
        return float(tree) if np.isfinite(tree) else None
    return tree
