"""``blackbox-explain audit``: explain a whole data set, and keep what was found whatever happens."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blackbox_explain.auditing.auditor import Audit, audit
from blackbox_explain.auditing.findings.sampled_rules import LEAST, SAMPLE
from blackbox_explain.auditing.plan import AuditPlan
from blackbox_explain.box.entry_points import DEFAULT_MODEL
from blackbox_explain.box.oracle import BATCH
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr
from blackbox_explain.cli.options.engine import EngineOptions
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.mask import MaskOptions
from blackbox_explain.cli.options.method import MethodOptions
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.cli.options.model_record import ModelRecord
from blackbox_explain.cli.options.output import Printed
from blackbox_explain.cli.options.photos import PhotoOptions
from blackbox_explain.cli.options.target import TargetOptions
from blackbox_explain.cli.shown.audit import show_audit, show_first_look
from blackbox_explain.cli.shown.explain import show_refused
from blackbox_explain.errors import InputError

__all__ = ["audit_command"]


@with_groups
def audit_command(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Photos, folders of photos with all folders in them, patterns such as 'photos/*.jpg', lists (.txt), "
            "Parquet files, and WebDataset shards (.tar).",
            show_default=False,
        ),
    ],
    *,
    model: Model = DEFAULT_MODEL,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="True classes: columns file and label. Default: of the shards.")
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="The objects: columns file, x0, y0, x1, y1 and label, in pixels of the file."),
    ] = None,
    which: TargetOptions,
    by: MethodOptions,
    mask: MaskOptions,
    reading: PhotoOptions,
    said: ModelOptions,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the results.")] = Path("audit"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the audit in --out; what is finished is kept.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Go on where the model may be shown the wrong pixels.")
    ] = False,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take the first N images.", min=1)] = None,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Images explained together.", min=1)] = BATCH,
    rules: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Images, drawn at random, on which it is learned how far an image may be turned, blurred and so on "
            f"before the answer changes: at least {LEAST}, or 0 for none.",
            min=0,
        ),
    ] = SAMPLE,
    running: EngineOptions,
    printed: Printed,
) -> None:
    """Explain every image of a data set, and find what a model relies on.

    The model is first shown 32 of the images in other ways too: where one of
    these is better, the audit stops and says which options to try. Then each
    image is explained and its region checked; what is found is written about
    once a minute. Interrupted or killed, the same command with --resume goes
    on. Images that cannot be explained are in the table with their errors, and
    the exit status is then 2.

    [bold]Examples[/]

      blackbox-explain audit photos --labels photos.csv --boxes photos.csv

      blackbox-explain audit 'shards/*.tar' --model net.onnx --mean 0.5 --std 0.25 --resume

      blackbox-explain audit photos --method mask --method grad-cam --limit 200 --out small
    """
    with errors_as_messages():
        given = replace(said, model=model)
        by.check(mask)
        box = given.wrapped()
        asked = by.of(box, mask)
        if asked.refused and not asked.methods:
            raise InputError("This model allows none of these methods", got="; ".join(asked.refused.values()))
        if not printed.quiet and not printed.as_json:
            show_refused(asked.refused)
        methods = {
            name: {key: value for key, value in options.items() if key not in ("seed", "suppress")}
            for name, options in asked.methods.items()
        }
        plan = AuditPlan(
            target=which.explained,
            top=which.top,
            methods=methods,
            suppress=mask.suppress,
            seed=mask.seed,
            batch_size=batch_size,
            fit=reading.fit,
            white=reading.white,
        )
        try:
            done = audit(
                box,
                images,
                out,
                plan=plan,
                labels=labels,
                boxes=boxes,
                limit=limit,
                resume=resume,
                accept_doubts=yes,
                engine=running.engine,
                workers=running.num_workers,
                ray_address=running.ray_address,
                gpus=running.gpus,
                load=given.wrapped,
                rules=rules,
                model=ModelRecord.of(given).to_dict(),
                command=shlex.join(["blackbox-explain", *sys.argv[1:]]),
                progress=None if printed.progress else False,
                told=lambda row: show_error(f"{row['path']}: {row['error']}"),
                looked=lambda look: None if printed.quiet or printed.as_json else show_first_look(look),
            )
        except KeyboardInterrupt:
            stderr.print(f"interrupted; what is finished is in {out}, and --resume goes on")
            raise typer.Exit(130) from None
        _show(done, printed)
        if done.unexplained():
            raise typer.Exit(2)


def _show(done: Audit, printed: Printed) -> None:
    if printed.as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2))
    elif not printed.quiet:
        show_audit(done)
