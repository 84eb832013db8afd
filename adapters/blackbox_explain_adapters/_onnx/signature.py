"""What a model says of itself before anything runs: its input, its scores, its head."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from blackbox_explain.activations import Activation
from blackbox_explain.adapting import layout_of
from blackbox_explain.blackbox import Preprocessing
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain_adapters._onnx.prepare import inputs_of

__all__ = ["Head", "Signature", "class_names_of", "head_of", "preprocessing_of", "read_signature", "told"]

READABLE = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT8: "uint8",
}

SCORE_NAMES = ("logits", "scores", "probabilities", "prob", "output", "out")

PASSING = (
    "Identity",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Cast",
    "Dropout",
    "QuantizeLinear",
    "DequantizeLinear",
)

SMALLEST_SIDE = 8
"""Pixels; what has two axes of at least as many could be an image as well as a signal."""

LONGEST_NAME = 24
"""Characters in the name of a size, where it is shown."""

RANGES = {
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (0.5, 0.5),
    "NominalRange_0_255": (0.0, 1 / 255),
    "NominalRange_16_235": (-16 / 219, 1 / 219),
}
"""Mean and std that bring (0, 1) to the ranges of ONNX's image metadata."""


@dataclass(frozen=True)
class Head:
    """The activation that a graph ends in.

    Attributes
    ----------
    activation
        Which.
    logits
        Tensor before it.
    """

    activation: Activation
    logits: str


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


def read_signature(model: onnx.ModelProto, output: str | None = None, shape: Sequence[int] | None = None) -> Signature:
    """Read the signature of a classifier.

    Parameters
    ----------
    model
        Of one input.
    output
        Tensor that holds the scores, None to find it.
    shape
        Of one image as the caller has it, None to read it off the model.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, or answers with no scores.
    InputError
        If `output` does not exist.
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
    chosen, notes = _scores(model, output, sizes[0])
    if reshaped:
        notes = (*notes, f"each image {image} is reshaped to {reshaped}, as the model reads it")
    elif len(image) == 2 and None not in image and min(one or 0 for one in image) >= SMALLEST_SIDE:
        notes = (*notes, f"the model is taken to read signals; images without channels: shape={(1, *image)}")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    head = head_of(model.graph, chosen)
    flat = any(one.name == chosen and _axes(one) == 1 for one in model.graph.output)
    return Signature(source.name, dtype, sizes[0], image, layout, chosen, head, notes, reshaped, flat)


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


def _scores(model: onnx.ModelProto, wanted: str | None, batch: int | None) -> tuple[str, tuple[str, ...]]:
    """Choose the output that holds the scores."""
    outputs = list(model.graph.output)
    if wanted is not None:
        produced = {name for node in model.graph.node for name in node.output}
        if wanted not in produced:
            raise InputError(
                "There is no such tensor", got=f"output={wanted!r}", expected=" or ".join(repr(o.name) for o in outputs)
            )
        return wanted, ()
    usable = [one for one in outputs if _may_hold_scores(one, batch)]
    if not usable:
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=", ".join(f"{one.name!r} ({told(one)})" for one in outputs),
            expected="one tensor of floats, (N, K)",
            hint="export it without post-processing (for scikit-learn: options={'zipmap': False}), or pass output=...",
        )
    if len(usable) == 1 and len(outputs) == 1:
        return usable[0].name, ()
    # An output of no stated shape may be anything.
    usable = [one for one in usable if one.type.tensor_type.HasField("shape")] or usable
    named = [one for name in SCORE_NAMES for one in usable if name in one.name.lower()]
    flat = [one for one in usable if len(one.type.tensor_type.shape.dim) == 2]
    pick = (named or flat or usable)[0].name
    return pick, (f"of {len(outputs)} outputs, {pick!r} is taken for the class scores",)


def _may_hold_scores(one: onnx.ValueInfoProto, batch: int | None) -> bool:
    kind = one.type.tensor_type
    if not one.type.HasField("tensor_type") or kind.elem_type not in (
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.DOUBLE,
    ):
        return False
    if not kind.HasField("shape"):
        return True
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    if len(sizes) == 1:  # (N,), or, of one image at a time, (K,)
        return batch == 1 or sizes[0] in (None, batch)
    # Scores are (N, K), perhaps with axes of size 1 behind or before the classes.
    return len(sizes) >= 2 and sum(size != 1 for size in sizes[1:]) <= 1


def type_name(kind: int) -> str:
    """Return the name of an element type."""
    known = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return known.get(kind, f"type {kind}")


def told(one: onnx.ValueInfoProto) -> str:
    """Return type and sizes of an input or output, in words."""
    if not one.type.HasField("tensor_type"):
        return str(one.type.WhichOneof("value")).removesuffix("_type")
    kind = type_name(one.type.tensor_type.elem_type)
    sizes: list[str] = []
    for dim in one.type.tensor_type.shape.dim:
        # Some exporters name a size by a formula of several lines.
        name = dim.dim_param if len(dim.dim_param) <= LONGEST_NAME else ""
        sizes.append(str(dim.dim_value) if dim.HasField("dim_value") else name or "?")
    return f"{kind} {' × '.join(sizes)}"


def head_of(graph: onnx.GraphProto, output: str) -> Head | None:
    """Find the softmax or sigmoid that leads to an output through nothing but reshaping."""
    producers = {name: node for node in graph.node for name in node.output}  # each is passed once, even in a circle
    name = output
    while (proto := producers.pop(name, None)) is not None and proto.input:
        if proto.op_type in PASSING:
            name = proto.input[0]
            continue
        heads: dict[str, Activation] = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
        return Head(heads[proto.op_type], proto.input[0]) if proto.op_type in heads and not proto.domain else None
    return None


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
    text = next((one.value for one in model.metadata_props if one.key in ("names", "classes", "class_names")), "")
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = _labels(model.graph)
    if isinstance(found, dict) and set(found) == set(range(len(found))):
        found = [found[index] for index in range(len(found))]
    if isinstance(found, list) and found and all(isinstance(one, str) for one in found):
        return tuple(found)
    return None


def _labels(graph: onnx.GraphProto) -> list[str] | None:
    """Return the labels of the one classifier of the domain ai.onnx.ml, unless they are their places."""
    classifiers = [node for node in graph.node if node.domain == "ai.onnx.ml" and node.op_type.endswith("Classifier")]
    if len(classifiers) != 1:
        return None
    given = {one.name: one for one in classifiers[0].attribute}
    if "classlabels_strings" in given:
        return [one.decode() for one in given["classlabels_strings"].strings]
    whole = [one for name in ("classlabels_ints", "classlabels_int64s") if name in given for one in given[name].ints]
    return None if whole == list(range(len(whole))) else [str(one) for one in whole]
