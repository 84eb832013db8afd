"""What the terminal shows: tables, errors and their exit status."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from blackbox_explain.errors import BlackBoxExplainError

__all__ = ["End", "Start", "errors_as_messages", "numbers_table", "show_error", "stderr", "stdout", "tell"]

WIDE = 100_000
"""Columns where there is no terminal: a line that is piped or kept in a file is never broken."""

PIPE_CLOSED = 141
"""The exit status that a shell gives to what writes into a pipe that nobody reads."""

NARROW = 72
"""Columns below which scores have two digits."""

LEAST = 8
"""Columns that a name is left, at least."""


class _Output(Console):
    """A console that breaks lines on a terminal alone."""

    @property
    def size(self) -> ConsoleDimensions:
        known = super().size
        return known if self.is_terminal else ConsoleDimensions(WIDE, known.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def on_broken_pipe(self) -> None:
        """End with the status of what writes into a closed pipe: the usual 1 would be a verdict."""
        raise _enough()


def _enough() -> SystemExit:
    """Return what ends a command whose reader has enough, as `head` does; what is still to be written goes nowhere."""
    _write_nowhere()
    return SystemExit(PIPE_CLOSED)


def _write_nowhere() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


stdout = _Output(highlight=False)
stderr = _Output(stderr=True, highlight=False)


class Start:
    """A text in one line of a table, cut at its end where there is no room."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the most columns that it takes."""
        whole = cell_len(self._text)
        return Measurement(min(whole, LEAST), whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Cut it to the columns that there are."""
        yield Text(self._cut(options.max_width), no_wrap=True, overflow="ignore")

    def _cut(self, width: int) -> str:
        text = self._text
        if cell_len(text) > width:
            while text and cell_len(text) > width - 1:
                text = text[:-1]
            text += "…"
        return text


class End(Start):
    """A text in one line of a table, cut at its beginning: what tells files apart is at the end of their names."""

    def _cut(self, width: int) -> str:
        text = self._text
        if cell_len(text) > width:
            while text and cell_len(text) > width - 1:
                text = text[1:]
            text = f"…{text}"
        return text


def numbers_table(names: Sequence[str], numbers: Sequence[str], last: Sequence[str] = ()) -> tuple[Table, int]:
    """Return a table of names and numbers for this width, without lines that a pipe would have to cut off.

    Parameters
    ----------
    names
        Heads of the columns that may be cut.
    numbers
        Heads of the columns that are not.
    last
        Heads of columns of text that are not cut either.

    Returns
    -------
    table
        Without rows.
    digits
        How many a score has room for.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for head in names:
        table.add_column(head)
    for head in numbers:
        table.add_column(head, justify="right", no_wrap=True)
    for head in last:
        table.add_column(head, no_wrap=True)
    return table, 4 if stdout.width >= NARROW else 2


def show_error(message: str) -> None:
    """Print one error."""
    stderr.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


def tell(kind: str, sentences: Iterable[str]) -> None:
    """Print what was assumed or noted beside the results, each once."""
    for sentence in dict.fromkeys(sentences):
        stderr.print(f"[dim]{escape(kind)}: {escape(sentence)}[/]", soft_wrap=True)


@contextmanager
def errors_as_messages() -> Generator[None]:
    """Show the package's own errors as messages, with exit status 2; Ctrl-C ends with 130."""
    try:
        yield
    except BlackBoxExplainError as error:
        show_error(str(error))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print("interrupted")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise _enough() from None
    except OSError as error:
        if error.filename is not None or error.errno != errno.ENOSPC:
            raise
        _write_nowhere()
        show_error(f"The output cannot be written. Got {error.strerror}.")
        raise typer.Exit(2) from None
