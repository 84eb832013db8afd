"""``blackbox-explain report``: what an audit found, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from blackbox_explain.auditing.output_folder import prepare_file
from blackbox_explain.auditing.report_page import MOST_CARDS, write_report
from blackbox_explain.cli.console import errors_as_messages, stdout

__all__ = ["report_command"]


def report_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The --out of an audit, also while it runs.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the page is written. Default: report.html in the folder.")
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", help="Images that are shown, at most.", min=1)] = MOST_CARDS,
) -> None:
    """Write what an audit found as one HTML page that needs nothing else.

    Findings first, then a gallery: each photo with its region, what is left of
    the score share by share, and what the model says. Of more images than are
    shown, those that something was found of come first.

    [bold]Example[/]

      blackbox-explain report audit
    """
    with errors_as_messages():
        if out is not None:
            prepare_file(out)
        path = write_report(folder, out, most=most)
        size = path.stat().st_size / 2**20
        stdout.print(f"{escape(str(path))} ({size:.1f} MB)", soft_wrap=True)
