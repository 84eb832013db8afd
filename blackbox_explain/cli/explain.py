"""``blackbox-explain explain``: photos in, pictures and results out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout
from blackbox_explain.cli.run import PhotoResult, Photos, prepare_folder, target_from
from blackbox_explain.errors import InputError
from blackbox_explain.explain import BATCH
from blackbox_explain.images import Fit
from blackbox_explain.presets import PRESETS, PerturbationName, PresetName
from blackbox_explain.progress import progress_bar
from blackbox_explain.registry import DEFAULT_MODEL, wrap
from blackbox_explain.regularizers import Game

__all__ = ["explain_command"]


def explain_command(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos: JPEG, PNG and other formats.")],
    model: Annotated[
        str, typer.Option(help="A name from [bold]models[/], a .pt2 or TorchScript file, or module:function.")
    ] = DEFAULT_MODEL,
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
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda.")] = None,
    shape: Annotated[
        str | None, typer.Option(help="Shape of one image, such as 3,224,224, if the model does not tell.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Mean the model subtracts, one number or one per channel, for pixels in 0 to 1.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Scale the model divides by, likewise.")] = None,
    bgr: Annotated[bool, typer.Option("--bgr", help="The model reads blue first.")] = False,
    classes: Annotated[Path | None, typer.Option(help="Text file with one class name per line.")] = None,
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

      blackbox-explain explain cat.jpg --model net.pt2 --classes names.txt --mean 0.5 --std 0.25
    """
    with errors_as_messages():
        prepare_folder(out)
        described = _described(shape, mean, std, bgr, classes)
        if device is not None:
            described["device"] = device
        box = wrap(model, **described)
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
        )
        show = False if quiet or as_json else None
        steps = PRESETS[preset].steps
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
            stdout.print(f"{escape(one.path.name)}: {escape(one.row.status[0])}", soft_wrap=True)
    for sentence in assumptions:
        stderr.print(f"[dim]assumed: {escape(sentence)}[/]")
    good = sum(one.row is not None for one in found)
    stdout.print(
        f"{good} of {len(found)} explained in {seconds:.1f} s; pictures, results and summaries in {escape(str(out))}/"
    )


def _described(shape: str | None, mean: str | None, std: str | None, bgr: bool, classes: Path | None) -> dict[str, Any]:
    """Turn the options that describe a model into parameters of `wrap`."""
    from blackbox_explain.blackbox import Preprocessing

    described: dict[str, Any] = {}
    if shape is not None:
        described["shape"] = _sizes(shape)
    if mean is not None or std is not None or bgr:
        described["preprocessing"] = Preprocessing(
            mean=0.0 if mean is None else _numbers("--mean", mean),
            std=1.0 if std is None else _numbers("--std", std),
            channels="BGR" if bgr else "RGB",
        )
    if classes is not None:
        try:
            described["class_names"] = classes.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("The class names cannot be read", got=f"{classes}: {error}") from error
    return described


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise InputError("--shape is not a list of sizes", got=repr(text), expected="such as 3,224,224") from error


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"{option} is not a list of numbers", got=repr(text), expected="such as 0.5,0.5,0.5"
        ) from error
