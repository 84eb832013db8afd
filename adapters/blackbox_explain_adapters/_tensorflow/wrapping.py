"""Wrap TensorFlow classifiers: exact gradients where one flows, else scores and the reason."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from blackbox_explain.box.adapter_tools.description import Described, plain_images
from blackbox_explain.box.adapter_tools.outputs import Wanted
from blackbox_explain.box.adapter_tools.reduction import Reduction
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import (
    InputError,
    ModelError,
    UnsupportedModelError,
)
from blackbox_explain_adapters._tensorflow.arrays import device_arrays
from blackbox_explain_adapters._tensorflow.box import DifferentiableTensorFlow, LayeredKeras, Parts, TensorFlowBlackBox
from blackbox_explain_adapters._tensorflow.graph.refusal import why_no_gradient
from blackbox_explain_adapters._tensorflow.graph.traced import gradient_function, scores_function
from blackbox_explain_adapters._tensorflow.layers import LayerWatch
from blackbox_explain_adapters._tensorflow.probing import tried
from blackbox_explain_adapters._tensorflow.signature import source_of
from blackbox_explain_adapters._tensorflow.source import Source

__all__ = ["box_of", "wrap_tensorflow"]

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
    native, way = device_arrays(place)
    classes = len(described.class_names) if described.class_names else None
    wanted = Wanted(output, Reduction.of(reduce), classes)
    with tf.device(place):
        trial = tried(source, described, wanted)
        traced = trial.traced
        parts = Parts(
            source.owner,
            traced,
            traced.reading.spec,
            trial.activation,
            (*traced.reading.assumptions, *traced.notes, *trial.notes, *way),
            scores_function(traced, trial.activation),
            trial.state,
            trial.watched,
            place,
            native,
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


def _device(device: str | None) -> str | None:
    """Return a device by the name that TensorFlow has for it."""
    if device is None:
        return None
    known = [one.name.removeprefix("/device:").lower() for one in tf.config.list_logical_devices()]
    kind, _, index = str(device).lower().replace("cuda", "gpu").removeprefix("/").removeprefix("device:").partition(":")
    if (wanted := f"{kind}:{index or 0}") not in known:
        raise InputError("TensorFlow has no such device", got=f"device={device!r}", expected=" or ".join(known))
    return f"/device:{wanted.upper()}"
