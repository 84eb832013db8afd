"""Find what to call in a module, a function, a concrete function or a SavedModel, and what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain_adapters._tensorflow.source import Source

__all__ = ["at_rest", "source_of"]

SERVING = "serving_default"

REMEDY = (
    "tf.saved_model.save(model, folder, signatures=tf.function(model).get_concrete_function("
    "tf.TensorSpec((None, 224, 224, 3))))"
)


def source_of(model: Any, signature: str | None) -> Source:
    """Return what to call of a model of TensorFlow itself.

    Parameters
    ----------
    model
        ``tf.Module``, ``tf.function``, concrete function, or what ``tf.saved_model.load`` returns.
    signature
        Name of one of a SavedModel's; None takes the serving one.

    Raises
    ------
    InputError
        If a signature is named where there are none.
    UnsupportedModelError
        If nothing there reads one array of images.
    """
    if isinstance(getattr(model, "signatures", None), Mapping):
        return _saved(model, signature)
    if signature is not None:
        raise InputError(
            "This model has no signatures", got=f"signature={signature!r}", expected="it alone: only a SavedModel has"
        )
    if isinstance(model, tf.types.experimental.ConcreteFunction):
        return _concrete(model, model)
    call = model if isinstance(model, tf.types.experimental.PolymorphicFunction) else _call_of(model)
    if not callable(call):
        raise UnsupportedModelError(
            "This is no TensorFlow classifier",
            got=f"a {type(model).__name__} that cannot be called",
            expected="a Keras model, a tf.Module with __call__, a tf.function, a concrete function or a SavedModel",
            hint="wrap the function that gives the scores: wrap(tf.function(model.predict), shape=...)",
        )
    return _function(call, model)


def at_rest(call: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return `call` of one argument, told not to train where it can be told."""
    try:
        known = inspect.signature(getattr(call, "python_function", call)).parameters
    except (TypeError, ValueError):
        known = {}
    flags = {name: False for name in ("training", "is_training") if name in known}
    return lambda images: call(images, **flags)


def _function(call: Any, owner: Any) -> Source:
    told = getattr(call, "input_signature", None)
    if not told:
        return Source(at_rest(call), owner)
    spec = _only_tensor(tf.nest.flatten(told))
    if spec is None:
        raise UnsupportedModelError(
            "The model does not read one array of images", got=_listed(tf.nest.flatten(told)), expected="one tensor"
        )
    return _described(at_rest(call) if len(told) == 1 else call, owner, spec)


def _concrete(function: Any, owner: Any) -> Source:
    positional, named = function.structured_input_signature
    spec = _only_tensor(tf.nest.flatten((positional, named)))
    if spec is None:
        raise UnsupportedModelError(
            "The function does not read one array of images",
            got=_listed(tf.nest.flatten((positional, named))),
            expected="one tensor of floats or bytes",
        )
    name = next((name for name, one in named.items() if one is spec), None)
    return _described(function if name is None else lambda images: function(**{name: images}), owner, spec)


def _saved(model: Any, signature: str | None) -> Source:
    """Take the signature that is named; else the serving one, the only one of use, or the model's own call."""
    signatures: Mapping[str, Any] = model.signatures
    if signature is not None:
        if signature not in signatures:
            raise UnsupportedModelError(
                "The SavedModel has no such signature", got=repr(signature), expected=_contents(model)
            )
        return _concrete(signatures[signature], model)
    usable = [name for name, one in signatures.items() if _reads_images(one)]
    # Keras writes the same function under two names.
    for name in (SERVING, "serve"):
        if name in usable:
            return _concrete(signatures[name], model)
    if len(usable) == 1:
        return _concrete(signatures[usable[0]], model)
    calls = [one for one in getattr(_call_of(model), "concrete_functions", ()) if _reads_images(one)]
    if not usable and calls:
        # Of the calls that Keras records, the one at rest.
        resting = [one for one in calls if True not in tf.nest.flatten(one.structured_input_signature)]
        return _concrete((resting or calls)[0], model)
    if usable:
        raise UnsupportedModelError(
            "Several signatures of the SavedModel could be meant",
            got=_contents(model),
            hint=f"wrap(model, signature={usable[0]!r})",
        )
    raise UnsupportedModelError(
        "The SavedModel has no signature that reads images", got=_contents(model), expected="one tensor", hint=REMEDY
    )


def _call_of(model: Any) -> Any:
    """Return the method that runs when a model is called, with what TensorFlow knows of it."""
    return getattr(model, "__call__", None)  # noqa: B004 - the method is wanted, not whether there is one


def _described(call: Callable[[Any], Any], owner: Any, spec: tf.TensorSpec) -> Source:
    rank: Any = spec.shape.rank
    if rank is None:
        return Source(call, owner, dtype=spec.dtype)
    batch, *sizes = spec.shape.as_list() if rank else [None]
    return Source(call, owner, tuple(sizes), batch, spec.dtype)


def _reads_images(function: Any) -> bool:
    spec = _only_tensor(tf.nest.flatten(function.structured_input_signature))
    return spec is not None and (spec.dtype.is_floating or spec.dtype.is_integer)


def _only_tensor(arguments: list[Any]) -> tf.TensorSpec | None:
    """Return the one tensor among the arguments of a function; the others are values that it was traced for."""
    tensors = [one for one in arguments if isinstance(one, tf.TensorSpec)]
    return tensors[0] if len(tensors) == 1 else None


def _listed(arguments: list[Any]) -> str:
    tensors = [one for one in arguments if isinstance(one, tf.TensorSpec)]
    return ", ".join(f"{one.name or 'tensor'}: {one.dtype.name} {one.shape}" for one in tensors) or "no tensor"


def _contents(model: Any) -> str:
    """Say what is in a SavedModel."""
    found = [f"{name!r} ({_listed(tf.nest.flatten(one.structured_input_signature))})" for name, one in
             model.signatures.items()]  # fmt: skip
    functions = sorted(name for name, one in vars(model).items() if hasattr(one, "concrete_functions"))
    text = f"signatures {', '.join(found)}" if found else "no signatures"
    return text + (f"; functions {', '.join(functions)}" if functions else "")
