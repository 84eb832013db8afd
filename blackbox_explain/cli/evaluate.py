"""``blackbox-explain evaluate``: how good saved explanations are, method against method."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape

from blackbox_explain.auditing.output_folder import OutputFolder
from blackbox_explain.auditing.result_run import Group, ResultRun, result_paths, warnings_of
from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.entry_points import settings_of
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.oracle import BATCH
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.cli.console import errors_as_messages, show_error, stderr, stdout, tell
from blackbox_explain.cli.options.groups import with_groups
from blackbox_explain.cli.options.model import ModelOptions, complete_models
from blackbox_explain.cli.options.model_of_result import options_for, wrapped_for
from blackbox_explain.cli.options.output import Printed
from blackbox_explain.cli.options.parsing import dealt_out, settings
from blackbox_explain.cli.shown.evaluate import evaluation_dict, show_evaluation, write_evaluation
from blackbox_explain.data.objects import Object, read_objects
from blackbox_explain.data.points import read_points
from blackbox_explain.errors import InputError, TargetError
from blackbox_explain.explanation.explanation import Explanation
from blackbox_explain.metrics.by_name import kind_of, metric_of
from blackbox_explain.metrics.metric import Metric
from blackbox_explain.progress import progress_bar

__all__ = ["evaluate_command"]

USUAL = ("deletion", "insertion")

OF_OBJECTS = ("pointing-game", "localization")
"""Metrics that compare with boxes."""

OF_POINTS = "part-saliency"
"""The metric that compares with points; without a part it is measured of each, by a name of its own."""


@with_groups
def evaluate_command(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="Files (.npz) that explain wrote, or folders of them."),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Such as deletion or smallest-region; 'blackbox-explain metrics' lists them; may be repeated. "
            "Default: deletion, insertion, with --boxes pointing-game and localization, with --points part-saliency.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of the metrics that have it, such as steps=50; 'blackbox-explain metrics' lists them.",
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The objects: a CSV file with columns file, x0, y0, x1, y1 and perhaps label, in pixels of the photo; "
            "or a folder of XML files of PASCAL VOC.",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Points on parts such as eyes: a CSV file with columns file, part, x and y, in pixels of the photo. "
            "part-saliency measures each part, or that of --setting part=NAME.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Boxes of this label are what was explained, whatever the model calls it. Default: boxes of the class "
            "that was explained, and those without a label.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model, as explain takes it, which the explanations are to hold for. Default: that of each result.",
            autocompletion=complete_models,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Images in one call of the model.", min=1)] = BATCH,
    typed: ModelOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder for the values (.csv, .json), and of two methods their quality against cost."
        ),
    ] = None,
    printed: Printed,
) -> None:
    """Measure how good explanations are: a row for each method, a column for each metric.

    Results of one method with the same settings belong together. Each is asked
    of its own model, or of --model; results of several models, or to another
    --suppress, are not measured in one table. What cannot be measured is named,
    the rest is measured, and the exit status is then 2.

    [bold]Examples[/]

      blackbox-explain evaluate explanations

      blackbox-explain evaluate masks gradients --metric deletion --metric smallest-region --out quality

      blackbox-explain evaluate masks --model other.onnx --metric transfer

      blackbox-explain evaluate masks --metric deletion --setting steps=50

      blackbox-explain evaluate masks --boxes boxes.csv --metric pointing-game
    """
    with errors_as_messages():
        folder = None if out is None else OutputFolder(out)
        objects = None if boxes is None else read_objects(boxes)
        places = None if points is None else read_points(points)
        chosen = _metrics(metric, settings(setting or (), "steps=50"), objects, label, places)
        paths = result_paths(results)
        marked = {
            what: given
            for what, given, own in (("boxes", objects, OF_OBJECTS), ("points", places, (OF_POINTS,)))
            if given is not None and any(one.name in own for one in chosen.values())
        }
        models = _Boxes(typed, model)
        run = ResultRun(
            chosen,
            models,
            batch_size,
            seed,
            marked,
            _tell_error,
        )
        many = f"evaluating {len(paths)} result{'s' * (len(paths) > 1)}"
        with progress_bar(len(paths), many, None if printed.progress else False) as advance:
            run.run(paths, advance)
        groups = run.groups
        warnings = [*warnings_of(groups), *_unmeasured(groups, run.unmarked)]
        told = evaluation_dict(groups, run.errors, warnings)
        for warning in warnings:
            _tell_warning(warning)
        if objects is not None and label is None:
            models.warn_of_others(objects)
        if printed.as_json:
            typer.echo(json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False))
        elif groups and not printed.quiet:
            show_evaluation(groups, list(chosen))
        if folder is not None and groups:
            written = write_evaluation(groups, list(chosen), told, folder.made())
            if printed.progress:
                stdout.print(f"{', '.join(written)} in {escape(str(folder.path))}/")
        models.tell_assumed(printed.quiet)
        nothing = any(np.isnan(one.values).all() for group in groups for one in group.measurements.values())
        if run.errors or nothing:
            raise typer.Exit(2)


class _Boxes:
    """The models of results, each wrapped once."""

    def __init__(self, typed: ModelOptions, model: str | None) -> None:
        self._typed, self._model = typed, model
        self._known: dict[str, BlackBox] = {}
        self._classes: list[tuple[int, Sequence[str] | None]] = []

    def __call__(self, result: Explanation, path: Path) -> BlackBox:
        given = options_for(result, path, self._typed, self._model)
        key = f"{given} {result.images.shape[1:]}"
        if key not in self._known:
            self._known[key] = wrapped_for(result, given, self._typed)
            self._classes.append((result.weights.shape[1], self._known[key].spec.class_names))
        return self._known[key]

    def tell_assumed(self, quiet: bool) -> None:
        """Say what was assumed when a model was wrapped that is not the one of its results."""
        if self._model is not None and not quiet:
            for box in self._known.values():
                tell("assumed", BoxInfo.of(box).assumptions)

    def warn_of_others(self, objects: Mapping[str, Sequence[Object]]) -> None:
        """Say which labels of boxes are classes of none of the models."""
        labels = dict.fromkeys(one.label for several in objects.values() for one in several if one.label != "")
        others = [label for label in labels if not any(_has_class(label, *classes) for classes in self._classes)]
        if others:
            some = ", ".join(map(repr, others[:3])) + ", ..." * (len(others) > 3)
            many = "a label of the boxes is" if len(others) == 1 else f"{len(others)} labels of the boxes are"
            said = f"{many} no class of the model: {some}; --label says which boxes are meant"
            _tell_warning(said)


def _has_class(label: str | int, count: int, names: Sequence[str] | None) -> bool:
    try:
        class_index(label, count, names)
    except TargetError:
        return False
    return True


def _metrics(
    names: list[str] | None,
    typed: Mapping[str, Any],
    objects: Mapping[str, Any] | None,
    label: str | None,
    points: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, Metric]:
    """Return the metrics that are asked for, by name, each once."""
    if label is not None and objects is None:
        raise InputError("--label says which boxes are meant, and there are none", got=label, hint="--boxes too")
    usual = [*USUAL, *(OF_OBJECTS if objects is not None else ()), *((OF_POINTS,) if points is not None else ())]
    asked = dict.fromkeys(names or usual)
    dealt = dealt_out(typed, {name: settings_of(kind_of(name)) for name in asked}, "metrics")
    given: dict[str, dict[str, Any]] = dict.fromkeys(
        OF_OBJECTS, {} if objects is None else {"objects": objects, "label": label}
    )
    given |= {} if points is None else {OF_POINTS: {"points": points}}
    found: dict[str, Metric] = {}
    for name in asked:
        mine = {**dealt[name], **given.get(name, {})}
        if name == OF_POINTS and points is not None and "part" not in mine:
            parts = dict.fromkeys(part for own in points.values() for part in own)
            found |= {f"{name}, {part}": metric_of(name, {**mine, "part": part}) for part in parts}
        else:
            found[name] = metric_of(name, mine)
    return found


def _tell_error(path: Path, message: str) -> None:
    show_error(message if str(path) in message else f"{path}: {message}")


def _tell_warning(sentence: str) -> None:
    stderr.print(f"[yellow]warning:[/] {escape(sentence)}", soft_wrap=True)


def _unmeasured(groups: tuple[Group, ...], unmarked: Mapping[str, Collection[str]]) -> list[str]:
    """Say how many explanations had nothing to measure: they are in no mean.

    Rows that failed, and photos that are not among those that people marked, are errors of their own.
    """
    found: list[str] = []
    for group in groups:
        failed = {row for row, of in enumerate(group.pooled) if of.outcome.failed}
        for name, one in group.measurements.items():
            what, why = _why_nothing(name)
            missing = unmarked.get(what, ())
            rows = set(np.flatnonzero(np.isnan(one.values)).tolist()) - failed - set(one.failures) - set(one.repeated)
            nothing = [row for row in rows if group.labels[row][1] not in missing]
            if nothing:
                many = f"{len(nothing)} of {one.distinct} explanations are in no mean"
                found.append(f"{group.name}, {name}: {many}: {why}")
    return found


def _why_nothing(metric: str) -> tuple[str, str]:
    """Return what people marked that a metric compares with, "" of others, and why there may be nothing to measure."""
    if metric in OF_OBJECTS:
        return "boxes", "no object of the class in sight"
    if metric.startswith(OF_POINTS):
        return "points", "no point of the part in sight"
    return "", "nothing to measure"
