"""The options that say which model, shared by the commands that take one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_explain.blackbox import BlackBox
from blackbox_explain.cli.options import adapter_options, described
from blackbox_explain.registry import wrap

__all__ = [
    "Bgr",
    "Cache",
    "Classes",
    "Device",
    "Mean",
    "Model",
    "Options",
    "Output",
    "Range",
    "Shape",
    "Std",
    "wrapped",
]

Model = Annotated[
    str,
    typer.Option(help="A name or a file from [bold]models[/], a SavedModel folder, http://..., or module:function."),
]
Device = Annotated[str | None, typer.Option(help="Such as cpu or cuda.")]
Shape = Annotated[str | None, typer.Option(help="Shape of one image, such as 3,224,224, if the model does not tell.")]
Mean = Annotated[
    str | None, typer.Option(help="Mean the model subtracts, one number or one per channel, for pixels in 0 to 1.")
]
Std = Annotated[str | None, typer.Option(help="Scale the model divides by, likewise.")]
Range = Annotated[float, typer.Option("--range", help="The pixel value of white in --mean and --std, such as 255.")]
Bgr = Annotated[bool, typer.Option("--bgr", help="The model reads blue first.")]
Classes = Annotated[Path | None, typer.Option(help="Text file with one class name per line.")]
Output = Annotated[str | None, typer.Option(help="ONNX: the tensor that holds the scores.")]
Options = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="For the model's adapter, such as timeout=30; may be repeated."),
]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", help="ONNX: keep the gradient graph on disk.")]


def wrapped(
    model: str,
    *,
    device: str | None = None,
    shape: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    largest: float = 1.0,
    bgr: bool = False,
    classes: Path | None = None,
    output: str | None = None,
    cache: bool = True,
    option: list[str] | None = None,
    **more: Any,
) -> BlackBox:
    """Wrap the model that the options describe; further options of its adapter by name, None where not given."""
    given: dict[str, Any] = {"device": device, "output": output, "cache": None if cache else False, **more}
    given |= adapter_options(option or [])
    options = described(shape, mean, std, largest, bgr, classes)
    return wrap(model, **options, **{name: value for name, value in given.items() if value is not None})
