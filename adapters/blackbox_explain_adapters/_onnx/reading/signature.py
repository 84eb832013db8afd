"""What a model says of itself before anything runs: its input, its scores, its head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from blackbox_explain.box.activations import Ending
from blackbox_explain.box.adapter_tools.layout import layout_of
from blackbox_explain.box.class_names import packed_names
from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.plain_form import inputs_of
from blackbox_explain_adapters._onnx.reading.final_activation import Head, View, ends_in, head_of
from blackbox_explain_adapters._onnx.reading.outputs import choose_scores, type_name

__all__ = ["Signature", "class_names_of", "preprocessing_of", "read_signature"]

READABLE = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT8: "uint8",
}

SMALLEST_SIDE = 8
"""Pixels; what has two axes of at least as many could be an image as well as a signal."""

RANGES = {
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (0.5, 0.5),
    "NominalRange_0_255": (0.0, 1 / 255),
    "NominalRange_16_235": (-16 / 219, 1 / 219),
}
"""Mean and std that bring (0, 1) to the ranges of ONNX's image metadata."""


NAMES = ("names", "classes", "class_names", "labels", "id2label")
"""Keys of metadata that hold the names of the classes."""


@dataclass(frozen=True)
class Signature:
    """Input and output of a classifier, as its graph states them.

    Attributes
    ----------
    source
        Name of the input.
    dtype
        Its type.
    batch
        Its fixed batch size, or None.
    image
        Shape of one image, channels first, None for sizes left free.
    layout
        Of the input.
    output
        Name of the scores.
    head
        The activation inside the graph, if it ends in one.
    notes
        What had to be guessed.
    reshaped
        Sizes that images are reshaped to, where the model has fewer axes for them than they have: rows of pixels, or
        images without channels.
    without_axis
        Whether the scores have but one axis: of images, or, for one image at a time, of classes.
    ending
        What the last operation of the graph is, None where it does not tell.
    class_names
        As the names of outputs tell them, None if they do not.
    """

    source: str
    dtype: np.dtype[Any]
    batch: int | None
    image: tuple[int | None, ...]
    layout: Literal["channels_first", "channels_last"]
    output: str
    head: Head | None
    notes: tuple[str, ...] = ()
    reshaped: tuple[int, ...] = ()
    without_axis: bool = False
    ending: Ending | None = None
    class_names: tuple[str, ...] | None = None


def read_signature(
    model: onnx.ModelProto, output: str | None = None, shape: Sequence[int] | None = None, classes: int | None = None
) -> Signature:
    """Read the signature of a classifier.

    Parameters
    ----------
    model
        Of one input.
    output
        Tensor that holds the scores, None to find it.
    shape
        Of one image as the caller has it, None to read it off the model.
    classes
        Number of class names that were given, None if none were.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, or answers with no scores, or with several.
    InputError
        If `output` does not exist, or holds no scores.
    """
    inputs = inputs_of(model.graph)
    if len(inputs) != 1:
        raise UnsupportedModelError(
            "The model does not read one array of images",
            got=f"inputs {', '.join(repr(one.name) for one in inputs) or 'none'}",
            expected="one input",
            hint="wrap(model, constants={'is_training': False}), or --option 'constants={\"is_training\": false}', "
            "with a value for each input but the images",
        )
    source = inputs[0]
    kind = source.type.tensor_type.elem_type if source.type.HasField("tensor_type") else 0
    if kind not in READABLE:
        name = type_name(kind) if kind else str(source.type.WhichOneof("value"))
        raise UnsupportedModelError(
            "The model does not read images",
            got=f"{source.name!r} of type {name}",
            expected=", ".join(READABLE.values()),
        )
    if not source.type.tensor_type.HasField("shape"):
        sizes: list[int | None] = [None] * 4
    else:
        dims = source.type.tensor_type.shape.dim
        sizes = [one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None for one in dims]
    reshaped = _reshaped(sizes[1:], shape)
    if len(sizes) < 3 and not reshaped and shape is not None and None not in sizes[1:]:
        raise UnsupportedModelError(
            "The images do not fill the rows that the model reads",
            got=f"shape={tuple(shape)}, which is {math.prod(shape)} values",
            expected=f"{source.name!r} reads {math.prod(size or 1 for size in sizes[1:])}",
        )
    if len(sizes) < 3 and not reshaped:
        raise UnsupportedModelError(
            "The model does not read images",
            got=f"{source.name!r} with {len(sizes)} axes",
            expected="(N, C, ...)",
            hint="if its rows are images, say of what shape: wrap(model, shape=(1, 28, 28)), or --shape 1,28,28",
        )
    image, layout = layout_of(sizes[1:]) if not reshaped else (tuple(shape or ()), "channels_first")
    view = View(model)
    chosen = choose_scores(model, view, output, sizes[0], classes)
    notes = chosen.notes
    if reshaped:
        notes = (*notes, f"each image {image} is reshaped to {reshaped}, as the model reads it")
    elif len(image) == 2 and None not in image and min(one or 0 for one in image) >= SMALLEST_SIDE:
        notes = (*notes, f"the model is taken to read signals; images without channels: shape={(1, *image)}")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    flat = any(one.name == chosen.name and _axes(one) == 1 for one in model.graph.output)
    return Signature(
        source.name,
        dtype,
        sizes[0],
        image,
        layout,
        chosen.name,
        head_of(view, chosen.name),
        notes,
        reshaped,
        flat,
        ends_in(view, chosen.name),
        chosen.class_names,
    )


def _reshaped(sizes: Sequence[int | None], shape: Sequence[int] | None) -> tuple[int, ...]:
    """Return the sizes that a model reads if they hold an image of more axes, else nothing."""
    if shape is None or len(shape) <= len(sizes):
        return ()
    lead = len(shape) - len(sizes)
    read = tuple(shape[lead:]) if math.prod(shape[:lead]) == 1 else (math.prod(shape),) * (len(sizes) == 1)
    if len(read) == len(sizes) and all(a in (None, b) for a, b in zip(sizes, read, strict=True)):
        return read  # without channels, or in rows, whatever is left free
    known = tuple(one for one in sizes if one is not None)
    return known if len(known) == len(sizes) and math.prod(shape) == math.prod(known) else ()


def _axes(one: onnx.ValueInfoProto) -> int | None:
    kind = one.type.tensor_type
    return len(kind.shape.dim) if kind.HasField("shape") else None


def preprocessing_of(model: onnx.ModelProto) -> Preprocessing | None:
    """Read the image metadata of a model: value range and order of channels."""
    properties = {one.key: one.value for one in model.metadata_props}
    scale = RANGES.get(properties.get("Image.NominalPixelRange", ""))
    order = properties.get("Image.BitmapPixelFormat", "")
    if scale is None and not order:
        return None
    mean, std = scale or (0.0, 1.0)
    return Preprocessing(mean, std, "BGR" if order.lower().startswith("bgr") else "RGB")


def class_names_of(model: onnx.ModelProto) -> tuple[str, ...] | None:
    """Read the class names that some exporters leave: in the metadata, or in the node that scores the classes."""
    text = next((one.value for one in model.metadata_props if one.key in NAMES), "")
    return packed_names(text, "the model") if text.strip() else _labels(model.graph)


def _labels(graph: onnx.GraphProto) -> tuple[str, ...] | None:
    """Return the labels of the one classifier of the domain ai.onnx.ml, unless they are their places."""
    classifiers = [node for node in graph.node if node.domain == "ai.onnx.ml" and node.op_type.endswith("Classifier")]
    if len(classifiers) != 1:
        return None
    given = {one.name: one for one in classifiers[0].attribute}
    if "classlabels_strings" in given:
        return tuple(one.decode() for one in given["classlabels_strings"].strings)
    whole = [one for name in ("classlabels_ints", "classlabels_int64s") if name in given for one in given[name].ints]
    return None if whole == list(range(len(whole))) else tuple(map(str, whole))
