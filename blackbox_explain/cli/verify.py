"""``blackbox-explain verify``: whether what a saved result says of a model still holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.cli.console import errors_as_messages, stderr, stdout, tell
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import ModelOptions, complete_models
from blackbox_explain.cli.options.model_of_result import options_for, wrapped_for
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.verifying.certificate import Certificate, Check, RowCertificate
from blackbox_explain.verifying.certification import TOLERANCE, verify
from blackbox_explain.verifying.restored_settings import LACKS, NUMBERS

__all__ = ["verify_command"]

WORDS = {name: words.removeprefix("the ") for name, words in NUMBERS.items() if name != "objective"}


@with_groups
def verify_command(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="An .npz file that explain wrote.")],
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model, as explain takes it. Default: that of the result, with the options it was given.",
            autocompletion=complete_models,
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option(help="How far a score may be from the one stated.", min=0)] = TOLERANCE,
    seeds: Annotated[
        int, typer.Option(help="Learn the mask again with so many other seeds, and say how alike they are.", min=0)
    ] = 2,
    typed: ModelOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Recompute what a result says, and fail where it no longer holds.

    A result of explain knows its model and the options that it was given; what
    is given here comes before them. (--mean, --std, --range and --bgr are one:
    where one is given, none of them is taken from the result.)

    The exit status is 0 if every claim holds, 1 if one does not, 2 after an
    error. What perturbations do that the mask was not learned with, shifts of
    the image, and other seeds are measured and shown; no claim is made of them.

    [bold]Examples[/]

      blackbox-explain verify explanations/cat.npz

      blackbox-explain verify cat.npz --model moved/net.onnx --seeds 0 --json
    """
    with errors_as_messages():
        loaded = Explanation.load(result)
        given = options_for(loaded, result, typed, model)
        box = wrapped_for(loaded, given, typed)
        found = verify(loaded, box, tolerance=tolerance, seeds=seeds, progress=False if as_json else None)
        if as_json:
            typer.echo(json.dumps({"result": str(result), "model": given.model, **found.to_dict()}, indent=2))
        else:
            _show(found, box)
            if seeds and not any(row.seeds for row in found.rows):
                stderr.print(f"[yellow]note:[/] no mask was learned with other seeds: {LACKS}")
        if not found.holds:
            raise typer.Exit(1)


def _show(found: Certificate, box: BlackBox) -> None:
    for number, row in enumerate(found.rows):
        name = escape(row.target)
        if len(found.rows) > 1:
            name += f", mask {number + 1} of {len(found.rows)}"
        stdout.print(_table(row, name))
        if row.outcome.kind != "ok":
            stdout.print(escape(str(row.outcome)))
        _show_checks(row.checks)
    _show_checks((found.model,))
    if found.failed:
        stdout.print(f"{found.failed} further rows of the result say that they failed; they claim nothing.")
    colour = "green" if found.holds else "red"
    stdout.print(f"[bold {colour}]{escape(found.sentence)}[/]")
    tell("assumed", BoxInfo.of(box).assumptions)


def _table(row: RowCertificate, name: str) -> Table:
    table = Table(name)
    table.add_column("stated", justify="right")
    table.add_column("found", justify="right")
    for key, words in WORDS.items():
        table.add_row(words, _number(key, row.stated[key]), _number(key, row.found[key]))
    table.add_section()
    for perturbation, value in row.elsewhere.items():
        table.add_row(f"suppression by {perturbation} instead", "", _number("", value))
    if row.jitter is not None:
        low, mean, high = (f"{one:.4f}" for one in row.jitter)
        table.add_row(f"score after the mask, {row.shifts} shifts", "", f"{low} to {high}, mean {mean}")
    if row.seeds:
        for words, values in zip(("correlation", "IoU at equal area"), zip(*row.seeds, strict=True), strict=True):
            many = f"{len(values)} other seed{'s' * (len(values) > 1)}"
            table.add_row(f"{words}, {many}", "", " ".join(_number("", one) for one in values))
    return table


def _number(key: str, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.1%}" if key == "area" else f"{value:.4f}" if key.startswith("score") else f"{value:.3f}"


def _show_checks(checks: Sequence[Check]) -> None:
    """Say what does not hold or cannot be checked, and how much holds."""
    held = [one for one in checks if one.held]
    if held:
        words = held[0].claim if len(held) == 1 else f"{len(held)} of {len(checks)} claims"
        stdout.print(f"[green]{'holds' if len(held) == 1 else 'hold '}[/]   {escape(words)}")
    for one in checks:
        if one.held is None:
            stdout.print(f"[yellow]unknown[/] {escape(one.claim)}: {escape(one.reason)}")
        elif not one.held:
            stdout.print(f"[red]BROKEN[/]  {escape(one.claim)}: {escape(one.reason)}")
