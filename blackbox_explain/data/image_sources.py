"""The images of a data set, one by one: from folders, patterns, lists, Parquet files and WebDataset shards."""

from __future__ import annotations

import importlib
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from blackbox_explain.data.images import photo_suffixes
from blackbox_explain.data.photo_paths import photo_paths
from blackbox_explain.errors import BackendMissingError, ImageError, install_hint

__all__ = ["LISTS", "SHARDS", "SourceImage", "source_images"]

SHARDS = (".parquet", ".tar")
"""Suffixes of files that hold many images."""

LISTS = (".txt", ".lst")
"""Suffixes of files that name many images, one on each line."""

AUDITED = "audit.json"
"""A file of folders that an audit wrote."""

LABELS = ("cls", "label")
"""What a file beside an image of a WebDataset shard, or a column beside one of a Parquet file, tells its class by."""


READING = Lock()
"""Of the row groups in memory: threads that miss one would each read it."""


@dataclass(frozen=True)
class SourceImage:
    """One image of a data set, which is not read yet.

    Attributes
    ----------
    name
        Path of its file as typed; of an image within a shard, path of the shard and name or row in it.
    file
        The file that holds it.
    place
        Within a shard: first byte and bytes of a member of a .tar, or row group and row in it of a Parquet file.
    column
        Of a Parquet file.
    label
        What the shard says of its class: an index or a name; "" where it says nothing.
    error
        Why it cannot be read, where that is known already.
    """

    name: str
    file: str
    place: tuple[int, int] | None = None
    column: str = ""
    label: str = ""
    error: str = ""

    def content(self) -> bytes:
        """Read the file of the image, as it was encoded.

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        if self.error:
            raise ImageError("This image cannot be read", got=self.error)
        try:
            if self.column:
                found = _cell(self.file, self.column, *(self.place or (0, 0)))
                content = found.get("bytes") if isinstance(found, dict) else found
                if not isinstance(content, bytes):
                    raise ImageError("This row holds no image", got=f"{self.name}: {type(content).__name__}")
                return content
            with Path(self.file).open("rb") as file:
                if self.place is None:
                    return file.read()
                file.seek(self.place[0])
                return file.read(self.place[1])
        except OSError as error:
            raise ImageError("The file cannot be read", got=f"{self.name}: {error.strerror or error}") from error


def source_images(given: Sequence[Path], out: Path | None = None) -> list[SourceImage]:
    """Return the images that files, folders, patterns, lists and shards name, each once, in the order given.

    Parameters
    ----------
    given
        Photos; folders, which are searched with all folders in them, for photos, .parquet and .tar; patterns such as
        ``shards/*.tar``; lists (.txt, .lst) with a path on each line, as seen from the list; Parquet files with a
        column of encoded images (bytes, or a structure with a field ``bytes``); and WebDataset shards (.tar).
    out
        A folder of results, in which nothing is looked for.

    Returns
    -------
    list of SourceImage
        One that does not exist, or a shard that is damaged, is among them with its error.

    Raises
    ------
    ImageError
        If nothing is found at all.
    """
    found: dict[tuple[str, Any], SourceImage] = {}
    for path in _files(given, out):
        for one in _images_in(path):
            found.setdefault((str(Path(one.file).resolve()), one.place), one)
    if not found:
        raise ImageError("There are no images", got=", ".join(map(str, given)), expected="photos, or shards of them")
    return list(found.values())


def _files(given: Sequence[Path], out: Path | None) -> Iterator[Path]:
    for one in given:
        shards = sorted(path for suffix in SHARDS for path in one.rglob(f"*{suffix}")) if one.is_dir() else []
        # What an audit wrote is no image.
        shards = [path for path in shards if not (path.parent / AUDITED).exists()]
        if out is not None:
            shards = [path for path in shards if out.resolve() not in path.resolve().parents]
        yield from shards
        try:
            # Texts that a pattern fits are captions beside the photos; a list is named by itself.
            yield from (path for path in photo_paths([one], out) if path == one or path.suffix.lower() not in LISTS)
        except ImageError:
            # A folder of shards holds no photos of its own, and of several arguments one may be mistyped.
            if not shards and len(given) == 1:
                raise
            if not shards:
                yield one


def _images_in(path: Path) -> Iterator[SourceImage]:
    suffix = path.suffix.lower()
    if suffix in LISTS and path.is_file():
        yield from _listed(path)
    elif suffix == ".tar" and path.is_file():
        yield from _members(path)
    elif suffix == ".parquet" and path.is_file():
        yield from _rows(path)
    else:
        yield SourceImage(str(path), str(path))


def _listed(path: Path) -> Iterator[SourceImage]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        yield SourceImage(str(path), str(path), error=f"{path}: {error}")
        return
    for line in filter(None, map(str.strip, lines)):
        yield SourceImage(str(path.parent / line), str(path.parent / line))


def _members(path: Path) -> Iterator[SourceImage]:
    """Yield the photos of a WebDataset shard: the files that share a name up to its first point belong together."""
    known, damaged = photo_suffixes(), ""
    labels: dict[str, str] = {}
    photos: list[tuple[str, tarfile.TarInfo]] = []
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if not member.isfile():
                    continue
                folder, sign, last = member.name.rpartition("/")
                key, _, rest = last.partition(".")
                if f".{rest.rpartition('.')[2].lower()}" in known:
                    photos.append((f"{folder}{sign}{key}", member))
                elif rest in LABELS and member.size < 1000 and (file := shard.extractfile(member)) is not None:
                    labels[f"{folder}{sign}{key}"] = file.read().decode("utf-8", "replace").strip()
    except (tarfile.TarError, OSError, EOFError) as error:
        damaged = f"{path}: {error}"
    for key, member in photos:
        place = member.offset_data, member.size
        yield SourceImage(f"{path}/{member.name}", str(path), place, label=labels.get(key, ""))
    if damaged:
        yield SourceImage(str(path), str(path), error=damaged)


def _rows(path: Path) -> Iterator[SourceImage]:
    try:
        file = _parquet(str(path))
        schema = file.schema_arrow
        column = _image_column(schema)
        label = next((name for name in schema.names if name.lower() in LABELS), None)
        if column is None:
            raise ValueError("no column of bytes")
        for group in range(file.num_row_groups):
            labels = file.read_row_group(group, columns=[label]).column(0).to_pylist() if label else None
            for row in range(file.metadata.row_group(group).num_rows):
                said = "" if labels is None or labels[row] is None else str(labels[row])
                yield SourceImage(f"{path}/{group}-{row}", str(path), (group, row), column, said)
    except (OSError, ValueError) as error:
        yield SourceImage(str(path), str(path), error=f"{path}: {error}")


def _image_column(schema: Any) -> str | None:
    from pyarrow import types

    for field in schema:
        kind = field.type
        if types.is_binary(kind) or types.is_large_binary(kind):
            return field.name
        if types.is_struct(kind) and any(part.name == "bytes" for part in kind):
            return field.name
    return None


def _parquet(path: str) -> Any:
    try:
        return importlib.import_module("pyarrow.parquet").ParquetFile(path)
    except ImportError as error:
        raise BackendMissingError("Parquet files are read with pyarrow", hint=install_hint("audit")) from error


def _cell(path: str, column: str, group: int, row: int) -> Any:
    """Return what is in one row of one row group: rows are asked for one after the other, by several threads."""
    found = Path(path).stat()
    with READING:
        return _column(path, column, group, (found.st_mtime_ns, found.st_size))[row].as_py()


@lru_cache(maxsize=2)
def _column(path: str, column: str, group: int, _version: tuple[int, int]) -> Any:
    """Read the images of one row group, as they are encoded; those of a file that was replaced are read again."""
    try:
        return _parquet(path).read_row_group(group, columns=[column]).column(0)
    except ValueError as error:
        raise ImageError("This shard is damaged", got=f"{path}: {error}") from error
