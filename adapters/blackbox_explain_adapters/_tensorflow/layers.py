"""The layers of a Keras model: what each returns is kept while the model is traced once more."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.protocols import Layer
from blackbox_explain.errors import UnsupportedModelError
from blackbox_explain_adapters._tensorflow.graph.traced import ACTIVATE, Traced

__all__ = ["LayerWatch", "LayersSeen", "named_layers"]


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

    def all(self) -> tuple[Layer, ...]:
        """Return the layers that give floats with a row for each image, in the order in which they are done."""
        found: dict[str, list[Any]] = {}

        def outputs(images: tf.Tensor) -> tf.Tensor:
            scores, seen = self._run(images, self.layers)
            found.update({name: self._first(one).shape.as_list() for name, one in seen.items() if one.shape.rank})
            return scores

        images = self.traced.images()
        tf.function(outputs, input_signature=[images], autograph=False).get_concrete_function()
        batch = images.shape.as_list()[0]
        return tuple(
            Layer(name, type(self.layers[name]).__name__, tuple(sizes[1:]))
            for name, sizes in found.items()
            if len(sizes) > 1 and sizes[0] == batch
        )

    def function(self, names: Sequence[str]) -> Any:
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
            scores, seen = self._run(images, {name: self.layers[name] for name in names})
            values = [seen.get(name) for name in names]
            present = [one for one in values if one is not None]
            slopes: list[Any] = tf.gradients(tf.reduce_sum(scores * weights), present) if present else []
            slope_of = {id(one): slope for one, slope in zip(present, slopes, strict=True)}
            answers: list[tf.Tensor] = [scores]
            for name, value in zip(names, values, strict=True):
                slope = None if value is None else slope_of[id(value)]
                if value is None or slope is None:
                    expected = "one between the images and the scores"
                    raise UnsupportedModelError("This layer has no gradient", got=repr(name), expected=expected)
                answers += [self._first(value), self._first(tf.convert_to_tensor(slope))]
            return tuple(answers)

        images = self.traced.images()
        weights = tf.TensorSpec((images.shape[0], self.classes), self.traced.dtype, name="weights")
        return tf.function(
            values_and_slopes, input_signature=[images, weights], autograph=False
        ).get_concrete_function()

    def _run(self, images: tf.Tensor, layers: Mapping[str, Any]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with LayersSeen(layers) as seen:
            outputs = self.code(self.traced.input_of(images))
        return ACTIVATE[self.activation](tf.cast(outputs, self.traced.dtype)), seen.found

    def _first(self, values: tf.Tensor) -> tf.Tensor:
        """Bring channels to the front, of maps that have as many axes as the images and the order of the model."""
        spec, rank = self.traced.reading.spec, values.shape.rank
        if spec.preprocessing.layout == "channels_first" or rank != len(spec.shape) + 1:
            return values
        return tf.transpose(values, [0, rank - 1, *range(1, rank - 1)])


def named_layers(model: Any) -> dict[str, Any]:
    """Return the layers of a Keras model by name; those of a layer that has layers are called ``outer/inner``."""
    found: dict[str, Any] = {}
    _collect(model, "", found)
    return found


def _collect(outer: Any, prefix: str, found: dict[str, Any]) -> None:
    for layer in outer._flatten_layers(recursive=False, include_self=False):
        name = f"{prefix}{layer.name}"
        if name not in found:
            found[name] = layer
            _collect(layer, f"{name}/", found)


class LayersSeen:
    """Context manager that keeps what layers return while a model is traced.

    Parameters
    ----------
    layers
        By name; they are as they were once the context is left.

    Attributes
    ----------
    found
        The tensor that each returned, in the order of execution; of a layer that is called several times, the last.
        Layers that return something else, or run inside a loop of the graph, are left out.
    """

    def __init__(self, layers: Mapping[str, Any]) -> None:
        self._layers = layers
        self._own: dict[str, Any] = {}
        self.found: dict[str, tf.Tensor] = {}

    def __enter__(self) -> LayersSeen:
        graph = tf.compat.v1.get_default_graph()
        # A layer that stands in two places has two names.
        self._own = {name: vars(layer)["call"] for name, layer in self._layers.items() if "call" in vars(layer)}
        for name, layer in self._layers.items():
            vars(layer)["call"] = self._keeping(name, layer.call, graph)
        return self

    def __exit__(self, *_error: object) -> None:
        for name, layer in self._layers.items():
            vars(layer).pop("call", None)
            if name in self._own:
                vars(layer)["call"] = self._own[name]

    def _keeping(self, name: str, call: Callable[..., Any], graph: Any) -> Callable[..., Any]:
        def keeping(*arguments: Any, **named: Any) -> Any:
            output = call(*arguments, **named)
            if tf.is_tensor(output) and output.dtype.is_floating and output.graph is graph:
                self.found.pop(name, None)
                self.found[name] = output
            return output

        return keeping
