"""TensorFlow Lite: quantised and float classifiers in an interpreter, which gives scores and never a gradient."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.first_layers import joined
from blackbox_explain.box.adapter_tools.layout import CHANNELS_LAST, layout_of, maybe_grey, reshaped
from blackbox_explain.box.adapter_tools.probing import manner_of_asking
from blackbox_explain.box.adapter_tools.reduction import Reduction, is_row
from blackbox_explain.box.class_names import check_own_names, packed_names
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain_adapters._tflite.contents import Contents
from blackbox_explain_adapters._tflite.interpreter import FileInterpreter, TFLiteBlackBox, TFLiteFunction, quantisation

__all__ = ["load_tflite", "wrap_tflite"]

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TensorFlow Lite file."""

LOWEST = {np.float32: None, np.uint8: 0, np.int8: -128}
"""The types that images may have, with the lowest byte of the quantised ones."""

SCORES = (np.float32, np.uint8, np.int8, np.int16)
"""The types that class scores may have."""

LONGEST_NAMES = 1 << 20
"""A file of class names has at most this many bytes."""


def load_tflite(path: Path, *, threads: int | None = None) -> FileInterpreter:
    """Read a ``.tflite`` file.

    Parameters
    ----------
    path
        Of the file.
    threads
        For one operator; None leaves it to the runtime.

    Raises
    ------
    InputError
        If `threads` is not positive.
    UnsupportedModelError
        If the file is of another format, truncated or damaged.
    """
    if threads is not None and threads < 1:
        raise InputError("There is no such number of threads", got=f"threads={threads}", expected="at least 1")
    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise UnsupportedModelError("This is not a TensorFlow Lite file", got=str(path), expected="a .tflite model")
    try:
        return FileInterpreter(content, threads)
    except (ValueError, RuntimeError) as error:
        raise UnsupportedModelError(
            "The TensorFlow Lite file is truncated or damaged", got=f"{path}: {error}", hint="copy it again"
        ) from error


def wrap_tflite(
    model: Any, described: Described, *, output: str | int | None = None, reduce: Any = None
) -> TFLiteBlackBox:
    """Wrap a TensorFlow Lite classifier.

    Parameters
    ----------
    model
        ``Interpreter`` of ``ai_edge_litert`` or ``tensorflow.lite``.  One that the caller made keeps its sizes, and
        so its batch size.
    described
        What the caller said of its input.  Where a quantised model is given no mean and std, pixels are brought to
        the whole range of its bytes; where it is, what they make of the pixels is quantised as the model asks.
    output
        Name, or place from 0 on, of the output that holds the scores; None to find it.
    reduce
        How the scores of many places or steps are joined: ``("mean", axes)`` or ``("max", axes)``, the batch being
        axis 0.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, or answers with no class scores.
    InputError
        If what was said does not fit the model, or `output` does not exist.

    Notes
    -----
    A model that keeps a state between calls, as recurrent and streaming ones do, is set back before each image.
    """
    if not hasattr(model, "get_input_details"):
        raise UnsupportedModelError(
            "This is no TensorFlow Lite interpreter", got=f"a {type(model).__name__}", expected="an Interpreter"
        )
    contents = Contents(model.content) if isinstance(model, FileInterpreter) else None
    names = len(described.class_names) if described.class_names else None
    reduction, notes = Reduction.of(reduce), list[str]()
    source, scores = _input(model), _output(model, output, names, notes)
    sizes = _sizes(source["shape_signature"] if contents is not None else source["shape"])
    spec, own_sizes, assumptions = _described(source, sizes[1:], described, contents)
    starts_anew = contents is not None and contents.writes_resources()
    keeps_state = starts_anew or (contents is not None and contents.has_variables())
    if keeps_state:
        notes.append("the model keeps a state between calls: it is set back before each image, one at a time")
    function = TFLiteFunction(
        model,
        source,
        scores,
        own_sizes,
        reduction=reduction,
        classes=names,
        keeps_state=keeps_state,
        starts_anew=starts_anew,
    )
    batch = sizes[0]
    if batch is None and not function.takes((2, *own_sizes)):
        batch = 1
        notes.append("the model leaves its batch size free, and takes one image at a time all the same")
    classes = function.resize((batch or 1, *own_sizes))
    manner = manner_of_asking(TFLiteBlackBox(function, spec, "none", (), batch).asked, spec, batch)
    notes += manner.notes
    packed = None if contents is None else _class_names(model.content, classes)
    if packed is not None and spec.class_names is None:
        spec = dataclasses.replace(spec, class_names=packed)
        notes.append("class names are those packed into the file")
    elif packed is not None and len(spec.class_names or ()) == classes:
        differ = check_own_names(spec.class_names or (), packed)
        notes += [differ] if differ else []
    ends_in = None if contents is None else contents.ending(scores["index"])
    notes = [*assumptions, *notes]
    return TFLiteBlackBox(function, spec, described.activation, tuple(notes), manner.batch, ends_in)


def _input(model: Any) -> dict[str, Any]:
    """Find the images among the inputs."""
    inputs = model.get_input_details()
    if len(inputs) != 1:
        raise UnsupportedModelError(
            "The model does not read one array of images",
            got=f"{len(inputs)} inputs: {', '.join(repr(one['name']) for one in inputs) or 'none'}",
            expected="one",
        )
    (source,) = inputs
    if source["dtype"] not in LOWEST:
        raise UnsupportedModelError(
            "The model does not read images",
            got=f"input {source['name']!r} of type {_type(source)}",
            expected=", ".join(one.__name__ for one in LOWEST),
        )
    return source


def _output(model: Any, wanted: str | int | None, names: int | None, notes: list[str]) -> dict[str, Any]:
    """Find the class scores among the outputs."""
    outputs = model.get_output_details()
    listed = ", ".join(f"{one['name']!r} ({_type(one)} {_sizes(one['shape'])})" for one in outputs) or "none"
    chosen = _wanted(outputs, wanted, listed) if wanted is not None else outputs
    if len(chosen) > 1:
        usable = [one for one in chosen if one["dtype"] in SCORES and is_row(one["shape"], names)]
        fitting = [one for one in usable if names in one["shape"][1:]]
        usable = fitting if len(fitting) == 1 else usable
        if len(usable) != 1:
            hint = f"pass output={chosen[0]['name']!r}, or --output; or its place, from output=0 on"
            raise UnsupportedModelError(
                "The model has several outputs", got=listed, expected="the class scores", hint=hint
            )
        chosen = usable
        notes.append(f"the class scores are the output {chosen[0]['name']!r} of {listed}")
    if not chosen or chosen[0]["dtype"] not in SCORES:
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=f"output {chosen[0]['name']!r} of type {_type(chosen[0])}" if chosen else "no output",
            expected=", ".join(one.__name__ for one in SCORES),
        )
    return chosen[0]


def _wanted(outputs: list[dict[str, Any]], wanted: str | int, listed: str) -> list[dict[str, Any]]:
    named = [one for one in outputs if one["name"] == wanted]
    if not named and str(wanted).lstrip("-").isdigit() and -len(outputs) <= int(wanted) < len(outputs):
        named = [outputs[int(wanted)]]
    if len(named) != 1:
        raise InputError("There is no such output", got=f"output={wanted!r}", expected=listed)
    return named


def _described(
    source: dict[str, Any], sizes: tuple[int | None, ...], described: Described, contents: Contents | None
) -> tuple[InputSpec, tuple[int, ...], list[str]]:
    """Return what the box reads, the sizes of one image as the model reads it, and sentences for the user."""
    flat = reshaped(sizes, described.shape)
    if not flat and len(sizes) < 2 and described.shape is not None:
        raise InputError(
            "The model reads another shape",
            got=f"shape={described.shape}",
            expected=f"a shape whose product is {sizes[0] if sizes else 1}",
        )
    if not flat and len(sizes) < 2:
        raise UnsupportedModelError(
            "The model does not read images",
            got=f"input {source['name']!r} of shape {_sizes(source['shape'])}",
            expected="(N, ..., C)",
            hint="wrap(model, shape=(1, 28, 28)), or --shape 1,28,28, whose product is that number",
        )
    preprocessing, image, notes = _preprocessing(source, () if flat else sizes, described)
    if flat:
        notes.append(f"each image is reshaped to the {flat} that the model reads")
    spec, assumptions = dataclasses.replace(described, preprocessing=preprocessing).spec(None if flat else image)
    if contents is not None and source["dtype"] == np.float32:
        steps = contents.first_steps(source["index"])
        spec, (*notes,) = joined(steps, described, spec, notes)
    last = spec.preprocessing.layout == "channels_last"
    own = flat or ((*spec.spatial, spec.shape[0]) if last else spec.shape)
    if described.shape is None and len(own) == 2:
        notes.append(maybe_grey(own))
    return spec, own, [*assumptions, *notes]


def _preprocessing(
    source: dict[str, Any], sizes: tuple[int | None, ...], described: Described
) -> tuple[Preprocessing | None, tuple[int | None, ...], list[str]]:
    """Join what the caller said with layout and type of the input; the shape of an image is channels first."""
    notes: list[str] = []
    image, layout = layout_of(sizes, "channels_last") if sizes else ((), "channels_last")
    if sizes and described.shape is not None and len(described.shape) == len(sizes):
        fits = [all(a in (None, b) for a, b in zip(one, described.shape, strict=True)) for one in (sizes, image)]
        if fits == [True, False]:
            image, layout = sizes, "channels_first"
    given = described.preprocessing
    lowest = LOWEST[source["dtype"]]
    if lowest is not None and (given is None or (given.mean, given.std) == (0.0, 1.0)):
        (scale, zero), (low, high) = quantisation(source), described.bounds or (0.0, 1.0)
        mean, std = low + (zero - lowest) * (high - low) / 255, (high - low) / (255 * scale)
        given = dataclasses.replace(given or Preprocessing(), mean=mean, std=std)
        notes.append("the model reads bytes: pixel values are brought to the whole range of a byte and rounded")
    if layout == "channels_last":
        if given is None:
            notes.append("no preprocessing was given: the model is taken to read pixel values as they are")
        given = dataclasses.replace(given or Preprocessing(), layout=layout)
        notes.append(CHANNELS_LAST)
    return given, image, notes


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(int(size) if size >= 0 else None for size in shape)


def _type(tensor: dict[str, Any]) -> str:
    kind = np.dtype(tensor["dtype"])
    return "string" if kind.kind in "SUO" else kind.name


def _class_names(content: bytes, classes: int) -> tuple[str, ...] | None:
    """Read the class names that metadata tools pack behind a model: a text file in a zip archive, a name a line."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for one in archive.infolist():
                if one.filename.endswith(".txt") and one.file_size <= LONGEST_NAMES:
                    names = packed_names(archive.read(one).decode("utf-8-sig"), one.filename)
                    if names is not None and len(names) == classes:
                        return names
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, RuntimeError, OSError):
        return None
    return None
