"""``blackbox-explain rules``: ask a model questions, and get answers with error bars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.markup import escape

from blackbox_explain.blackbox import BlackBox
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
from blackbox_explain.cli.rules_shown import show_examination, write_pictures, write_report
from blackbox_explain.cli.run import prepare_folder
from blackbox_explain.errors import ImageError, InputError
from blackbox_explain.explanation import finite
from blackbox_explain.images import Fit, find_photos, load_image
from blackbox_explain.progress import progress_bar
from blackbox_explain.registry import DEFAULT_MODEL
from blackbox_explain.rules.annotations import labels_of, regions_of
from blackbox_explain.rules.examination import Examination, examine
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations import relations_for, relations_named
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.samples import Samples

__all__ = ["rules_command"]


def rules_command(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder of photos.")],
    model: Model = DEFAULT_MODEL,
    labels: Annotated[Path | None, typer.Option(metavar="CSV", help="True classes: columns file and label.")] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="The objects: columns file, x0, y0, x1, y1, in pixels of the file."),
    ] = None,
    relations: Annotated[
        list[str] | None,
        typer.Option(help="Such as rotation,scale; may be repeated. Default: all that fit the model; none for none."),
    ] = None,
    joint: Annotated[
        str | None, typer.Option(metavar="A,B", help="Two relations at once, such as rotation,scale.")
    ] = None,
    max_error: Annotated[
        float, typer.Option(help="Largest share of images that a rule may be wrong for.", min=0.0001, max=0.9999)
    ] = 0.05,
    response: Annotated[
        Literal["class", "score", "exact"], typer.Option(help="What must stay: top class, its score, or all scores.")
    ] = "class",
    tolerance: Annotated[float, typer.Option(help="For --response score: largest change.", min=0)] = 0.1,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.9999)] = 0.95,
    curve: Annotated[bool, typer.Option("--curve", help="Ask about every level, for finer plots.")] = False,
    limit: Annotated[int | None, typer.Option(help="Take so many of the photos, drawn at random.", min=1)] = None,
    fit: Annotated[Fit, typer.Option(help="How a photo meets the model's shape.")] = "crop",
    seed: Annotated[int, typer.Option(help="Of all random draws.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Photos in one call of the model.", min=1)] = BATCH,
    device: Device = None,
    shape: Shape = None,
    mean: Mean = None,
    std: Std = None,
    largest: Range = 1.0,
    bgr: Bgr = False,
    classes: Classes = None,
    output: Output = None,
    option: Options = None,
    cache: Cache = True,
    out: Annotated[Path, typer.Option(help="Folder for the report and its pictures.")] = Path("rules"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Learn rules that predict a model, and measure how often they are wrong.

    For each relation: the most that can be done to the photos while the model's answer stays. With labels: recall and
    precision. With boxes: the photos whose class does not come from the object. Writes rules.json and pictures. Photos
    that cannot be read are named and left out, and the exit status is then 2.

    The error of a rule is a mean over strengths up to the one that it names, drawn evenly.

    [bold]Examples[/]

      blackbox-explain rules photos

      blackbox-explain rules photos --model net.onnx --relations rotation,scale --joint rotation,scale --max-error 0.1

      blackbox-explain rules photos --labels photos.csv --boxes photos.csv --relations none
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
        )
        chosen = _chosen(relations, box)
        pair = _pair(joint)
        show = False if quiet or as_json else None
        paths, pixels, unread = _loaded(_outside(find_photos(images), out), box, fit, limit, seed, show)
        names = [str(path.relative_to(images)) for path in paths]
        samples = Samples.of(
            pixels,
            box.spec,
            labels=None if labels is None else labels_of(labels, names, box.spec.class_names),
            regions=None if boxes is None else regions_of(boxes, names, paths, box.spec, fit),
            names=names,
        )
        questions = Questions(box, samples, seed, batch_size)
        asked = {"model": model, "fit": fit, "limit": limit, "response": response, "tolerance": tolerance}
        asked |= {"batch_size": batch_size, "assumptions": list(getattr(box, "assumptions", ()))}
        report: dict[str, Any] = {}

        def save(so_far: Examination) -> None:
            report.update(asked, photos=names, left_out=unread, **so_far.to_dict())
            write_report(report, out)

        with _Bars(show) as bars:
            found = examine(
                questions,
                chosen,
                joint=pair,
                max_error=max_error,
                whole_curve=curve,
                confidence=confidence,
                begin=bars,
                finished=save,
                response=response,
                tolerance=tolerance,
            )
        written = write_pictures(found, questions, out)
        if as_json:
            typer.echo(json.dumps(finite(report), indent=2, ensure_ascii=False, allow_nan=False))
        elif not quiet:
            show_examination(found)
            for sentence in getattr(box, "assumptions", ()):
                stderr.print(f"[dim]assumed: {escape(sentence)}[/]")
            stdout.print(f"rules.json and {written} pictures in {escape(str(out))}/")
        for part, error in found.failed:
            show_error(f"{part}: {error}")
        if unread or found.failed:
            raise typer.Exit(2)


class _Bars:
    """One progress bar after the other, each closed when the next begins."""

    def __init__(self, show: bool | None) -> None:
        self._show = show
        self._open: Any = None

    def __enter__(self) -> _Bars:
        return self

    def __call__(self, what: str, most: int) -> Callable[[int], None]:
        self.__exit__()
        self._open = progress_bar(most, what, self._show)
        return self._open.__enter__()

    def __exit__(self, *_error: object) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None


def _chosen(given: list[str] | None, box: BlackBox) -> tuple[Relation, ...]:
    if not given:
        return relations_for(box.spec)
    names = [name.strip() for one in given for name in one.split(",") if name.strip()]
    if not names:
        raise InputError(
            "--relations names none", got=repr(", ".join(given)), expected="such as rotation,scale, or none"
        )
    # Once each, in the order in which they were named.
    return () if names == ["none"] else relations_named(list(dict.fromkeys(names)))


def _outside(paths: list[Path], out: Path) -> list[Path]:
    """Leave out the pictures that an earlier run wrote."""
    found = [path for path in paths if out.resolve() not in path.resolve().parents]
    if not found:
        raise ImageError("There are no photos but those in --out", got=str(out))
    return found


def _pair(joint: str | None) -> tuple[Relation, Relation] | None:
    if joint is None:
        return None
    found = relations_named([name.strip() for name in joint.split(",")])
    if len(found) != 2:
        raise InputError("--joint takes two relations", got=repr(joint), expected="such as rotation,scale")
    return found[0], found[1]


def _loaded(
    paths: list[Path], box: BlackBox, fit: Fit, limit: int | None, seed: int, show: bool | None
) -> tuple[list[Path], np.ndarray[Any, np.dtype[np.uint8]], list[dict[str, str]]]:
    """Return the photos that can be read, as bytes, and why the others cannot."""
    if limit is not None and limit < len(paths):
        drawn = np.random.default_rng([seed, 0x6C696D6974]).choice(len(paths), size=limit, replace=False)
        paths = [paths[row] for row in sorted(drawn)]
    read: list[Path] = []
    pixels = np.empty((len(paths), *box.spec.shape), np.uint8)
    failed: list[dict[str, str]] = []
    low, high = box.spec.bounds
    with progress_bar(len(paths), "reading photos", show) as advance:
        for path in paths:
            try:
                image = load_image(path, box.spec, fit=fit)
                pixels[len(read)] = np.rint((image - low) * (255 / (high - low)))
                read.append(path)
            except ImageError as error:
                show_error(str(error))
                failed.append({"photo": str(path), "error": str(error)})
            advance(1)
    if not read:
        raise ImageError("None of the photos can be read", got=f"{len(paths)} files")
    return read, pixels[: len(read)], failed
