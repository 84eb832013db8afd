"""What the terminal shows: tables, errors and their exit status."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from blackbox_explain.errors import BlackBoxExplainError

__all__ = ["errors_as_messages", "show_error", "stderr", "stdout"]

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def show_error(message: str) -> None:
    """Print one error."""
    stderr.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


@contextmanager
def errors_as_messages() -> Generator[None]:
    """Show the package's own errors as messages, with exit status 2; Ctrl-C ends with 130."""
    try:
        yield
    except BlackBoxExplainError as error:
        show_error(str(error))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        stderr.print("interrupted; what was finished is kept")
        raise typer.Exit(130) from None
