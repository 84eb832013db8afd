"""TensorFlow models as black boxes, with exact gradients where one flows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from blackbox_explain.arrays import Array
from blackbox_explain.box.activations import Activation, WatchedRange
from blackbox_explain.box.adapter_tools.checks import check_batch, check_output, check_scores
from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.box.adapter_tools.fixed_batch_size import in_batches
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.box.protocols import BlackBox, Layer, Of
from blackbox_explain.errors import (
    BlackBoxExplainError,
    InputError,
    ModelError,
    OutOfMemoryError,
    UnsupportedModelError,
)
from blackbox_explain_adapters._tensorflow.arrays import answer_like, as_tensor
from blackbox_explain_adapters._tensorflow.fingerprint import digest
from blackbox_explain_adapters._tensorflow.graph.logits import traced_to_logits
from blackbox_explain_adapters._tensorflow.graph.operations import Operations, operations_of
from blackbox_explain_adapters._tensorflow.graph.refusal import why_no_gradient
from blackbox_explain_adapters._tensorflow.graph.traced import Traced, gradient_function, scores_function
from blackbox_explain_adapters._tensorflow.layers import LayerWatch
from blackbox_explain_adapters._tensorflow.probing import tried
from blackbox_explain_adapters._tensorflow.signature import source_of
from blackbox_explain_adapters._tensorflow.source import Source, short
from blackbox_explain_adapters._tensorflow.state import State

__all__ = ["DifferentiableTensorFlow", "LayeredKeras", "TensorFlowBlackBox", "box_of", "wrap_tensorflow"]


MOST_FUNCTIONS = 4
"""Sets of layers that were asked for of late, for each of which a function is kept."""

FLAT = ("Sign", "Round", "Rint", "Floor", "Ceil")
"""Operations whose slope is 0, which says nothing of what they do."""


def wrap_tensorflow(
    model: Any,
    described: Described,
    *,
    signature: str | None = None,
    output: str | int | None = None,
    reduce: Any = None,
    device: str | None = None,
) -> BlackBox:
    """Wrap a classifier of TensorFlow.

    Parameters
    ----------
    model
        ``tf.Module`` with ``__call__``, ``tf.function``, concrete function, or what ``tf.saved_model.load`` returns.
    described
        What the caller said of its input; a traced function or SavedModel tells its shape.
    signature
        Of a SavedModel, by name; None takes the one for serving.
    output
        Name, or place from 0 on, of the output that holds the class scores; None to find it.
    reduce
        How the scores of many places or steps are joined: ``("mean", axes)`` or ``("max", axes)``, the batch being
        axis 0.
    device
        ``"cpu"``, ``"gpu:0"``; None leaves it to TensorFlow.

    Returns
    -------
    BlackBox
        Differentiable if a gradient reaches the images; else score-only, and asking it for a gradient raises the
        reason.

    Raises
    ------
    UnsupportedModelError
        If nothing there reads one array of images and answers with class scores.
    InputError
        If shape or device do not fit.
    """
    if hasattr(model, "get_input_details"):
        # An interpreter of TensorFlow Lite, whose module is TensorFlow's.
        from blackbox_explain_adapters._tflite.wrapping import wrap_tflite

        return wrap_tflite(model, described, output=output, reduce=reduce)
    return box_of(source_of(model, signature), described, device, output=output, reduce=reduce)


def box_of(
    source: Source,
    described: Described,
    device: str | None = None,
    stored: Callable[[], tuple[Any, ...]] | None = None,
    *,
    output: str | int | None = None,
    reduce: Any = None,
) -> BlackBox:
    """Trace a model, look at its answers to a few plain images, and return its black box.

    Parameters
    ----------
    source
        The model.
    described, device, output, reduce
        As in `wrap_tensorflow`.
    stored
        Returns what ``__reduce__`` does, for models that can be pickled.
    """
    place = _device(device)
    classes = len(described.class_names) if described.class_names else None
    wanted = Wanted(output, Reduction.of(reduce), classes)
    with tf.device(place):
        trial = tried(source, described, wanted)
        traced = trial.traced
        parts = _Parts(
            source.owner,
            traced,
            traced.reading.spec,
            trial.activation,
            (*traced.reading.assumptions, *traced.notes, *trial.notes),
            scores_function(traced, trial.activation),
            trial.state,
            trial.watched,
            place,
            stored,
        )
        try:
            gradient, notes = gradient_function(traced, trial.operations, trial.activation, trial.classes)
            parts = dataclasses.replace(parts, assumptions=(*parts.assumptions, *notes))
            box = DifferentiableTensorFlow(parts, gradient)
            # Some operations have a gradient on paper, and none on this device, or none that is a number.
            images = plain_images(box.spec)
            _, slopes = box.scores_and_gradient(images, np.ones((len(images), trial.classes), np.float32))
            if not np.isfinite(slopes).all():
                raise ModelError("The gradient is not finite", got="NaN or infinity for a plain image")
            if not slopes.any() and (flat := trial.operations.kinds(FLAT)):
                raise ModelError("The gradient is 0 for every plain image", got=f"{', '.join(flat)} on the way")
        except (LookupError, ModelError, UnsupportedModelError, TypeError, ValueError) as error:
            return TensorFlowBlackBox(parts, why_no_gradient(traced.model, error))
    if source.layers is None or traced.code is None or not traced.finite_slopes_are_its_own(trial.operations):
        return box
    return LayeredKeras(
        parts, gradient, LayerWatch(traced, traced.code, source.layers(), trial.activation, trial.classes)
    )


@dataclass(frozen=True)
class _Parts:
    owner: Any
    traced: Traced
    spec: InputSpec
    activation: Activation
    assumptions: tuple[str, ...]
    scores: Any
    state: State
    watched: WatchedRange | None
    place: str | None
    stored: Callable[[], tuple[Any, ...]] | None
    of: Of = "scores"


class TensorFlowBlackBox:
    """A TensorFlow model that gives scores.

    Notes
    -----
    All that runs was traced when the box was made, for a free batch size or for the one that the model has.
    """

    def __init__(self, parts: _Parts, refusal: BlackBoxExplainError | None = None) -> None:
        self.spec = parts.spec
        self.activation: Activation = parts.activation
        self.assumptions = parts.assumptions
        self.no_gradient = refusal
        self._parts = parts

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K)."""
        return self._run(lambda images: (self._parts.scores(images),), images)[0]

    def operations(self) -> Operations:
        """Return what the model consists of."""
        return operations_of(self._parts.traced.model)

    def fingerprint(self) -> str:
        """Return a digest of the graph and its weights, and of what its scores are."""
        of = self._parts.of
        return digest(self._parts.traced.model) + ("" if of == "scores" else f", exact of {of}")

    def __reduce__(self) -> tuple[Any, ...]:
        if self._parts.stored is None:
            _refuse_pickling(self._parts.owner)
        return self._parts.stored()

    def _run(self, function: Callable[..., tuple[tf.Tensor, ...]], *arrays: Array) -> tuple[Array, ...]:
        check_batch(arrays[0], self.spec)
        if tf.is_tensor(arrays[0]):
            # Tensors have no namespace of the array API, in which batches are cut and filled.
            found = self._run(function, *(np.asarray(one) for one in arrays))
            return tuple(tf.constant(one) for one in found)

        def call(*rows: Array) -> tuple[Array, ...]:
            with self._parts.state.kept():
                answers = function(*(as_tensor(one, self._parts.traced.dtype) for one in rows))
            return tuple(answer_like(one, rows[0]) for one in answers)

        try:
            with tf.device(self._parts.place):
                answers = in_batches(call, self._parts.traced.reading.batch, *arrays)
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfMemoryError("Memory ran out", got=f"a batch of {arrays[0].shape[0]}") from error
        except tf.errors.OpError as error:
            raise ModelError("TensorFlow cannot run the model", got=short(error)) from error
        check_scores(answers[0], arrays[0].shape[0], "The model")
        if self._parts.watched is not None:
            self._parts.watched.check(answers[0])
        return answers


class DifferentiableTensorFlow(TensorFlowBlackBox):
    """A TensorFlow model that gives scores and gradients.

    Notes
    -----
    On a CPU TensorFlow shares out the images of a convolution's gradient among its threads by their number: an image
    alone gets other last bits than in company, and after many steps a mask that differs slightly.
    """

    backward_rules = ("exact",)

    def __init__(self, parts: _Parts, gradient: Any) -> None:
        super().__init__(parts)
        self._gradient = gradient

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)``."""
        check_batch(images, self.spec, weights, classes=self._gradient.inputs[1].shape[-1])
        scores, gradient = self._run(self._gradient, images, weights)
        return scores, gradient

    def with_backward(
        self, rules: str | Mapping[str, Any], of: Of = "scores", **settings: Any
    ) -> DifferentiableTensorFlow:
        """Return a box of the same scores, or of its logits, with TensorFlow's own gradient.

        Parameters
        ----------
        rules
            ``"exact"``: there are no others.
        of
            ``"scores"``, or ``"logits"``: what the last activation is applied to, also where the model itself ends in
            one.
        **settings
            None.

        Raises
        ------
        InputError
            If there is no such output, or there are settings.
        UnsupportedModelError
            If the rules are others, or the model's own activation cannot be left out.
        """
        check_output(of)
        if rules != "exact":
            raise UnsupportedModelError(
                "Gradients of Keras and TensorFlow pass every operation by its own rule alone",
                got=f"rules={rules!r}",
                expected="'exact'",
                hint="export the model to ONNX with tf2onnx, and wrap the file",
            )
        if settings:
            raise InputError("The exact rules have no settings", got=", ".join(settings), expected="none")
        return self if of == "scores" else self._of_logits()

    def _of_logits(self) -> DifferentiableTensorFlow:
        parts, stored = self._parts, self._parts.stored
        with tf.device(parts.place):
            traced, notes = traced_to_logits(parts.traced, parts.activation)
            classes = self._gradient.inputs[1].shape[-1]
            gradient, _ = gradient_function(traced, operations_of(traced.model), "none", classes)
            parts = dataclasses.replace(
                parts,
                traced=traced,
                activation="none",
                assumptions=(*parts.assumptions, *notes),
                scores=scores_function(traced, "none"),
                watched=None,
                stored=None if stored is None else lambda: (_logits_of, stored()),
                of="logits",
            )
        return self._remade(parts, gradient)

    def _remade(self, parts: _Parts, gradient: Any) -> DifferentiableTensorFlow:
        return DifferentiableTensorFlow(parts, gradient)


class LayeredKeras(DifferentiableTensorFlow):
    """A Keras model whose layers can be asked for."""

    def __init__(self, parts: _Parts, gradient: Any, watch: LayerWatch) -> None:
        super().__init__(parts, gradient)
        self._watch = watch
        self._inner = lru_cache(maxsize=MOST_FUNCTIONS)(watch.function)

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers that give floats with a row for each image, in the order in which they are done.

        The model is run, to see their shapes.
        """
        traced = self._parts.traced
        images = plain_images(self.spec)[:2]
        count = traced.reading.batch or len(images)
        rows = as_tensor(np.resize(images, (count, *self.spec.shape)), traced.dtype)
        with tf.device(self._parts.place), self._parts.state.kept():
            names, function = self._watch.shapes()
            shapes = [tuple(one.numpy().tolist()) for one in function(rows)]
        kinds = {name: type(layer).__name__ for name, layer in self._watch.layers.items()}
        return tuple(
            Layer(name, kinds[name], shape[1:])
            for name, shape in zip(names, shapes, strict=True)
            if len(shape) > 1 and shape[0] == count
        )

    def inner(self, images: Array, weights: Array, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return for layers what they give, and the gradients of Σ(weights · scores) by that.

        Maps come channels first where the layer, or what it reads, tells where its channels lie.

        Parameters
        ----------
        images
            ``(N, *shape)`` in pixel space.
        weights
            (N, K).
        names
            As in `layers`.

        Raises
        ------
        UnsupportedModelError
            If there is no such layer, it does not run, no gradient reaches it, or it has not a row for each image.
        """
        check_batch(images, self.spec, weights, classes=self._gradient.inputs[1].shape[-1])
        with tf.device(self._parts.place):
            function = self._inner(tuple(names))
        _, *found = self._run(function, images, weights)
        for place, name in enumerate(names):
            if found[2 * place].shape[0] != images.shape[0]:
                got = f"{name!r}, {found[2 * place].shape[0]} rows for {images.shape[0]} images"
                raise UnsupportedModelError("This layer has not a row for each image", got=got)
        return {name: (found[2 * place], found[2 * place + 1]) for place, name in enumerate(names)}

    def _remade(self, parts: _Parts, gradient: Any) -> DifferentiableTensorFlow:
        if (code := parts.traced.code) is None:
            return super()._remade(parts, gradient)
        watch = dataclasses.replace(self._watch, traced=parts.traced, code=code, activation=parts.activation)
        return LayeredKeras(parts, gradient, watch)


def _logits_of(make: Callable[..., Any], arguments: tuple[Any, ...]) -> DifferentiableTensorFlow:
    """Make a box again from its pickle."""
    return make(*arguments).with_backward("exact", of="logits")


def _device(device: str | None) -> str | None:
    """Return a device by the name that TensorFlow has for it."""
    if device is None:
        return None
    known = [one.name.removeprefix("/device:").lower() for one in tf.config.list_logical_devices()]
    kind, _, index = str(device).lower().replace("cuda", "gpu").removeprefix("/").removeprefix("device:").partition(":")
    if (wanted := f"{kind}:{index or 0}") not in known:
        raise InputError("TensorFlow has no such device", got=f"device={device!r}", expected=" or ".join(known))
    return f"/device:{wanted.upper()}"


def _refuse_pickling(owner: Any) -> NoReturn:
    raise UnsupportedModelError(
        "This black box cannot be pickled",
        got=f"one around a {type(owner).__name__}",
        expected="a Keras model",
        hint="save the model, and wrap its file where it is needed",
    )
