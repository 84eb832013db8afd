"""The layers of a Keras model: what each returns is kept while the model is traced once more."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.layout import Layout
from blackbox_explain.box.adapter_tools.random_parameters import no_parameters
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.traced import ACTIVATE, Traced

__all__ = ["LayerWatch", "LayersSeen", "named_layers"]

Function = Any
"""A concrete function."""

TRACING = threading.RLock()
"""One model at a time is watched: two may share layers, and what one puts back the other must not have put there."""

MOVED = ("Permute", "Reshape", "Flatten")
"""Layers whose output may have its channels elsewhere than their input."""


@dataclass(frozen=True)
class LayerWatch:
    """What is needed to trace a model together with what its layers return.

    Attributes
    ----------
    traced
        The model.
    code
        Its own, as `Traced.code`: it runs again.
    layers
        By name.
    activation
        What turns its outputs into scores.
    classes
        Number of its scores.
    """

    traced: Traced
    code: Callable[[tf.Tensor], tf.Tensor]
    layers: Mapping[str, Any]
    activation: Activation
    classes: int

    def shapes(self) -> tuple[tuple[str, ...], Function]:
        """Return the names of layers that give floats, in the order of execution, and the function to their shapes."""
        names: list[str] = []

        def shapes(images: tf.Tensor) -> list[tf.Tensor]:
            _, seen = self._run(images)
            names[:] = seen
            return [tf.shape(one) for one in seen.values()]

        made = tf.function(shapes, input_signature=[self.traced.images()], autograph=False).get_concrete_function()
        return tuple(names), made

    def parameters(self) -> dict[str, tuple[Any, ...]]:
        """Return the variables that layers would train, by the name of the layer, from the output towards the input.

        What belongs to a layer inside of another is that layer's alone.  A layer that is not seen to run, such as the
        cell of a recurrent one, comes where the layer around it does.

        Raises
        ------
        UnsupportedModelError
            If there are none.
        """
        names, _ = self.shapes()
        place = {name: k for k, name in enumerate(names)}
        found: dict[str, tuple[Any, ...]] = {}
        for name, layer in self.layers.items():
            inner = {
                id(one)
                for other, within in self.layers.items()
                if other.startswith(f"{name}/")
                for one in within.trainable_variables
            }
            own = tuple(one for one in layer.trainable_variables if id(one) not in inner and one.dtype.startswith("f"))
            around = name
            while around and around not in place:
                around = around.rpartition("/")[0]
            if own and around:
                place.setdefault(name, place[around])
                found[name] = own
        if not found:
            raise no_parameters("a model without layers that have something to train")
        return {name: found[name] for name in sorted(found, key=lambda one: place[one], reverse=True)}

    def function(self, names: Sequence[str]) -> Function:
        """Return the concrete function from images and weights to scores, then values and slopes of each layer.

        Raises
        ------
        UnsupportedModelError
            If there is no such layer, it does not run, or no gradient reaches it.
        """
        for name in names:
            if name not in self.layers:
                near = difflib.get_close_matches(name, self.layers, 3)
                expected = " or ".join(map(repr, near)) or "a name from model.layers"
                raise UnsupportedModelError("The model has no such layer", got=repr(name), expected=expected)

        def values_and_slopes(images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
            scores, seen = self._run(images)
            present = [seen[name] for name in names if name in seen]
            slopes: list[Any] = tf.gradients(tf.reduce_sum(scores * weights), present) if present else []
            slope_of = dict(zip((name for name in names if name in seen), slopes, strict=True))
            answers: list[tf.Tensor] = [scores]
            for name in names:
                slope = slope_of.get(name)
                if slope is None:
                    expected = "one between the images and the scores"
                    raise UnsupportedModelError("This layer has no gradient", got=repr(name), expected=expected)
                answers += [seen[name], tf.convert_to_tensor(slope)]
            return tuple(answers)

        images = self.traced.images()
        weights = tf.TensorSpec((images.shape[0], self.classes), self.traced.dtype, name="weights")
        return tf.function(
            values_and_slopes, input_signature=[images, weights], autograph=False
        ).get_concrete_function()

    def _run(self, images: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the scores and what each layer gave, channels first where it is known where they lie."""
        inputs = self.traced.input_of(images)
        layout = self.traced.reading.spec.preprocessing.layout
        with LayersSeen(self.layers, inputs, layout) as seen:
            outputs = self.code(inputs)
        scores = ACTIVATE[self.activation](tf.cast(outputs, self.traced.dtype))
        return scores, seen.found


def named_layers(model: Any) -> dict[str, Any]:
    """Return the layers of a Keras model by name; those of a layer that has layers are called ``outer/inner``."""
    found: dict[str, Any] = {}
    _collect(model, "", found)
    return found


def _collect(outer: Any, prefix: str, found: dict[str, Any]) -> None:
    for layer in outer._flatten_layers(recursive=False, include_self=False):
        name, twin = f"{prefix}{layer.name}", 2
        while found.get(name, layer) is not layer:
            # Models that are written as classes may name two layers alike.
            name, twin = f"{prefix}{layer.name} ({twin})", twin + 1
        if name not in found:
            found[name] = layer
            _collect(layer, f"{name}/", found)


class LayersSeen:
    """Context manager that keeps what layers return while a model is traced.

    Parameters
    ----------
    layers
        By name; they are as they were once the context is left.
    inputs
        What the model reads.
    layout
        Where the channels of that lie.

    Attributes
    ----------
    found
        What each returned, in the order of execution; of a layer that is called several times, the last.  Layers that
        return something else, or run inside a loop of the graph, are left out.

    Notes
    -----
    Maps have their channels brought to the front.  A layer knows where they lie (``data_format``), or they lie where
    those of what it reads do; where neither is known, a tensor stays as it is.  What lies behind is computed from what
    is kept, so that a gradient by it can be asked for.
    """

    def __init__(self, layers: Mapping[str, Any], inputs: tf.Tensor, layout: Layout) -> None:
        self._layers = layers
        self._rank: int = inputs.shape.rank
        self._own: dict[str, Any] = {}
        self._known: dict[int, tuple[tf.Tensor, Layout]] = {id(inputs): (inputs, layout)}
        self.found: dict[str, tf.Tensor] = {}

    def __enter__(self) -> LayersSeen:
        TRACING.acquire()
        graph = tf.compat.v1.get_default_graph()
        self._own = {name: vars(layer)["call"] for name, layer in self._layers.items() if "call" in vars(layer)}
        for name, layer in self._layers.items():
            vars(layer)["call"] = self._keeping(name, layer, layer.call, graph)
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            for name, layer in self._layers.items():
                vars(layer).pop("call", None)
                if name in self._own:
                    vars(layer)["call"] = self._own[name]
        finally:
            TRACING.release()

    def _keeping(self, name: str, layer: Any, call: Callable[..., Any], graph: Any) -> Callable[..., Any]:
        def keeping(*arguments: Any, **named: Any) -> Any:
            output = call(*arguments, **named)
            # The model may be run in another thread meanwhile, outside of this graph.
            here = isinstance(output, tf.Tensor) and not tf.executing_eagerly() and output.graph is graph
            if not here or not output.dtype.is_floating:
                return output
            read = [one for one in tf.nest.flatten((arguments, named)) if isinstance(one, tf.Tensor)]
            layout = self._layout(layer, read, output)
            self.found.pop(name, None)
            if layout != "channels_last":
                # A new tensor for each, since a layer may hand on what it reads.
                self.found[name] = output = tf.identity(output)
            else:
                axes = range(1, self._rank - 1)
                self.found[name] = first = tf.transpose(output, [0, self._rank - 1, *axes])
                output = tf.transpose(first, [0, *(axis + 1 for axis in axes), 1])
            if layout is not None:
                self._known[id(output)] = (output, layout)
            return output

        return keeping

    def _layout(self, layer: Any, read: Sequence[tf.Tensor], output: tf.Tensor) -> Layout | None:
        """Return where the channels of a map lie, None where that is not known, or it is no map."""
        if output.shape.rank != self._rank:
            return None
        own = getattr(layer, "data_format", None)
        if own in ("channels_first", "channels_last"):
            return own
        if type(layer).__name__ in MOVED:
            return None
        return next((found for one in read if (found := self._inherited(one)) is not None), None)

    def _inherited(self, tensor: tf.Tensor) -> Layout | None:
        """Return the layout of a tensor, or of one of the same shape that it was computed from, step by step."""
        waiting, seen = [tensor], set[int]()
        while waiting:
            one = waiting.pop()
            if id(one) in self._known:
                return self._known[id(one)][1]
            if id(one) not in seen and one.shape.rank == self._rank:
                seen.add(id(one))
                waiting += [part for part in one.op.inputs if _sizes(part) == _sizes(one)]
        return None


def _sizes(tensor: tf.Tensor) -> list[int | None] | None:
    rank: Any = tensor.shape.rank
    return None if rank is None else tensor.shape.as_list()
