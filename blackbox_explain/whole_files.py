"""Files that are there as a whole or not at all, whatever ends the process or the machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from blackbox_explain.errors import ResultError

__all__ = ["partial_name", "written_whole"]


def partial_name(name: str, writer: str) -> str:
    """Return the name that a file has while it is written: two may write one file, and the later one wins."""
    return f".{name}.{writer}.partial"


@contextmanager
def written_whole(path: Path, message: str, hint: str = "") -> Generator[Path]:
    """Yield another name to write a file under; at the end of the block it takes its own, and replaces what had it.

    Parameters
    ----------
    path
        Of the file.
    message
        What to say where it cannot be written.
    hint
        What to do then.

    Raises
    ------
    ResultError
        If it cannot be written; what was there before is still there.
    """
    partial = path.with_name(partial_name(path.name, secrets.token_hex(4)))
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ResultError(message, got=f"{path}: {error.strerror or error}", hint=hint) from error
        raise
