"""``blackbox-explain compare``: whether two files are the same model, for the same reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from blackbox_explain.blackbox import BlackBox, DifferentiableBlackBox
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout
from blackbox_explain.cli.options import adapter_options, described
from blackbox_explain.compare import Comparison, Tolerances, compare
from blackbox_explain.errors import AlreadyDescribedError, ImageError, InputError
from blackbox_explain.images import Fit, load_image
from blackbox_explain.presets import PRESETS, PerturbationName, PresetName, Settings
from blackbox_explain.progress import progress_bar
from blackbox_explain.registry import wrap
from blackbox_explain.regularizers import Game

__all__ = ["compare_command"]

ALLOWED = Tolerances()


def compare_command(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, as explain takes it.")],
    second: Annotated[str, typer.Argument(metavar="B", help="What should be the same model.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos.")],
    score_tolerance: Annotated[float, typer.Option(help="Largest difference of any score.", min=0)] = ALLOWED.score,
    top_agreement: Annotated[float, typer.Option(help="Least share of equal top classes.")] = ALLOWED.top,
    correlation: Annotated[float, typer.Option(help="Least mean correlation of masks.")] = ALLOWED.correlation,
    iou: Annotated[float, typer.Option(help="Least mean IoU of regions of equal area.")] = ALLOWED.iou,
    game: Annotated[Game, typer.Option(help="Delete the evidence, or keep it alone.")] = "deletion",
    perturbation: Annotated[PerturbationName, typer.Option(help="What stands in for deleted pixels.")] = "blur",
    preset: Annotated[PresetName, typer.Option(help="How the masks are learned.")] = "fast",
    queries: Annotated[
        int, typer.Option(help="For models without gradients: most images a model is run on for each photo.", min=100)
    ] = Settings().queries,
    fit: Annotated[Fit, typer.Option(help="How a photo meets the models' shape.")] = "crop",
    seed: Annotated[int, typer.Option(help="Of jitter and noise, the same for both.", min=0)] = 0,
    shape: Annotated[str | None, typer.Option(help="Shape of one image, such as 3,224,224.")] = None,
    mean: Annotated[
        str | None, typer.Option(help="As for explain; for each model that does not describe itself.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    largest: Annotated[float, typer.Option("--range", help="The pixel value of white in --mean and --std.")] = 1.0,
    bgr: Annotated[bool, typer.Option("--bgr", help="The models read blue first.")] = False,
    option_a: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="For A's adapter.")] = None,
    option_b: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="For B's adapter, such as straight_through=true.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the comparison as JSON to this file.")] = None,
) -> None:
    """Compare the scores and the masks of two exports of one model.

    The exit status is 0 if all tolerances are kept, 1 if not, 2 after an error.

    [bold]Examples[/]

      blackbox-explain compare efficientnet-lite0 exported.onnx *.jpg --mean 0.498 --std 0.502

      blackbox-explain compare net.onnx net_int8.onnx *.jpg --option-b straight_through=true --score-tolerance 0.1
    """
    with errors_as_messages():
        options = described(shape, mean, std, largest, bgr, None)
        boxes = [
            _wrapped(model, options, adapter_options(own or []))
            for model, own in ((first, option_a), (second, option_b))
        ]
        paths, loaded, failed = _loaded(images, boxes[0], fit)
        units = [PRESETS[preset].steps if isinstance(box, DifferentiableBlackBox) else queries for box in boxes]
        with progress_bar(
            len(paths) * sum(units), f"comparing on {len(paths)} photos", False if as_json else None
        ) as go:
            found = compare(
                boxes[0],
                boxes[1],
                loaded,
                progress=lambda _name: go,
                game=game,
                perturbation=perturbation,
                preset=preset,
                queries=queries,
                seed=seed,
            )
        tolerances = Tolerances(score_tolerance, top_agreement, correlation, iou)
        whole = {"models": [first, second], "photos": [str(path) for path in paths], **found.to_dict(tolerances)}
        text = json.dumps(whole, indent=2)
        if out is not None:
            try:
                out.write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise InputError("The comparison cannot be written", got=f"{out}: {error.strerror}") from error
        if as_json:
            typer.echo(text)
        else:
            _show(found, paths, tolerances, boxes)
        if failed:
            raise typer.Exit(2)
        if not all(kept for _, _, kept in found.verdicts(tolerances).values()):
            raise typer.Exit(1)


def _wrapped(model: str, options: dict[str, Any], own: dict[str, Any]) -> BlackBox:
    try:
        return wrap(model, **options, **own)
    except AlreadyDescribedError:
        # What is said on the command line is for the model that does not say it itself.
        return wrap(model, **own)


def _loaded(images: list[Path], box: BlackBox, fit: Fit) -> tuple[list[Path], np.ndarray[Any, Any], bool]:
    paths: list[Path] = []
    loaded: list[np.ndarray[Any, Any]] = []
    for path in images:
        try:
            loaded.append(load_image(path, box.spec, fit=fit))
            paths.append(path)
        except ImageError as error:
            show_error(str(error))
    if not loaded:
        raise typer.Exit(2)
    return paths, np.stack(loaded), len(loaded) < len(images)


def _show(found: Comparison, paths: list[Path], tolerances: Tolerances, boxes: list[BlackBox]) -> None:
    table = Table("photo", "class")
    heads = ("score A", "score B", "largest Δ", "same top", "mask corr.", "IoU", "A's mask on B", "B's mask on A")
    for head in heads:
        table.add_column(head, justify="right")
    for row, path in enumerate(paths):
        table.add_row(
            escape(path.name),
            escape(found.first.target[row]),
            f"{found.first.score_original[row]:.4f}",
            f"{found.second.score_original[row]:.4f}",
            f"{found.score_difference[row]:.4f}",
            "yes" if found.top[row, 0] == found.top[row, 1] else "[red]no[/]",
            f"{found.correlation[row]:.3f}",
            f"{found.iou[row]:.2f}",
            f"{found.effect[row, 0, 1]:.2f}",
            f"{found.effect[row, 1, 0]:.2f}",
        )
    stdout.print(table)
    stdout.print("the last two columns: suppression, 1 is that of the fully perturbed image")
    for name, (value, allowed, kept) in found.verdicts(tolerances).items():
        sign = "at most" if name.startswith("largest") else "at least"
        stdout.print(f"{'[green]kept  [/]' if kept else '[red]BROKEN[/]'} {name}: {value:.4f}, {sign} {allowed:g}")
    for letter, box, result in zip("AB", boxes, (found.first, found.second), strict=True):
        for sentence in getattr(box, "assumptions", ()):
            stderr.print(f"[dim]assumed of {letter}: {escape(sentence)}[/]")
        for note in result.settings["notes"]:
            stderr.print(f"[dim]{letter}: {escape(note)}[/]")
