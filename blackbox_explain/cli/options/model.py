"""The options that say which model, shared by the commands that take one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from rich.markup import escape

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.class_names import read_class_names
from blackbox_explain.box.entry_points import DEFAULT_MODEL, named_models
from blackbox_explain.box.preprocessing_questions import questions_about
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.box.wrapping import wrap
from blackbox_explain.cli.console import stderr
from blackbox_explain.cli.options.parsing import adapter_options, reduction, sizes
from blackbox_explain.cli.options.preprocessing import preprocessing_from
from blackbox_explain.errors import PreprocessingWarning

__all__ = ["AdapterOptions", "Description", "Model", "ModelOptions", "complete_models"]


def complete_models(incomplete: str) -> list[str]:
    """Return what a shell completes a model to: names, and files and folders."""
    folder, _, start = incomplete.rpartition("/")
    try:
        here = list(Path(f"{folder}/" if folder or incomplete[:1] == "/" else ".").iterdir())
    except OSError:
        here = []
    beside = f"{folder}/" if "/" in incomplete else ""
    files = [f"{beside}{one.name}{'/' * one.is_dir()}" for one in here if one.name.startswith(start)]
    return [name for name in sorted(named_models()) if name.startswith(incomplete)] + sorted(files)


Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="A name or a file from [bold]models[/], a SavedModel folder, http://..., or module:function, a function "
        "without parameters that returns the model.",
        autocompletion=complete_models,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said of a model, as typed: what it reads, and how its scores are called; None where nothing is said."""

    panel: ClassVar[str] = "What the model reads and says"

    shape: Annotated[
        str | None,
        typer.Option(metavar="C,H,W", help="Shape of one image, such as 3,224,224, if the model does not tell."),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B",
            help="Mean the model subtracts from pixels in 0 to 1 (or 0 to --range): one number, or one per channel, "
            "always in the order R,G,B, also with --bgr.",
        ),
    ] = None
    std: Annotated[str | None, typer.Option(metavar="R,G,B", help="Scale the model divides by, likewise.")] = None
    largest: Annotated[
        float | None,
        typer.Option(
            "--range", metavar="NUMBER", help="The pixel value of white in --mean and --std, such as 255. Default: 1."
        ),
    ] = None
    bgr: Annotated[
        bool | None,
        typer.Option(
            "--bgr",
            help="The model reads blue first, as those of Caffe do; 123,117,104 is then still the mean of R,G,B.",
            show_default=False,
        ),
    ] = None
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of class names: a line for each, or JSON or YAML such as id2label."),
    ] = None
    activation: Annotated[
        Activation | None,
        typer.Option(
            metavar="NAME",
            help="What turns the model's outputs into scores: softmax, log_softmax, sigmoid, or none if they are "
            "probabilities already. Default: auto, told from the model or from its outputs.",
        ),
    ] = None

    def description(self) -> dict[str, Any]:
        """Return the parameters of `wrap` that say what a model reads and how its scores are called.

        Raises
        ------
        InputError
            If an option is no such thing, or contradicts another.
        """
        found: dict[str, Any] = {
            "shape": None if self.shape is None else sizes(self.shape),
            "preprocessing": preprocessing_from(self.mean, self.std, self.largest, bool(self.bgr)),
            "class_names": None if self.classes is None else read_class_names(self.classes),
            "activation": self.activation,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class AdapterOptions:
    """Options of the model's adapter, as typed; None where nothing is said."""

    panel: ClassVar[str] = "Model"

    output: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The output that holds the scores, where the model has several."),
    ] = None
    reduce: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,AXIS",
            help="How scores of many places or steps are joined: mean,1 averages over axis 1 of the output, max,1 "
            "takes the largest.",
        ),
    ] = None
    straight_through: Annotated[
        bool | None,
        typer.Option(
            "--straight-through", help="ONNX: give a quantised model a surrogate gradient.", show_default=False
        ),
    ] = None
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="For the model's adapter, such as timeout=30; may be repeated."),
    ] = None

    def for_adapter(self) -> dict[str, Any]:
        """Return the options of the model's adapter."""
        given = {
            "output": self.output,
            "reduce": None if self.reduce is None else reduction(self.reduce),
            "straight_through": self.straight_through,
        }
        return {name: value for name, value in given.items() if value is not None} | adapter_options(self.option or ())


@dataclass(frozen=True, kw_only=True)
class ModelOptions(AdapterOptions, Description):
    """Which model, what is said of it and how it is run, as typed; None where nothing is said."""

    panel: ClassVar[str] = "Model"

    model: str = DEFAULT_MODEL
    device: Annotated[str | None, typer.Option(metavar="NAME", help="Such as cpu or cuda.")] = None
    no_cache: Annotated[bool, typer.Option("--no-cache", help="ONNX: do not keep the gradient graph on disk.")] = False

    def for_adapter(self) -> dict[str, Any]:
        """Return the options of the model's adapter."""
        device = {} if self.device is None else {"device": self.device}
        return device | ({"cache": False} if self.no_cache else {}) | super().for_adapter()

    def wrapped(self) -> BlackBox:
        """Wrap the model that the options describe; what is to be doubted about them is said."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PreprocessingWarning)
            box = wrap(self.model, **self.description(), **self.for_adapter())
        for doubt in questions_about(box.spec):
            stderr.print(f"[yellow]warning:[/] {escape(doubt)}", soft_wrap=True)
        return box
