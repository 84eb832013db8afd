"""``blackbox-explain explain``: photos in, pictures and results out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.blackbox import DifferentiableBlackBox
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout
from blackbox_explain.cli.model_options import (
    Bgr,
    Cache,
    Classes,
    Device,
    Mean,
    Model,
    Options,
    Output,
    Range,
    Shape,
    Std,
    wrapped,
)
from blackbox_explain.cli.run import PhotoResult, Photos, prepare_folder, target_from
from blackbox_explain.explain import BATCH
from blackbox_explain.images import Fit
from blackbox_explain.presets import PRESETS, PerturbationName, PresetName, Settings
from blackbox_explain.progress import progress_bar
from blackbox_explain.registry import DEFAULT_MODEL
from blackbox_explain.regularizers import Game

__all__ = ["explain_command"]


def explain_command(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos: JPEG, PNG and other formats.")],
    model: Model = DEFAULT_MODEL,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Class name or index; repeat it for the sum of several. Default: the top class of each photo."
        ),
    ] = None,
    versus: Annotated[str | None, typer.Option(help="Explain how far --target leads this class.")] = None,
    top: Annotated[int | None, typer.Option(help="Explain the sum of the K highest scores.", metavar="K")] = None,
    game: Annotated[Game, typer.Option(help="Delete the evidence, or keep it alone.")] = "deletion",
    perturbation: Annotated[PerturbationName, typer.Option(help="What stands in for deleted pixels.")] = "blur",
    preset: Annotated[PresetName, typer.Option(help="How the mask is learned.")] = "fast",
    fit: Annotated[Fit, typer.Option(help="How a photo meets the model's shape.")] = "crop",
    seed: Annotated[int, typer.Option(help="Of jitter and noise.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Photos learned together.", min=1)] = BATCH,
    device: Device = None,
    shape: Shape = None,
    mean: Mean = None,
    std: Std = None,
    largest: Range = 1.0,
    bgr: Bgr = False,
    classes: Classes = None,
    output: Output = None,
    straight_through: Annotated[
        bool, typer.Option("--straight-through", help="ONNX: give a quantised model a surrogate gradient.")
    ] = False,
    queries: Annotated[
        int,
        typer.Option(
            help="For models without gradients: most images that the model is run on for each photo.", min=100
        ),
    ] = Settings().queries,
    option: Options = None,
    cache: Cache = True,
    out: Annotated[Path, typer.Option(help="Folder for pictures and results.")] = Path("explanations"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Find the smallest region of each photo that the class score depends on.

    Writes a picture (.png), a result (.npz) and a summary (.json) for each photo. Photos that cannot be explained
    are named, the others are finished, and the exit status is 2.

    [bold]Examples[/]

      blackbox-explain explain cat.jpg

      blackbox-explain explain *.jpg --target tabby --game preservation --preset paper --out masks

      blackbox-explain explain cat.jpg --target tabby --versus "tiger cat"

      blackbox-explain explain cat.jpg --model net.onnx --classes names.txt --mean 0.5 --std 0.25

      blackbox-explain explain cat.jpg --model caffe.onnx --mean 123,117,104 --range 255 --std 1 --bgr

      blackbox-explain explain cat.jpg --model mobilenet.tflite --queries 5000

      blackbox-explain explain cat.jpg --model http://127.0.0.1:8000/scores --shape 3,224,224 --option timeout=30
    """
    with errors_as_messages():
        prepare_folder(out)
        box = wrapped(
            model,
            device=device,
            shape=shape,
            mean=mean,
            std=std,
            largest=largest,
            bgr=bgr,
            classes=classes,
            output=output,
            cache=cache,
            option=option,
            straight_through=straight_through or None,
        )
        exact = isinstance(box, DifferentiableBlackBox)
        started = time.perf_counter()
        photos = Photos(
            box,
            out,
            target=target_from(target or [], versus, top),
            fit=fit,
            game=game,
            perturbation=perturbation,
            preset=preset,
            seed=seed,
            batch_size=batch_size,
            queries=queries,
        )
        show = False if quiet or as_json else None
        steps = PRESETS[preset].steps if exact else queries
        found: list[PhotoResult] = []
        with progress_bar(
            len(images) * steps, f"explaining {len(images)} photo{'s' * (len(images) > 1)}", show
        ) as advance:
            for result in photos.run(images, steps, advance):
                found.append(result)
                if result.error:
                    known = str(result.path) in result.error
                    show_error(result.error if known else f"{result.path}: {result.error}")
        if as_json:
            typer.echo(json.dumps([one.to_dict() for one in found], indent=2))
        elif not quiet and any(not one.error for one in found):
            _show(found, out, time.perf_counter() - started, getattr(box, "assumptions", ()))
        if any(one.error for one in found):
            raise typer.Exit(2)


def _show(found: list[PhotoResult], out: Path, seconds: float, assumptions: tuple[str, ...]) -> None:
    table = Table("photo", "class")
    for head in ("before", "after", "region", "all", "area"):
        table.add_column(head, justify="right")
    table.add_column("status")
    for one in found:
        if one.row is not None:
            row = one.row
            table.add_row(
                escape(one.path.name),
                escape(row.target[0]),
                *(f"{values[0]:.4f}" for values in (row.score_original, row.score_masked, row.score_region)),
                f"{row.score_perturbed[0]:.4f}",
                f"{row.area[0]:.1%}",
                escape(row.status[0].partition(":")[0]),
            )
    stdout.print(table)
    for one in found:
        if one.row is not None and one.row.status[0] != "ok":
            said = f"{escape(one.path.name)}: {escape(one.row.status[0])}{_remedy(one.row.status[0])}"
            stdout.print(said, soft_wrap=True)
    rows = [one.row for one in found if one.row is not None]
    if rows and rows[0].settings["gradients"] == "estimated":
        mean, most = (
            sum(float(row.objective[0]) for row in rows) / len(rows),
            max(int(r.evaluations.sum()) for r in rows),
        )
        stdout.print(f"gradient estimated from scores: mean objective {mean:.4f} with {most} queries a photo")
        stdout.print(escape(rows[0].settings["notes"][0]), soft_wrap=True)
    for sentence in assumptions:
        stderr.print(f"[dim]assumed: {escape(sentence)}[/]")
    good = sum(one.row is not None for one in found)
    stdout.print(
        f"{good} of {len(found)} explained in {seconds:.1f} s; pictures, results and summaries in {escape(str(out))}/"
    )


def _remedy(status: str) -> str:
    """Return what to try where a mask is weak."""
    if "does not lower" in status:
        return "; try another --perturbation (constant, noise) or --target"
    return "; try --preset paper" if status.startswith("weak") else ""
