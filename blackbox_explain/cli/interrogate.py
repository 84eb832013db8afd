"""``blackbox-explain interrogate``: a page on which a photo is drawn on, and the model answers at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blackbox_explain.box.entry_points import DEFAULT_MODEL
from blackbox_explain.cli.console import errors_as_messages, stdout
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.cli.options.photos import PhotoOptions
from blackbox_explain.serving.server import serve
from blackbox_explain.serving.session import Session

__all__ = ["interrogate_command"]


@with_groups
def interrogate_command(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.", show_default=False)],
    *,
    model: Model = DEFAULT_MODEL,
    reading: PhotoOptions,
    said: ModelOptions,
    port: Annotated[
        int, typer.Option(metavar="N", help="Port of this machine; 0 takes a free one.", min=0, max=65535)
    ] = 0,
) -> None:
    """Draw on a photo, and read what the model says without what you drew.

    Serves one page to this machine alone, under an address that cannot be
    guessed; Ctrl-C ends it. Maps of methods can be laid over the photo, and
    their regions asked about.

    [bold]Example[/]

      blackbox-explain interrogate cat.jpg --model net.onnx
    """
    with errors_as_messages():
        box = replace(said, model=model).wrapped()
        session = Session(box, reading.reader.read(photo, box.spec))
        serve(session, port, lambda address: stdout.print(f"open {address} in a browser; Ctrl-C ends it"))
