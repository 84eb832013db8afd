"""TensorFlow Lite: quantised and float classifiers in an interpreter, which gives scores and never a gradient."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_explain.activations import Activation
from blackbox_explain.adapting import Described, check_batch, layout_of, plain_images
from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.blackbox import InputSpec, Preprocessing
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._callable import CallableBlackBox
from blackbox_explain_adapters._fingerprint import digest_of_answers

Interpreter: Any
try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError as missing:
    try:
        from tensorflow.lite.python.interpreter import Interpreter
    except ModuleNotFoundError:
        # The smaller of the two is what to install.
        raise missing from None

__all__ = ["FileInterpreter", "TFLiteBlackBox", "load_tflite", "wrap_tflite"]

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TensorFlow Lite file."""

LOWEST = {np.float32: None, np.uint8: 0, np.int8: -128}
"""The types that images may have, with the lowest byte of the quantised ones."""

SCORES = (np.float32, np.uint8, np.int8, np.int16)
"""The types that class scores may have."""

LONGEST_NAMES = 1 << 20
"""A file of class names has at most this many bytes."""


class FileInterpreter(Interpreter):
    """An interpreter that knows the file it was made from, so that it may be resized, copied and pickled.

    Parameters
    ----------
    content
        Of the file.
    threads
        For one operator; None leaves it to the runtime.
    """

    def __init__(self, content: bytes, threads: int | None = None) -> None:
        super().__init__(model_content=content, num_threads=threads)
        self.content = content
        self._threads = threads

    def __reduce__(self) -> tuple[Any, ...]:
        return FileInterpreter, (self.content, self._threads)


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


def wrap_tflite(model: Any, described: Described, *, output: str | None = None) -> TFLiteBlackBox:
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
        Name of the output that holds the scores, where there are several.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, or answers with no class scores.
    InputError
        If what was said does not fit the model, or `output` does not exist.
    """
    if not hasattr(model, "get_input_details"):
        raise UnsupportedModelError(
            "This is no TensorFlow Lite interpreter", got=f"a {type(model).__name__}", expected="an Interpreter"
        )
    own = isinstance(model, FileInterpreter)
    source, scores = _input(model), _output(model, output)
    sizes = _sizes(source["shape_signature"] if own else source["shape"])
    preprocessing, image, notes = _preprocessing(source, sizes[1:], described)
    spec, assumptions = dataclasses.replace(described, preprocessing=preprocessing).spec(image)
    function = TFLiteFunction(model, source, scores)
    plain = spec.preprocessing.forward(plain_images(spec)[:2])
    batch = sizes[0]
    if batch is None and not function.takes(plain.shape):
        batch = 1
        notes.append("the model leaves its batch size free, and takes one image at a time all the same")
    classes = function.prepare((batch or 1, *plain.shape[1:]))
    if own and spec.class_names is None and (names := _class_names(model.content, classes)) is not None:
        spec = dataclasses.replace(spec, class_names=names)
        notes.append("class names are those packed into the file")
    return TFLiteBlackBox(function, spec, described.activation, (*assumptions, *notes), batch)


class TFLiteFunction:
    """What an interpreter computes, from real-valued inputs to real-valued outputs.

    Parameters
    ----------
    interpreter
        Of either library.
    source, scores
        Its own description of its input and of the output that holds the scores.
    """

    def __init__(self, interpreter: Any, source: dict[str, Any], scores: dict[str, Any]) -> None:
        self.interpreter = interpreter
        self._source, self._scores = source["index"], scores["index"]
        self._dtype = source["dtype"]
        self._from, self._to = _quantisation(source), _quantisation(scores)
        self._origin = repr(scores["name"])
        # An interpreter has one set of buffers.
        self._lock = threading.Lock()

    def __call__(self, values: Array) -> Array:
        """Map preprocessed images of NumPy, in the layout of the model, to raw outputs (N, K)."""
        with self._lock:
            classes = self.prepare(values.shape)
            try:
                self.interpreter.set_tensor(self._source, self._quantised(values))
                self.interpreter.invoke()
            except (RuntimeError, ValueError) as error:
                raise ModelError("The TensorFlow Lite model failed", got=str(error)) from error
            found = self.interpreter.get_tensor(self._scores)
        if found.size != len(values) * classes:
            raise ModelError(
                "The model does not answer like a classifier",
                got=f"outputs of shape {found.shape} for {len(values)} images",
                expected=f"{classes} class scores for each",
            )
        scale, zero = self._to
        return scale * (found.astype(np.float64) - zero).reshape(len(values), classes)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Tell whether inputs of this shape can be computed with."""
        try:
            self.prepare(shape)
        except UnsupportedModelError:
            return False
        return True

    def prepare(self, shape: tuple[int, ...]) -> int:
        """Make room for inputs of this shape, and return the number of classes.

        Raises
        ------
        UnsupportedModelError
            If the model does not take such inputs, or does not answer them with class scores.
        """
        try:
            if _shape_of(self.interpreter.get_input_details(), self._source) != shape:
                self.interpreter.resize_tensor_input(self._source, shape, strict=True)
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModelError("TensorFlow Lite does not take this model", got=str(error)) from error
        found = _shape_of(self.interpreter.get_output_details(), self._scores)
        # Some models drop the axis of a batch of one.
        rows = found if found[:1] == shape[:1] else (1, *found)
        if rows[0] != shape[0] or len(rows) < 2 or sum(size != 1 for size in rows[1:]) > 1 or 0 in rows:
            raise UnsupportedModelError(
                "The model does not answer with class scores",
                got=f"output {self._origin} of shape {found} for {shape[0]} images",
                expected=f"({shape[0]}, K)",
            )
        return int(np.prod(rows[1:]))

    def _quantised(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._dtype == np.float32:
            return np.ascontiguousarray(values, dtype=np.float32)
        if not np.isfinite(values).all():
            raise InputError("The images hold numbers that are not finite", got="NaN or infinity", expected="pixels")
        (scale, zero), limits = self._from, np.iinfo(self._dtype)
        return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(self._dtype)

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.interpreter, FileInterpreter):
            raise UnsupportedModelError(
                "An interpreter cannot be pickled", got="one made by the caller", hint='wrap the file, wrap("m.tflite")'
            )
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())


class TFLiteBlackBox(CallableBlackBox):
    """A TensorFlow Lite model, which gives scores."""

    def __init__(
        self,
        function: TFLiteFunction,
        spec: InputSpec,
        activation: Activation,
        assumptions: tuple[str, ...],
        batch: int | None,
    ) -> None:
        super().__init__(function, spec, activation, assumptions, batch)
        self._interpreter = function.interpreter

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        check_batch(images, self.spec)
        # In one precision, so that an image is rounded to the same bytes whatever type it comes in.
        return constant_like(super().scores(to_numpy(images).astype(np.float64)), images)

    def fingerprint(self) -> str:
        """Return a digest of the file's content, or where the caller made the interpreter, of what it answers."""
        if isinstance(self._interpreter, FileInterpreter):
            return f"sha256:{hashlib.sha256(self._interpreter.content).hexdigest()}"
        return digest_of_answers(self)


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
    if len(source["shape"]) < 3:
        raise UnsupportedModelError(
            "The model does not read images",
            got=f"input {source['name']!r} of shape {_sizes(source['shape'])}",
            expected="(N, ..., C)",
        )
    return source


def _output(model: Any, wanted: str | None) -> dict[str, Any]:
    """Find the class scores among the outputs."""
    outputs = model.get_output_details()
    names = ", ".join(repr(one["name"]) for one in outputs)
    chosen = [one for one in outputs if wanted in (None, one["name"])]
    if wanted is not None and len(chosen) != 1:
        raise InputError("There is no such output", got=f"output={wanted!r}", expected=names)
    if len(chosen) != 1:
        raise UnsupportedModelError(
            "The model has several outputs", got=names or "none", expected="the class scores", hint="output=NAME"
        )
    if chosen[0]["dtype"] not in SCORES:
        raise UnsupportedModelError(
            "The model does not answer with class scores",
            got=f"output {chosen[0]['name']!r} of type {_type(chosen[0])}",
            expected=", ".join(one.__name__ for one in SCORES),
        )
    return chosen[0]


def _preprocessing(
    source: dict[str, Any], sizes: tuple[int | None, ...], described: Described
) -> tuple[Preprocessing | None, tuple[int | None, ...], list[str]]:
    """Join what the caller said with layout and type of the input; the shape of an image is channels first."""
    notes: list[str] = []
    image, layout = layout_of(sizes, "channels_last")
    if described.shape is not None and len(described.shape) == len(sizes):
        fits = [all(a in (None, b) for a, b in zip(one, described.shape, strict=True)) for one in (sizes, image)]
        if fits == [True, False]:
            image, layout = sizes, "channels_first"
    given = described.preprocessing
    lowest = LOWEST[source["dtype"]]
    if lowest is not None and (given is None or (given.mean, given.std) == (0.0, 1.0)):
        (scale, zero), (low, high) = _quantisation(source), described.bounds or (0.0, 1.0)
        mean, std = low + (zero - lowest) * (high - low) / 255, (high - low) / (255 * scale)
        given = dataclasses.replace(given or Preprocessing(), mean=mean, std=std)
        notes.append("the model reads bytes: pixel values are brought to the whole range of a byte and rounded")
    if layout == "channels_last":
        if given is None:
            notes.append("no preprocessing was given: the model is taken to read pixel values as they are")
        given = dataclasses.replace(given or Preprocessing(), layout=layout)
        notes.append("the model reads channels last")
    return given, image, notes


def _quantisation(tensor: dict[str, Any]) -> tuple[float, int]:
    """Return scale and zero point: the real value is scale · (integer − zero point)."""
    scale, zero = tensor["quantization"]
    return (float(scale), int(zero)) if scale else (1.0, 0)


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(int(size) if size >= 0 else None for size in shape)


def _shape_of(details: list[dict[str, Any]], index: int) -> tuple[int, ...]:
    """Return the shape of one tensor among its kind."""
    return next(tuple(int(size) for size in one["shape"]) for one in details if one["index"] == index)


def _type(tensor: dict[str, Any]) -> str:
    kind = np.dtype(tensor["dtype"])
    return "string" if kind.kind in "SUO" else kind.name


def _class_names(content: bytes, classes: int) -> tuple[str, ...] | None:
    """Read the class names that metadata tools pack behind a model: a text file in a zip archive, a name a line."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for one in archive.infolist():
                if one.filename.endswith(".txt") and one.file_size <= LONGEST_NAMES:
                    names = archive.read(one).decode().splitlines()
                    if len(names) == classes:
                        return tuple(names)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, RuntimeError, OSError):
        return None
    return None
