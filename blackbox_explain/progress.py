"""Progress with time left, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Advance", "progress_bar"]

Advance = Callable[[int], None]
"""Called with the number of units done since the last call."""


@contextmanager
def progress_bar(total: int, label: str, show: bool | None = None) -> Generator[Advance]:
    """Show a bar while the block runs.

    Parameters
    ----------
    total
        Units of work.
    label
        What is being done.
    show
        True or False; None shows it on a terminal only.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda _units: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda units: progress.update(task, advance=units)
