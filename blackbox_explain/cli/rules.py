"""``blackbox-explain rules``: ask a model questions, and get answers with error bars."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.markup import escape

from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.box.entry_points import DEFAULT_MODEL
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout, tell
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import Model, ModelOptions
from blackbox_explain.cli.options.output import Printed
from blackbox_explain.cli.options.photos import Images, PhotoOptions
from blackbox_explain.cli.shown.rules import allowed_error, show_examination, write_pictures, write_report
from blackbox_explain.data.annotations import labels_of, regions_of
from blackbox_explain.data.photo_paths import names_of, photo_paths
from blackbox_explain.data.reading import PhotoReader
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import ImageError, InputError
from blackbox_explain.explanation.archive import finite
from blackbox_explain.progress import progress_bar
from blackbox_explain.rules.questions import BATCH, Questions
from blackbox_explain.rules.relations import relations_for, relations_named
from blackbox_explain.rules.relations.relation import Relation
from blackbox_explain.rules.studies.examination import Examination, examine, looked_for

__all__ = ["rules_command"]


@with_groups
def rules_command(
    images: Images,
    *,
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
        float | None,
        typer.Option(
            help="Largest share of images that a rule may be wrong for; the smaller, the more photos it takes. "
            "Default: 0.05; where photos are too few to show that, the least that they can show.",
            min=0.0001,
            max=0.9999,
        ),
    ] = None,
    response: Annotated[
        Literal["class", "score", "exact"], typer.Option(help="What must stay: top class, its score, or all scores.")
    ] = "class",
    tolerance: Annotated[float, typer.Option(help="For --response score: largest change.", min=0)] = 0.1,
    confidence: Annotated[float, typer.Option(help="Confidence of the intervals.", min=0.5, max=0.9999)] = 0.95,
    curve: Annotated[bool, typer.Option("--curve", help="Ask about every level, for finer plots.")] = False,
    limit: Annotated[int | None, typer.Option(help="Take so many of the photos, drawn at random.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random draws.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Photos in one call of the model.", min=1)] = BATCH,
    reading: PhotoOptions,
    said: ModelOptions,
    out: Annotated[Path, typer.Option(help="Folder for the report and its pictures.")] = Path("rules"),
    printed: Printed,
) -> None:
    """Learn rules that predict a model, and measure how often they are wrong.

    For each relation: the most that can be done to the photos while the model's
    answer stays. With labels: recall and precision. With boxes: the photos whose
    class does not come from the object. Writes rules.json and pictures. Photos
    that cannot be read are named and left out, and the exit status is then 2.

    The smaller the error that is to be shown, the more photos it takes: about
    150 for --max-error 0.05, 70 for 0.1, 35 for 0.2, and with --joint half as
    many again. What is asked for is checked before the model is asked.

    The error of a rule is a mean over strengths up to the one that it names,
    drawn evenly.

    [bold]Examples[/]

      blackbox-explain rules photos

      blackbox-explain rules photos more/*.jpg --model net.onnx --relations rotation,scale --joint rotation,scale

      blackbox-explain rules photos --labels photos.csv --boxes photos.csv --relations none
    """
    with errors_as_messages():
        folder = OutputFolder(out)
        pair = _pair(joint)
        named = _named(relations)
        everything = photo_paths(images, out)
        given = replace(said, model=model)
        box = given.wrapped()
        chosen = relations_for(box.spec) if named is None else named
        count = len(everything) if limit is None else min(limit, len(everything))
        rules = looked_for(chosen, pair)
        allowed = allowed_error(count, rules, confidence, max_error, told=not printed.quiet)
        show = None if printed.progress else False
        paths, pixels, unread = _loaded(everything, box, reading.reader, limit, seed, show)
        if unread:
            allowed = allowed_error(len(paths), rules, confidence, max_error, told=not printed.quiet)
        top = images[0] if len(images) == 1 and images[0].is_dir() else None
        names = names_of(paths) if top is None else [str(path.relative_to(top)) for path in paths]
        samples = Samples.of(
            pixels,
            box.spec,
            labels=None if labels is None else labels_of(labels, names, box.spec.class_names),
            regions=None if boxes is None else regions_of(boxes, names, paths, box.spec, reading.fit),
            names=names,
        )
        questions = Questions(box, samples, seed, batch_size)
        asked = {
            "model": model,
            **asdict(reading),
            "limit": limit,
            "response": response,
            "tolerance": tolerance,
        }
        asked |= {"batch_size": batch_size, "assumptions": list(BoxInfo.of(box).assumptions)}
        report: dict[str, Any] = {}

        def save(so_far: Examination) -> None:
            report.update(asked, photos=names, left_out=unread, **so_far.to_dict())
            write_report(report, folder.made())

        with _told_if_interrupted(report, folder), _Bars(show) as bars:
            found = examine(
                questions,
                chosen,
                joint=pair,
                max_error=allowed,
                whole_curve=curve,
                confidence=confidence,
                begin=bars,
                finished=save,
                response=response,
                tolerance=tolerance,
            )
        written = write_pictures(found, questions, out)
        if printed.as_json:
            typer.echo(json.dumps(finite(report), indent=2, ensure_ascii=False, allow_nan=False))
        elif not printed.quiet:
            show_examination(found)
            tell("assumed", BoxInfo.of(box).assumptions)
            stdout.print(f"rules.json and {written} pictures in {escape(str(out))}/")
        for part, error in found.failed:
            show_error(f"{part}: {error}")
        if unread or found.failed:
            raise typer.Exit(2)


@contextmanager
def _told_if_interrupted(report: dict[str, Any], folder: OutputFolder) -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if report:
            stderr.print(f"what was finished is in {escape(str(folder.path / 'rules.json'))}")
        raise


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


def _named(given: list[str] | None) -> tuple[Relation, ...] | None:
    """Return the relations that are asked for; None for all that fit the model."""
    if not given:
        return None
    names = [name.strip() for one in given for name in one.split(",") if name.strip()]
    if not names:
        raise InputError(
            "--relations names none", got=repr(", ".join(given)), expected="such as rotation,scale, or none"
        )
    # Once each, in the order in which they were named.
    return () if names == ["none"] else relations_named(list(dict.fromkeys(names)))


def _pair(joint: str | None) -> tuple[Relation, Relation] | None:
    if joint is None:
        return None
    found = relations_named([name.strip() for name in joint.split(",")])
    if len(found) != 2:
        raise InputError("--joint takes two relations", got=repr(joint), expected="such as rotation,scale")
    return found[0], found[1]


def _loaded(
    paths: list[Path], box: BlackBox, reading: PhotoReader, limit: int | None, seed: int, show: bool | None
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
                image = reading.read_image(path, box.spec)
                pixels[len(read)] = np.rint((image - low) * (255 / (high - low)))
                read.append(path)
            except ImageError as error:
                show_error(str(error))
                failed.append({"photo": str(path), "error": str(error)})
            advance(1)
    if not read:
        raise ImageError("None of the photos can be read", got=f"{len(paths)} files")
    return read, pixels[: len(read)], failed
