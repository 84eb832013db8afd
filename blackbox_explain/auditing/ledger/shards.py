"""Shards of an audit's table: Parquet files, written under another name and renamed, so that none is half there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_explain.auditing.ledger.columns import KEY, Row, arrow, table_of
from blackbox_explain.errors import ResultError
from blackbox_explain.whole_files import partial_name, written_whole

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "ShardWriter",
    "finished_images",
    "paths_of",
    "read_shards",
    "remove_unfinished",
    "shard_paths",
    "shard_tables",
]

NAME = re.compile(r"rows-(\d{4})-(\d{9})\.parquet")
"""Number of the run, the first of which is 0, and of the shard in it."""


@dataclass
class ShardWriter:
    """Writes rows to shards of a folder.

    Attributes
    ----------
    folder
        Where.
    schema
        The columns.
    run
        Number of the run.
    """

    folder: Path
    schema: pyarrow.Schema
    run: int
    _rows: list[Row] = field(init=False, default_factory=list[Row])
    _count: int = field(init=False, default=0)

    def __len__(self) -> int:
        """Return the number of rows that are not written yet."""
        return len(self._rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows until the next `flush`."""
        self._rows.extend(rows)

    def flush(self) -> None:
        """Write the rows that were added since the last time, as one shard.

        Raises
        ------
        ResultError
            If it cannot be written, as on a full disk; the rows are kept for another attempt.
        """
        if not self._rows:
            return
        path = self.folder / f"rows-{self.run:04d}-{self._count:09d}.parquet"
        write_table(table_of(self._rows, self.schema), path)
        self._count += 1
        self._rows.clear()


def write_table(table: pyarrow.Table, path: Path) -> None:
    """Write a Parquet file that is there as a whole or not at all, also after the machine went down.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    hint = "the same command with --resume, once there is room: what was written before is kept"
    with written_whole(path, "The results cannot be written", hint) as partial, partial.open("wb") as file:
        arrow("parquet").write_table(table, file, compression="zstd", write_page_checksum=True)


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of an audit, in the order in which they were written."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def remove_unfinished(folder: Path) -> None:
    """Remove what a run that was killed had begun to write."""
    for path in folder.glob(partial_name("rows-*.parquet", "*")):
        path.unlink(missing_ok=True)


def shard_tables(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
    """Yield what counts of each shard, the last first, one in memory: of an image what the last run found.

    Parameters
    ----------
    folder
        Of the audit.
    columns
        Names of those that are wanted; None takes all.

    Raises
    ------
    ResultError
        If there is no shard, or one is damaged.
    """
    pa = arrow()
    paths = shard_paths(folder)
    if not paths:
        raise ResultError("There are no results in this folder", got=str(folder), expected="an audit that has begun")
    several = _run_of(paths[0]) != _run_of(paths[-1])
    named: list[str] = [*(columns or ()), *(["path"] if several else [])]
    wanted = None if columns is None else list(dict.fromkeys(named))
    later = np.zeros(0, dtype=np.uint64)
    for _, shards in groupby(reversed(paths), key=_run_of):
        own = [later]
        for path in shards:
            table = _read(path, wanted)
            if several:
                own.append(_hashes(table.column("path").to_pylist()))
                found = np.searchsorted(later, own[-1])
                is_last = np.append(later, 0)[found] != own[-1]
                is_last |= found == len(later)
                table = table if is_last.all() else table.filter(pa.array(is_last))
            yield table if columns is None else table.select(list(dict.fromkeys(columns)))
        later = np.unique(np.concatenate(own))


def read_shards(folder: Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Read the table of an audit, ordered by `KEY`; parameters and errors are those of `shard_tables`."""
    wanted = None if columns is None else [*columns, *KEY]
    tables = list(shard_tables(folder, wanted))
    joined = arrow().concat_tables(tables).sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    return joined if columns is None else joined.select(list(columns))


def paths_of(folder: Path, positions: Collection[int]) -> dict[int, str]:
    """Return the paths of images by their places in the data set; errors are those of `shard_tables`."""
    rows = (row for table in shard_tables(folder, ["position", "path"]) for row in table.to_pylist())
    return {row["position"]: row["path"] for row in rows if row["position"] in positions}


def _read(path: Path, columns: Sequence[str] | None) -> pyarrow.Table:
    hint = "remove it and resume the audit: its images are then explained again"
    try:
        table = arrow("parquet").read_table(path, columns=columns, page_checksum_verification=True)
    except (OSError, ValueError, arrow().ArrowException) as error:
        raise ResultError("A shard of this audit is damaged", got=f"{path}: {error}", hint=hint) from error
    if lacks := [name for name in (*KEY, "path") if columns is None and name not in table.column_names]:
        raise ResultError("A shard of this audit is damaged", got=f"{path}: no column {lacks[0]}", hint=hint)
    if lacks := [name for name in columns or () if name not in table.column_names]:
        raise ResultError("A shard of this audit lacks a column", got=f"{path}: no {lacks[0]}", hint=hint)
    return table


def _run_of(path: Path) -> int:
    return int(NAME.fullmatch(path.name)[1])  # type: ignore[index] - `shard_paths` matched it


def _hashes(names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return eight bytes for each path: among a million, two are the same once in forty million audits."""
    joined = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(joined, dtype=np.uint64)


def finished_images(folder: Path) -> frozenset[tuple[str, str, int]]:
    """Return path, digest and place of each image that needs not be explained again: those that a model failed on do.

    Raises
    ------
    ResultError
        If a shard is damaged.
    """
    if not shard_paths(folder):
        return frozenset()
    table = read_shards(folder, ["path", "sha256", "position", "method", "error"]).to_pylist()
    again = {row["path"] for row in table if row["error"] is not None and (row["method"] or not row["sha256"])}
    return frozenset((row["path"], row["sha256"], row["position"]) for row in table if row["path"] not in again)
