"""Keras models, of Keras 3 on TensorFlow, or of Keras 2."""

from __future__ import annotations

import dataclasses
import pickle
import sys
import warnings
from typing import Any

from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.adapter_tools.layout import Layout, layout_of
from blackbox_explain.box.input_spec import Preprocessing
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import UnsupportedModelError

__all__ = ["wrap_keras"]


def wrap_keras(
    model: Any,
    described: Described,
    *,
    output: str | int | None = None,
    reduce: Any = None,
    device: str | None = None,
) -> BlackBox:
    """Wrap a classifier of Keras.

    Parameters
    ----------
    model
        ``keras.Model`` of any kind, built or not, on TensorFlow; on PyTorch it is wrapped as the module that it is.
    described
        What the caller said of its input; a functional or sequential model tells its shape.
    output, reduce
        As in `wrap_tensorflow`; the names are those of ``model.output_names``.
    device
        As in `wrap_tensorflow`; on PyTorch as in `wrap_torch`.

    Raises
    ------
    UnsupportedModelError
        If the model reads anything but one array of images, answers with no class scores, or computes by a backend
        that is not TensorFlow or PyTorch.
    InputError
        If shape or device do not fit.
    """
    if not callable(model):
        raise UnsupportedModelError(
            "This is no Keras classifier", got=f"a {type(model).__name__}", expected="a keras.Model"
        )
    backend = _backend(model)
    options = {name: value for name, value in (("output", output), ("reduce", reduce)) if value is not None}
    if backend == "torch":
        return _on_torch(model, described, device, options)
    if backend != "tensorflow":
        raise UnsupportedModelError(
            f"Keras computes by {backend} here",
            expected="tensorflow or torch",
            hint="save the model to a .keras file, set KERAS_BACKEND=tensorflow, and wrap the file; or wrap a function "
            "of NumPy arrays: wrap(lambda images: model.predict(images), shape=...)",
        )
    return _on_tensorflow(model, described, device, options)


def _on_tensorflow(model: Any, described: Described, device: str | None, options: dict[str, Any]) -> BlackBox:
    from blackbox_explain_adapters._tensorflow.layers import named_layers
    from blackbox_explain_adapters._tensorflow.signature import at_rest
    from blackbox_explain_adapters._tensorflow.source import Source
    from blackbox_explain_adapters._tensorflow.wrapping import box_of

    sizes, batch = _sizes(model)
    call = at_rest(_call_of(model))
    source = Source(
        lambda images: call(images),
        model,
        sizes,
        batch,
        _dtype(model),
        _layout(model),
        names=_names(model),
        layers=lambda: named_layers(model),
    )
    if not getattr(model, "built", True):
        source = dataclasses.replace(
            source, notes=("the model was not built yet: its weights are those that its initializers give",)
        )
    return box_of(source, described, device, lambda: _stored(model, described, device, options), **options)


def _on_torch(model: Any, described: Described, device: str | None, options: dict[str, Any]) -> BlackBox:
    from blackbox_explain_adapters._torch.box import wrap_torch

    sizes, _ = _sizes(model)
    seen: tuple[int | None, ...] | None = None
    layout = _layout(model)
    if sizes is not None:
        seen, layout = layout_of(sizes, layout)
    preprocessing = dataclasses.replace(described.preprocessing or Preprocessing(), layout=layout)
    # Joined here, because a module of PyTorch does not tell its shape.
    spec, _ = dataclasses.replace(described, preprocessing=preprocessing).spec(seen)
    return wrap_torch(
        model, dataclasses.replace(described, shape=spec.shape, preprocessing=preprocessing), device=device, **options
    )


def _backend(model: Any) -> str:
    """Return what a model computes by, without importing anything: it has been, if there is a model."""
    roots = [one.__module__.partition(".")[0] for one in type(model).__mro__]
    if next((root for root in roots if root in ("keras", "tf_keras")), "") == "tf_keras":
        return "tensorflow"
    return str(sys.modules["keras"].config.backend())


def _call_of(model: Any) -> Any:
    """Return the model as a function that tells whether it takes ``training``: Keras hands that to every model."""

    def call(images: Any, training: bool) -> Any:
        return model(images, training=training)

    return call


def _sizes(model: Any) -> tuple[tuple[int | None, ...] | None, int | None]:
    """Return the shape of one image in the model's own order, and the batch size where it is fixed."""
    inputs = getattr(model, "inputs", None)
    if inputs:
        if len(inputs) != 1:
            raise UnsupportedModelError(
                "The model does not read one array of images",
                got=f"{len(inputs)} inputs: {', '.join(f'{one.name} {tuple(one.shape)}' for one in inputs)}",
                expected="one",
                hint="wrap a function that fixes the others: wrap(tf.function(...), shape=...)",
            )
        batch, *sizes = inputs[0].shape
        return tuple(sizes), batch
    # A model that was built by being called remembers the shape of that call, whose batch is an accident.
    built = getattr(model, "get_build_config", lambda: None)() or {}
    shape = built.get("input_shape")
    return (tuple(shape[1:]) if isinstance(shape, (tuple, list)) and len(shape) > 1 else None), None


def _dtype(model: Any) -> Any:
    import tensorflow as tf

    inputs = getattr(model, "inputs", None)
    return tf.as_dtype(inputs[0].dtype if inputs else getattr(model, "variable_dtype", None) or "float32")


def _names(model: Any) -> tuple[str, ...]:
    """Return the names of a model's outputs, where it has several and tells them."""
    return tuple(getattr(model, "output_names", None) or ())


def _layout(model: Any) -> Layout:
    """Return where the layers look for channels."""
    for layer in getattr(model, "layers", ()):
        if (found := getattr(layer, "data_format", None)) in ("channels_first", "channels_last"):
            return found
    return "channels_last"


def _stored(model: Any, described: Described, device: str | None, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a box is pickled as: its model, as Keras pickles it, and what was said of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras saves by what NumPy will no longer do
            # Now, so that what Keras raises is not raised in the middle of a file.
            content = pickle.dumps(model)
            pickle.loads(content)  # noqa: S301 - written one line above
    except Exception as error:
        raise UnsupportedModelError(
            "This Keras model cannot be pickled, and so its black box cannot",
            got=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}",
            hint="register its classes with keras.saving.register_keras_serializable",
        ) from error
    return _restored, (content, described, device, options)


def _restored(content: bytes, described: Described, device: str | None, options: dict[str, Any]) -> BlackBox:
    return wrap_keras(pickle.loads(content), described, device=device, **options)  # noqa: S301 - a pickle within a pickle
