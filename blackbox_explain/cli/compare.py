"""``blackbox-explain compare``: whether two files are the same model, for the same reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box as borders
from rich.markup import escape
from rich.table import Table

from blackbox_explain.blackbox import BlackBox, DifferentiableBlackBox
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout
from blackbox_explain.cli.options import adapter_options, described
from blackbox_explain.cli.run import Loaded, load_photos, perturbation_for, prepare_file
from blackbox_explain.compare import compare
from blackbox_explain.comparison import Comparison, Tolerances
from blackbox_explain.errors import AlreadyDescribedError, ImageError, ResultError
from blackbox_explain.images import Fit
from blackbox_explain.presets import PRESETS, PerturbationName, PresetName, Settings
from blackbox_explain.progress import progress_bar
from blackbox_explain.registry import wrap
from blackbox_explain.regularizers import Game
from blackbox_explain.status import failure
from blackbox_explain.targets import resolve

__all__ = ["compare_command"]

ALLOWED = Tolerances()


def compare_command(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, as explain takes it.")],
    second: Annotated[str, typer.Argument(metavar="B", help="What should be the same model.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos.")],
    score_tolerance: Annotated[float, typer.Option(help="Largest difference of any score.", min=0)] = ALLOWED.score,
    top_agreement: Annotated[float, typer.Option(help="Least share of equal top classes.", min=0, max=1)] = ALLOWED.top,
    correlation: Annotated[
        float, typer.Option(help="Least mean correlation of masks.", min=-1, max=1)
    ] = ALLOWED.correlation,
    iou: Annotated[float, typer.Option(help="Least mean IoU of regions of equal area.", min=0, max=1)] = ALLOWED.iou,
    game: Annotated[Game, typer.Option(help="Delete the evidence, or keep it alone.")] = "deletion",
    perturbation: Annotated[PerturbationName, typer.Option(help="What stands in for deleted pixels.")] = "blur",
    preset: Annotated[PresetName, typer.Option(help="How the masks are learned.")] = "fast",
    queries: Annotated[
        int,
        typer.Option(
            help="For models without gradients: most images a model is run on for each photo's mask. Comparing takes "
            "2 more of any model: the photo itself, and the photo under the other model's mask.",
            min=100,
        ),
    ] = Settings().queries,
    fit: Annotated[Fit, typer.Option(help="How a photo meets the models' shape.")] = "crop",
    seed: Annotated[int, typer.Option(help="Of jitter and noise, the same for both.", min=0)] = 0,
    shape: Annotated[str | None, typer.Option(help="Shape of one image, such as 3,224,224.")] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="As for explain. Shape, mean, std, range and bgr are of each model that does not describe itself."
        ),
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

    Photos that cannot be read, or that a model fails on, are named with the reason, and the others are compared.

    The exit status is 0 if all tolerances are kept, 1 if not, and 2 after an error or if a photo was not compared.

    [bold]Examples[/]

      blackbox-explain compare efficientnet-lite0 exported.onnx *.jpg --mean 0.498 --std 0.502

      blackbox-explain compare net.onnx net_int8.onnx *.jpg --option-b straight_through=true --score-tolerance 0.1
    """
    with errors_as_messages():
        tolerances = Tolerances(score_tolerance, top_agreement, correlation, iou)
        if out is not None:
            prepare_file(out)
        options = described(shape, mean, std, largest, bgr, None)
        boxes = _wrapped((first, second), options, [adapter_options(own or []) for own in (option_a, option_b)])
        photos = load_photos(images, boxes[0].spec, fit)
        good = [(path, image) for path, image in photos if not isinstance(image, ImageError)]
        for _, image in photos:
            if isinstance(image, ImageError):
                show_error(str(image))
        if not good:
            raise typer.Exit(2)
        paths = [path for path, _ in good]
        units = [PRESETS[preset].steps if isinstance(box, DifferentiableBlackBox) else queries for box in boxes]
        label = f"comparing on {len(paths)} photo{'s' * (len(paths) > 1)}"
        with progress_bar(len(paths) * sum(units), label, False if as_json else None) as go:
            found = compare(
                boxes[0],
                boxes[1],
                np.stack([image for _, image in good]),
                progress=lambda _name: go,
                game=game,
                perturbation=perturbation_for(perturbation, preset, paths, boxes[0].spec, fit),
                preset=preset,
                queries=queries,
                seed=seed,
            )
        for path, pair in zip(paths, found.status, strict=True):
            for letter, status in zip("AB", pair, strict=True):
                if reason := failure(status):
                    show_error(f"{path}: {letter}: {reason}")
        text = json.dumps(_summary(found, tolerances, (first, second), photos), indent=2, allow_nan=False)
        if out is not None:
            try:
                out.write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise ResultError("The comparison cannot be written", got=f"{out}: {error.strerror}") from error
        if as_json:
            typer.echo(text)
        else:
            _show(found, paths, tolerances, boxes)
            if found.compared.sum() < len(photos):
                stdout.print(f"over {found.compared.sum()} of {len(photos)} photos")
        if found.compared.sum() < len(photos):
            raise typer.Exit(2)
        if not all(kept for _, _, kept in found.verdicts(tolerances).values()):
            raise typer.Exit(1)


def _wrapped(models: Sequence[str], options: dict[str, Any], own: Sequence[dict[str, Any]]) -> list[BlackBox]:
    """Wrap both models; what is said on the command line is for those that do not say it themselves.

    Raises
    ------
    AlreadyDescribedError
        If both do.
    """
    boxes: list[BlackBox] = []
    described_itself = ""
    for letter, model, given in zip("AB", models, own, strict=True):
        try:
            boxes.append(wrap(model, **options, **given))
        except AlreadyDescribedError:
            if not options or described_itself:
                raise
            described_itself = letter
            boxes.append(wrap(model, **given))
    if described_itself:
        other = "B" if described_itself == "A" else "A"
        said = f"{' and '.join(options)}: as given for {other} alone, {described_itself} describes itself"
        stderr.print(f"[dim]{said}[/]", soft_wrap=True)
    return boxes


def _summary(
    found: Comparison, tolerances: Tolerances, models: Sequence[str], photos: Sequence[Loaded]
) -> dict[str, Any]:
    """Return what goes into JSON: a row for each photo, of one that could not be read the error alone."""
    whole = found.to_dict(tolerances)
    whole["models"] = [{"model": name, **one} for name, one in zip(models, whole["models"], strict=True)]
    compared = iter(whole["rows"])
    blank = dict.fromkeys(whole["rows"][0])
    whole["rows"] = [
        {"photo": str(path), **({**blank, "error": str(image)} if isinstance(image, ImageError) else next(compared))}
        for path, image in photos
    ]
    return whole


def _show(found: Comparison, paths: Sequence[Path], tolerances: Tolerances, boxes: Sequence[BlackBox]) -> None:
    # Nothing is cut off on 80 columns: figures keep their width, names go on in the next line.
    table = Table(box=borders.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("photo", "class"):
        table.add_column(head, overflow="fold")
    heads = ("score\nA", "score\nB", "largest\nΔ", "mask\ncorr.", "IoU", "mask A\non B", "mask B\non A")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    rows = np.flatnonzero(found.compared).tolist()
    for row in rows:
        table.add_row(
            escape(paths[row].name),
            _classes(found, row, boxes),
            f"{found.first.score_original[row]:.4f}",
            f"{found.second.score_original[row]:.4f}",
            f"{found.score_difference[row]:.4f}",
            f"{found.correlation[row]:.3f}",
            f"{found.iou[row]:.2f}",
            *("–" if np.isnan(one) else f"{one:.2f}" for one in (found.effect[row, 0, 1], found.effect[row, 1, 0])),
        )
    stdout.print(table)
    stdout.print("mask A on B: how much A's mask suppresses B's score; 1 is as the fully perturbed image")
    poor = [
        (paths[row], letter, status)
        for row in rows
        for letter, status in zip("AB", found.status[row], strict=True)
        if status != "ok"
    ]
    if poor:
        stdout.print(f"{len(poor)} of {2 * len(rows)} masks are weak or soft:")
    for path, letter, status in poor:
        stdout.print(f"  {escape(path.name)}, {letter}: {escape(status)}", soft_wrap=True)
    for name, (value, allowed, kept) in found.verdicts(tolerances).items():
        sign = "at most" if name.startswith("largest") else "at least"
        stdout.print(f"{'[green]kept  [/]' if kept else '[red]BROKEN[/]'} {name}: {value:.4f}, {sign} {allowed:g}")
    for note in found.notes:
        stderr.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for letter, result in zip("AB", (found.first, found.second), strict=True):
        for sentence in result.settings["assumptions"]:
            stderr.print(f"[dim]assumed of {letter}: {escape(sentence)}[/]", soft_wrap=True)
        for note in result.settings["notes"]:
            stderr.print(f"[dim]{letter}: {escape(note)}[/]", soft_wrap=True)


def _classes(found: Comparison, row: int, boxes: Sequence[BlackBox]) -> str:
    """Return the top class, or both where the models have different ones."""
    if found.top[row, 0] == found.top[row, 1]:
        return escape(found.first.target[row])
    names = boxes[1].spec.class_names or boxes[0].spec.class_names
    other = resolve(int(found.top[row, 1]), found.second.target_weights[row : row + 1], names)[1][0]
    return f"{escape(found.first.target[row])} [red]but B: {escape(other)}[/]"
