"""Where results go: found out before any work, made when there is something to write."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from blackbox_explain.errors import ResultError

__all__ = ["OutputFolder", "Printed", "interrupts_wait", "prepare_file"]


@dataclass(frozen=True)
class Printed:
    """What a command prints, as typed."""

    panel: ClassVar[str] = "Printing"

    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False

    @property
    def progress(self) -> bool:
        """Whether a terminal may show how far a run is."""
        return not (self.as_json or self.quiet)


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


@contextmanager
def interrupts_wait() -> Generator[None]:
    """Let Ctrl-C wait for the end of the block; pressed a second time, it does not wait."""
    before = signal.getsignal(signal.SIGINT)
    # What ignores interrupts, such as nohup, goes on to do so; and only the main thread may decide this.
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, frame: Any) -> None:
        if came:
            before(number, frame)
        came.append(number)

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _nearest(path: Path) -> Path:
    """Return the nearest folder above that exists, or the path itself."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _try_to_write(folder: Path) -> None:
    tempfile.TemporaryFile(dir=folder).close()
