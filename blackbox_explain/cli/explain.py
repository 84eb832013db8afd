"""``blackbox-explain explain``: photos in, pictures and results out."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.auditing.photo_run import PhotoResult, PhotoRun
from blackbox_explain.box.entry_points import DEFAULT_MODEL
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import BATCH
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, tell
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.mask import MaskOptions
from blackbox_explain.cli.options.method import MOST_TOLD, MethodOptions
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.cli.options.model_record import ModelRecord
from blackbox_explain.cli.options.output import Printed
from blackbox_explain.cli.options.photos import Images, PhotoOptions
from blackbox_explain.cli.options.target import TargetOptions
from blackbox_explain.cli.shown.explain import show_found, show_refused
from blackbox_explain.data.photo_paths import photo_paths
from blackbox_explain.errors import InputError
from blackbox_explain.explanation import Explanation
from blackbox_explain.progress import progress_bar
from blackbox_explain.report.contact_sheet import save_sheet
from blackbox_explain.report.page.of_explanations import page_of
from blackbox_explain.report.page.writing import write_page

__all__ = ["explain_command"]


@with_groups
def explain_command(
    images: Images,
    *,
    model: Model = DEFAULT_MODEL,
    which: TargetOptions,
    by: MethodOptions,
    mask: MaskOptions,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Most photos explained together. Slow models get fewer, so that finished photos are written soon.",
            min=1,
        ),
    ] = BATCH,
    reading: PhotoOptions,
    said: ModelOptions,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for pictures and results.")] = Path(
        "explanations"
    ),
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Draw one picture of all photos of the run besides: sheet.png.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write one page of all photos of the run besides: report.html.")
    ] = False,
    printed: Printed,
) -> None:
    """Find the smallest region of each photo that the class score depends on.

    Writes a picture (.png), a result (.npz) and a summary (.json) for each
    photo. Photos that cannot be explained are named, the others are finished,
    and the exit status is 2. Ctrl-C keeps what is finished.

    [bold]Examples[/]

      blackbox-explain explain cat.jpg

      blackbox-explain explain photos --target tabby --game preservation --preset paper --out masks

      blackbox-explain explain cat.jpg --target "tiger cat" --versus tabby

      blackbox-explain explain cat.jpg --top 5

      blackbox-explain explain photos --sheet --report

      blackbox-explain explain cat.jpg --method grad-cam --method occlusion --setting side=48

      blackbox-explain explain cat.jpg --method all

      blackbox-explain explain cat.jpg --model net.onnx --classes names.txt --mean 0.5 --std 0.25

      blackbox-explain explain cat.jpg --model caffe.onnx --mean 123,117,104 --range 255 --std 1 --bgr

      blackbox-explain explain cat.jpg --model mobilenet.tflite --queries 5000

      blackbox-explain explain cat.jpg --model http://127.0.0.1:8000/scores --shape 3,224,224 --option timeout=30
    """
    with errors_as_messages():
        folder = OutputFolder(out)
        explained, top = which.explained, which.top
        paths = photo_paths(images, out)
        given = replace(said, model=model)
        by.check(mask)
        box = given.wrapped()
        started = time.perf_counter()
        asked = by.of(box, mask)
        if sheet and len(asked.methods) + len(asked.refused) > 1:
            got, hint = "--sheet beside several --method", "the picture of each photo shows all of them"
            raise InputError("--sheet shows several photos by one method", got=got, hint=hint)
        if top is not None and len(asked.methods) + len(asked.refused) > 1:
            raise InputError("--top explains several classes by one method", got="--top beside several --method")
        if len(asked.runs) > MOST_TOLD and not printed.quiet and not printed.as_json:
            tell("cost", [asked.cost])
        photos = PhotoRun(
            box,
            folder,
            explained,
            reading.reader,
            batch_size,
            asked.methods,
            ModelRecord.of(given).to_dict(),
            top,
            _tell_error,
            keep=sheet,
            refused=asked.refused,
        )
        sheet_path = folder.path / f"{folder.free_name('sheet')}.png" if sheet else None
        queries = (top or 1) * asked.queries
        label = f"explaining {len(paths)} photo{'s' * (len(paths) > 1)}"
        interrupted = False
        try:
            with progress_bar(len(paths) * queries, label, None if printed.progress else False) as advance:
                photos.run(paths, queries, advance)
        except KeyboardInterrupt:
            interrupted = True
        found = photos.found
        if sheet_path is not None and photos.kept:
            save_sheet(photos.kept, sheet_path)
        if report and any(one.rows for one in found):
            _write_page(found, model, folder.path / "report.html")
        if printed.as_json:
            typer.echo(json.dumps([row for one in found for row in one.to_list()], indent=2))
        elif not printed.quiet and any(not one.error for one in found):
            show_found(found, len(paths), folder, time.perf_counter() - started, BoxInfo.of(box).assumptions)
            show_refused(photos.refused)
        if interrupted:
            good = sum(not one.error for one in found)
            stderr.print(f"interrupted; {good} of {len(paths)} photos are finished and kept")
            raise typer.Exit(130)
        named = set(by.method or ()) - {"all"}
        if any(one.error or one.failures for one in found) or named.intersection(photos.refused):
            raise typer.Exit(2)


def _write_page(found: Sequence[PhotoResult], model: str, path: Path) -> None:
    """Write the report of what a run found, read again from its files."""
    results = [Explanation.load(file) for one in found for file in one.files if file.suffix == ".npz"]
    write_page(page_of(results, model=model, command=shlex.join(["blackbox-explain", *sys.argv[1:]])), path)


def _tell_error(result: PhotoResult) -> None:
    if result.error:
        known = str(result.path) in result.error
        show_error(result.error if known else f"{result.path}: {result.error}")
