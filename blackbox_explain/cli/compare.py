"""``blackbox-explain compare``: whether two files are the same model, for the same reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_explain.auditing.output_folder import prepare_file
from blackbox_explain.auditing.photo_run import perturbation_for
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.mask import MaskOptions
from blackbox_explain.cli.options.model import Description, complete_models
from blackbox_explain.cli.options.parsing import adapter_options
from blackbox_explain.cli.options.photos import Images, PhotoOptions
from blackbox_explain.cli.shown.compare import show_comparison
from blackbox_explain.comparing.comparison import Comparison, Tolerances
from blackbox_explain.comparing.models import PRESET, compare
from blackbox_explain.data.photo_paths import names_of, photo_paths
from blackbox_explain.data.reading import Loaded, readable
from blackbox_explain.errors import AlreadyDescribedError, ImageError, ResultError
from blackbox_explain.methods.mask.settings import PresetName
from blackbox_explain.progress import progress_bar

__all__ = ["compare_command"]

ALLOWED = Tolerances()


@dataclass(frozen=True)
class ComparedMaskOptions(MaskOptions):
    """How the masks of two models are learned: by the preset whose masks rounding changes least."""

    preset: Annotated[
        PresetName,
        typer.Option(metavar="NAME", help="How it is learned: quick, fast, thorough, paper or authors."),
    ] = PRESET


@with_groups
def compare_command(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A model, as explain takes it.", autocompletion=complete_models)
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="What should be the same model.", autocompletion=complete_models)
    ],
    images: Images,
    *,
    score_tolerance: Annotated[float, typer.Option(help="Largest difference of any score.", min=0)] = ALLOWED.score,
    top_agreement: Annotated[float, typer.Option(help="Least share of equal top classes.", min=0, max=1)] = ALLOWED.top,
    correlation: Annotated[
        float, typer.Option(help="Least mean correlation of masks.", min=-1, max=1)
    ] = ALLOWED.correlation,
    iou: Annotated[float, typer.Option(help="Least mean IoU of regions of equal area.", min=0, max=1)] = ALLOWED.iou,
    mask: ComparedMaskOptions,
    reading: PhotoOptions,
    said: Description,
    option_a: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="For A's adapter.")] = None,
    option_b: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="For B's adapter, such as straight_through=true.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the comparison as JSON to this file.")] = None,
) -> None:
    """Compare the scores and the masks of two exports of one model.

    Photos that cannot be read, or that a model fails on, are named with the
    reason, and the others are compared. What is said of a model (shape, mean,
    std, range, bgr, classes, activation) is said of each that does not describe
    itself. Without gradients a model is asked for 2 images a photo more than
    --queries.

    The exit status is 0 if all tolerances are kept, 1 if not, and 2 after an
    error or if a photo was not compared.

    [bold]Examples[/]

      blackbox-explain compare efficientnet-lite0 exported.onnx photos --mean 0.498 --std 0.502

      blackbox-explain compare net.onnx net_int8.onnx *.jpg --option-b straight_through=true --score-tolerance 0.1
    """
    with errors_as_messages():
        tolerances = Tolerances(score_tolerance, top_agreement, correlation, iou)
        if out is not None:
            prepare_file(out)
        paths = photo_paths(images)
        options = said.description()
        boxes = _wrapped((first, second), options, [adapter_options(own or []) for own in (option_a, option_b)])
        photos = reading.reader.read_all(paths, boxes[0].spec)
        for _, image in photos:
            if isinstance(image, ImageError):
                show_error(str(image))
        paths, readable_images = readable(photos)
        if readable_images is None:
            raise typer.Exit(2)
        settings: dict[str, Any] = asdict(mask)
        settings["perturbation"] = perturbation_for(
            mask.perturbation, mask.preset, paths, boxes[0].spec, reading.reader
        )
        label = f"comparing on {len(paths)} photo{'s' * (len(paths) > 1)}"
        with progress_bar(len(paths) * sum(map(mask.queries_of, boxes)), label, False if as_json else None) as go:
            found = compare(
                boxes[0],
                boxes[1],
                readable_images,
                progress=lambda _name: go,
                **settings,
            )
        for path, pair in zip(paths, found.outcome, strict=True):
            for letter, outcome in zip("AB", pair, strict=True):
                if outcome.failed:
                    show_error(f"{path}: {letter}: {outcome.message}")
        text = json.dumps(_summary(found, tolerances, (first, second), photos), indent=2, allow_nan=False)
        if out is not None:
            try:
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise ResultError("The comparison cannot be written", got=f"{out}: {error.strerror}") from error
        if as_json:
            typer.echo(text)
        else:
            show_comparison(found, names_of(paths), tolerances, boxes)
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
