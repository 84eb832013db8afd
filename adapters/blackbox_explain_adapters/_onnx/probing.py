"""One run on plain images: what shape the outputs have, and what turns them into scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from blackbox_explain.box.activations import Activation, WatchedRange, choose_activation
from blackbox_explain.box.adapter_tools.description import plain_images
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.probing import COMPANY, RANDOM, TOLERANCE, company_images, habits
from blackbox_explain.box.adapter_tools.reduction import REDUCE, is_row
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.errors import ModelError, UnsupportedModelError
from blackbox_explain_adapters._onnx.graph.weights import NO_WEIGHTS, Weights
from blackbox_explain_adapters._onnx.lowering.half_precision import is_half
from blackbox_explain_adapters._onnx.pipeline import IMAGES, SCORES, pixels_to_scores
from blackbox_explain_adapters._onnx.reading.final_activation import View, axis_of
from blackbox_explain_adapters._onnx.reading.signature import Signature
from blackbox_explain_adapters._onnx.reading.training_mode import draws_lots, scales_by_batch
from blackbox_explain_adapters._onnx.session import Provider, Session

__all__ = ["Probed", "probe"]

HALF = 1e-2
"""Share of the largest output that counts as rounding in half precision."""


@dataclass(frozen=True)
class Probed:
    """A model that was run once.

    Attributes
    ----------
    signature
        With the batch size that works.
    model
        From pixels to the model's own outputs.
    session
        That ran it.
    outputs
        For a few plain images.
    alone
        Whether each image fills a batch by itself, for the scores of others beside it would change its own.
    notes
        What the user should know of how the model answers.
    """

    signature: Signature
    model: onnx.ModelProto
    session: Session
    outputs: np.ndarray[Any, Any]
    alone: bool = False
    notes: tuple[str, ...] = ()

    def activation(self, wanted: Activation) -> tuple[Activation, tuple[str, ...], WatchedRange | None]:
        """Return what to apply to the outputs, what to tell the user of it, and what to hold later outputs against."""
        head = self.signature.head.activation if self.signature.head else None
        if wanted == head:
            # Applied twice it would flatten the scores; the one inside the graph is enough.
            return "none", (), None
        if wanted != "auto":
            note = f"the {head} inside the graph gives way to the {wanted} asked for"
            return wanted, (note,) if head and wanted != "none" else (), None
        outputs = self.outputs.reshape(len(self.outputs), -1)
        chosen, reason = choose_activation(outputs, self.signature.ending)
        return chosen, (reason,), WatchedRange.of(outputs, wanted, chosen, self.signature.ending)


def probe(
    model: onnx.ModelProto,
    signature: Signature,
    spec: InputSpec,
    providers: Sequence[Provider],
    threads: int | None = None,
    weights: Weights = NO_WEIGHTS,
    *,
    asked: bool = False,
    classes: int | None = None,
) -> Probed:
    """Run a model on black, grey, white and noise.

    A graph that only claims to take any batch, and works for one image, is taken one image at a time; and so is one
    that answers otherwise to an image in the company of others.

    Parameters
    ----------
    model, signature, spec, providers, threads, weights
        What to run, and how.
    asked
        Whether the caller named the tensor of scores.
    classes
        Number of class names that the caller gave, None if there are none.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run it.
    UnsupportedModelError
        If the outputs are no class scores.
    """

    def run(signature: Signature) -> Probed:
        found = _run(model, signature, spec, providers, threads, weights, asked)
        _check_axis(model, found, classes, asked)
        return found

    try:
        return _settled(run(signature), run, spec, HALF if is_half(model) else TOLERANCE)
    except (ModelError, UnsupportedModelError) as error:
        if signature.batch is not None:
            raise
        note = "the graph takes one image at a time, whatever its input says"
        single = dataclasses.replace(signature, batch=1, notes=(*signature.notes, note))
        try:
            return _settled(run(single), run, spec, HALF if is_half(model) else TOLERANCE)
        except (ModelError, UnsupportedModelError):
            raise error from None


def _run(
    model: onnx.ModelProto,
    signature: Signature,
    spec: InputSpec,
    providers: Sequence[Provider],
    threads: int | None,
    weights: Weights,
    asked: bool,
) -> Probed:
    raw = pixels_to_scores(model, signature, spec, "none")
    session = Session(raw, providers, threads, weights)

    def call(rows: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any]]:
        (answer,) = session.run({IMAGES: rows})
        shape = tuple(answer.shape)
        if len(shape) < 2 or shape[0] != len(rows) or sum(size != 1 for size in shape[1:]) > 1:
            raise _no_scores(shape, len(rows), asked)
        return (answer,)

    images = plain_images(spec)
    (outputs,) = in_batches(call, signature.batch, images)
    return Probed(signature, raw, session, outputs)


def _settled(found: Probed, run: Callable[[Signature], Probed], spec: InputSpec, tolerance: float) -> Probed:
    """Find out whether a model answers the same to the same image, alone, again and in company."""
    batch = found.signature.batch

    def ask(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        (outputs,) = in_batches(lambda rows: (found.session.run({IMAGES: rows})[0],), batch, images)
        if found.signature.ending in ("softmax", "sigmoid"):
            # Chances near 0 and 1 hide what moves the numbers that they are made of.
            outputs = np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny))
        return outputs.reshape(len(outputs), -1)

    seen = habits(ask, company_images(spec), tolerance)
    if not seen.repeats:
        return dataclasses.replace(found, notes=() if draws_lots(found.model, SCORES) else (RANDOM,))
    if seen.independent and not (batch != 1 and scales_by_batch(found.model, SCORES)):
        return found
    if batch is None:
        found = run(dataclasses.replace(found.signature, batch=1))
    many = f", {batch} times each" if batch is not None else ""
    return dataclasses.replace(found, alone=True, notes=(f"{COMPANY}{many}",))


def _no_scores(shape: tuple[int, ...], count: int, asked: bool) -> UnsupportedModelError:
    inner = "name the tensor that holds (N, K): output=... (--output)"
    if len(shape) > 2:
        hint = REDUCE
        hint = hint if asked else f"{hint}; else {inner}"
    else:
        hint = "wrap a function that makes (N, K) of it" if asked else inner
    return UnsupportedModelError(
        "The model does not answer with class scores",
        got=f"outputs of shape {shape} for {count} images",
        expected="(N, K)",
        hint=hint,
    )


def _check_axis(model: onnx.ModelProto, found: Probed, classes: int | None, asked: bool) -> None:
    """Refuse numbers that lie along places or steps of the input, such as (N, 7500, 1), instead of along classes."""
    shape = found.outputs.shape
    wide = [axis for axis in range(1, len(shape)) if shape[axis] != 1]
    if len(shape) < 3 or not wide or shape[wide[0]] == classes:
        return
    axis = wide[0]
    kind = axis_of(View(model), found.signature.output, axis, len(shape))
    if kind == "places" or (kind is None and not is_row(shape, classes)):
        hint = f"reduce=('max', {axis}) (--reduce max,{axis}) takes the largest, 'mean' the average"
        hint = hint if kind else f"{hint}; class_names=... (--classes) says that it counts the classes"
        hint = hint if asked else f"{hint}; or name a tensor of class scores by output=... (--output)"
        raise UnsupportedModelError(
            "The model answers with one number for each place or step, not for each class"
            if kind
            else "The model answers with numbers for many places or steps, or for classes along an unusual axis",
            got=f"outputs of shape (N, {', '.join(map(str, shape[1:]))})",
            expected="(N, K)",
            hint=hint,
        )
