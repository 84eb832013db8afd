"""What an interpreter of TensorFlow Lite computes: real numbers in and out, and no memory of earlier calls."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import numpy as np

from blackbox_explain.arrays import Array, constant_like, to_numpy
from blackbox_explain.box.activations import Activation, Ending
from blackbox_explain.box.adapter_tools.checks import check_batch
from blackbox_explain.box.adapter_tools.reduction import REDUCE, Reduction, is_row
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import InputError, ModelError, UnsupportedModelError
from blackbox_explain_adapters._callable.box import CallableBlackBox
from blackbox_explain_adapters._fingerprint import digest_of_answers
from blackbox_explain_adapters._quiet import quiet_tensorflow, without_lines

Interpreter: Any
try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError as missing:
    quiet_tensorflow()
    try:
        from tensorflow.lite.python.interpreter import Interpreter
    except ModuleNotFoundError:
        # The smaller of the two is what to install.
        raise missing from None

__all__ = ["FileInterpreter", "TFLiteBlackBox", "TFLiteFunction", "quantisation", "shape_of"]

DELEGATE = b"Created TensorFlow Lite XNNPACK delegate"
"""In what the runtime tells everybody the first time that it computes."""


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

    def again(self) -> FileInterpreter:
        """Return another that was never asked."""
        return FileInterpreter(self.content, self._threads)

    def __reduce__(self) -> tuple[Any, ...]:
        return FileInterpreter, (self.content, self._threads)


class TFLiteFunction:
    """What an interpreter computes, from real-valued inputs to real-valued outputs.

    Parameters
    ----------
    interpreter
        Of either library.
    source, scores
        Its own description of its input and of the output that holds the scores.
    sizes
        Of one image, as the model reads it.
    reduction
        How further axes of the output are joined.
    classes
        Number of class names that were given.
    keeps_state
        Whether the file has variables, so that rows are computed one by one, each as if it were the first.
    starts_anew
        Whether an interpreter cannot forget them, and another is made for each row.

    Notes
    -----
    Variables are reset before each run, of an interpreter of the caller too.
    """

    def __init__(
        self,
        interpreter: Any,
        source: dict[str, Any],
        scores: dict[str, Any],
        sizes: tuple[int, ...],
        *,
        reduction: Reduction | None = None,
        classes: int | None = None,
        keeps_state: bool = False,
        starts_anew: bool = False,
    ) -> None:
        self.interpreter = interpreter
        self._source, self._scores = source["index"], scores["index"]
        self._dtype = source["dtype"]
        self._from, self._to = quantisation(source), quantisation(scores)
        self._origin = repr(scores["name"])
        self._sizes, self._reduction, self._classes = sizes, reduction, classes
        self._keeps_state, self._starts_anew = keeps_state, starts_anew
        # An interpreter has one set of buffers.
        self._lock = threading.Lock()

    def __call__(self, values: Array) -> Array:
        """Map preprocessed images of NumPy, in the layout of the model, to raw outputs (N, K)."""
        values = values.reshape(len(values), *self._sizes)
        with self._lock:
            if not self._keeps_state:
                return self._run(values)
            # The other rows of a batch are filled with the same image.
            return np.concatenate([self._run(np.stack([one] * self._filled(values)))[:1] for one in values])

    def _filled(self, values: np.ndarray[Any, Any]) -> int:
        """Return the number of rows that a run has, of a model that keeps a state: one where it takes one."""
        return 1 if self.takes((1, *self._sizes)) else len(values)

    def _run(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._starts_anew:
            self.interpreter = self.interpreter.again()
        classes = self.resize(values.shape)
        try:
            self.interpreter.reset_all_variables()
            self.interpreter.set_tensor(self._source, self._quantised(values))
            self.interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ModelError("The TensorFlow Lite model failed", got=str(error)) from error
        found = self.interpreter.get_tensor(self._scores)
        scale, zero = self._to
        real = scale * (found.astype(np.float64) - zero)
        rows = real if found.shape[:1] == (len(values),) else real[None]
        if self._reduction is not None:
            rows = self._reduction.apply(rows, len(values))
        if rows.size != len(values) * classes:
            raise ModelError(
                "The model does not answer like a classifier",
                got=f"outputs of shape {found.shape} for {len(values)} images",
                expected=f"{classes} class scores for each",
            )
        return rows.reshape(len(values), classes)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Tell whether inputs of this shape can be computed with."""
        try:
            self.resize(shape)
        except UnsupportedModelError:
            return False
        return True

    def resize(self, shape: tuple[int, ...]) -> int:
        """Make room for inputs of this shape, and return the number of classes.

        Raises
        ------
        UnsupportedModelError
            If the model does not take such inputs, or does not answer them with class scores.
        """
        try:
            if shape_of(self.interpreter.get_input_details(), self._source) != shape:
                self.interpreter.resize_tensor_input(self._source, shape, strict=True)
            with without_lines(DELEGATE):
                self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModelError("TensorFlow Lite does not take this model", got=str(error)) from error
        found = shape_of(self.interpreter.get_output_details(), self._scores)
        # Some models drop the axis of a batch of one.
        rows = found if found[:1] == shape[:1] else (1, *found)
        if self._reduction is not None:
            joined = self._reduction.axes_of(rows, rows[0])
            rows = tuple(size for axis, size in enumerate(rows) if axis not in joined)
        if rows[0] != shape[0] or not is_row(rows, self._classes) or 0 in rows:
            raise UnsupportedModelError(
                "The model does not answer with class scores",
                got=f"output {self._origin} of shape {found} for {shape[0]} images",
                expected=f"({shape[0]}, K)",
                hint=REDUCE if len(found) > 2 else "",
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
        ends_in: Ending | None = None,
    ) -> None:
        super().__init__(function, spec, activation, assumptions, batch, ends_in)
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


def quantisation(tensor: dict[str, Any]) -> tuple[float, int]:
    """Return scale and zero point: the real value is scale · (integer − zero point)."""
    scale, zero = tensor["quantization"]
    return (float(scale), int(zero)) if scale else (1.0, 0)


def shape_of(details: list[dict[str, Any]], index: int) -> tuple[int, ...]:
    """Return the shape of one tensor among its kind."""
    return next(tuple(int(size) for size in one["shape"]) for one in details if one["index"] == index)
