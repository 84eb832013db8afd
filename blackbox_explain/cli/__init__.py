"""The command line: ``blackbox-explain``."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from blackbox_explain import __version__
from blackbox_explain.cli.commands import Commands, settings_of_help

__all__ = ["app", "main", "quiet_frameworks"]

FRAMEWORKS = r"(torch|tensorflow|tf_keras|keras|jax|onnx|onnxruntime|matplotlib|sklearn|google)(\.|$)"

app = typer.Typer(
    name="blackbox-explain",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    **settings_of_help(),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def everything(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Explain why a classifier decided as it did: learn the smallest region that its score depends on."""


def main() -> None:
    """Run the command line."""
    quiet_frameworks()
    try:
        app()
    finally:
        # Looking once more for circles among what frameworks left behind takes a third of a second of every command.
        gc.freeze()


def quiet_frameworks() -> None:
    """Keep what frameworks tell their developers out of what users read; where they fail, they raise errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=FRAMEWORKS)
