"""The rows of a CSV file that has some columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blackbox_explain.errors import InputError

__all__ = ["CsvLine", "csv_lines", "photo_lines"]


@dataclass(frozen=True)
class CsvLine:
    """One row of a CSV file.

    Attributes
    ----------
    place
        File and line, for messages.
    cells
        By the names of their columns, without the spaces around them.
    """

    place: str
    cells: dict[str, str]


def csv_lines(path: str | Path, columns: Sequence[str]) -> Iterator[CsvLine]:
    """Yield the rows of a CSV file that has some columns, their names in any case.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or has a row of another length.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().casefold() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing:
                raise InputError(
                    f"{path} lacks the column {missing[0]}",
                    got=", ".join(header) or "an empty file",
                    expected="a first row with " + ", ".join(columns),
                    hint="commas between the cells"
                    if len(header) == 1 and any(one in header[0] for one in ";\t|")
                    else "",
                )
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                place = f"{path}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise InputError(
                        f"{place} has another number of cells", got=str(len(cells)), expected=str(len(header))
                    )
                yield CsvLine(place, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except OSError as error:
        raise InputError("The CSV file cannot be read", got=f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("This is not a CSV file", got=f"{path}: {error}", expected="text in UTF-8") from error


def photo_lines(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[str, CsvLine]]:
    """Yield the rows of a CSV file about photos, each with the name of its photo's file, without folders.

    Parameters
    ----------
    path, columns
        As in `csv_lines`; the column ``file`` is asked for besides.

    Raises
    ------
    InputError
        As `csv_lines`, and if a row names no file, or two photos have one name.
    """
    files: dict[str, str] = {}
    for line in csv_lines(path, ("file", *columns)):
        file = line.cells["file"].replace("\\", "/").removeprefix("./")
        name = file.rpartition("/")[2]
        if not name:
            raise InputError(f"{line.place} names no file", expected="a name in the column file")
        if files.setdefault(name, file) != file:
            raise InputError(
                f"{line.place}: two photos have one name",
                got=f"{files[name]} and {file}",
                expected="names that tell them apart: results keep no folders",
            )
        yield name, line
