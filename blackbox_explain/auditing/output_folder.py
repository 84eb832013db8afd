"""Where results go: found out before any work, made when there is something to write."""

from __future__ import annotations

import tempfile
from pathlib import Path

from blackbox_explain.errors import ResultError

__all__ = ["OutputFolder", "prepare_file"]


class OutputFolder:
    """A folder for results, which is not there before the first of them.

    Parameters
    ----------
    path
        As typed.

    Raises
    ------
    ResultError
        If nothing could be written there, or it is a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replaced = 0
        self._taken: set[str] = set()
        if path.exists() and not path.is_dir():
            raise ResultError(
                "The output folder cannot be written", got=f"{path}: it is a file", hint="a folder as --out"
            )
        try:
            _try_to_write(_nearest(path))
        except OSError as error:
            raise ResultError("The output folder cannot be written", got=f"{path}: {error.strerror}") from error

    def made(self) -> Path:
        """Return the folder, made if it was not there.

        Raises
        ------
        ResultError
            If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultError("The output folder cannot be written", got=f"{self.path}: {error.strerror}") from error
        return self.path

    def free_name(self, stem: str) -> str:
        """Give photos of the same name in different folders different names."""
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}"
        self._taken.add(name)
        self.replaced += (self.path / f"{name}.npz").exists()
        return name


def prepare_file(out: Path) -> None:
    """Find out before any work whether a file can be written; leaves everything as it is.

    Raises
    ------
    ResultError
        If it cannot.
    """
    try:
        if out.exists():
            out.open("a").close()
        else:
            _try_to_write(_nearest(out.parent))
    except OSError as error:
        raise ResultError("The file cannot be written", got=f"{out}: {error.strerror}") from error


def _nearest(path: Path) -> Path:
    """Return the nearest folder above that exists, or the path itself."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _try_to_write(folder: Path) -> None:
    tempfile.TemporaryFile(dir=folder).close()
