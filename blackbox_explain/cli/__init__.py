"""The command line: ``blackbox-explain``."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from blackbox_explain import __version__
from blackbox_explain.cli.audit import audit_command
from blackbox_explain.cli.compare import compare_command
from blackbox_explain.cli.evaluate import evaluate_command
from blackbox_explain.cli.explain import explain_command
from blackbox_explain.cli.interrogate import interrogate_command
from blackbox_explain.cli.methods import methods_command
from blackbox_explain.cli.models import models_app
from blackbox_explain.cli.report import report_command
from blackbox_explain.cli.rules import rules_command
from blackbox_explain.cli.verify import verify_command

__all__ = ["app", "main", "quiet_frameworks"]

FRAMEWORKS = r"(torch|tensorflow|tf_keras|keras|jax|onnx|onnxruntime|matplotlib|sklearn|google)(\.|$)"

app = typer.Typer(
    name="blackbox-explain",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("explain")(explain_command)
app.command("audit")(audit_command)
app.command("interrogate")(interrogate_command)
app.command("report")(report_command)
app.command("methods")(methods_command)
app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)
app.command("rules")(rules_command)
app.command("verify")(verify_command)
app.add_typer(models_app, name="models")


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
    app()


def quiet_frameworks() -> None:
    """Keep what frameworks tell their developers out of what users read; where they fail, they raise errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=FRAMEWORKS)
