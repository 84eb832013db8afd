"""What a black box is, as types: one for each capability, from scores alone to rules of the gradient's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from blackbox_explain.arrays import Array
from blackbox_explain.box.input_spec import InputSpec

__all__ = ["BlackBox", "Differentiable", "Layer", "Layered", "Of", "Randomizable", "Rewritable"]

Of = Literal["scores", "logits"]


class _Structural(type(Protocol)):
    """Takes for a box whatever has the members, however it comes by them.

    From Python 3.12 on a protocol does not see what an object hands on by ``__getattr__``, as proxies do that count or
    log what a model is asked.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        """Tell whether an object has all members of a protocol."""
        if super().__instancecheck__(instance):
            return True
        if not getattr(cls, "_is_protocol", False):  # a class that inherits from one
            return False
        members = {name for base in cls.__mro__ for name in vars(base) if not name.startswith("_")}
        return all(hasattr(instance, name) for name in members)


@dataclass(frozen=True)
class Layer:
    """One layer of a model.

    Attributes
    ----------
    name
        As `Layered.inner` takes it.
    kind
        What it computes, in the words of its framework: ``"Conv"``, ``"Conv2d"``.
    shape
        Of its values for one image, channels first; None for a size that is not known.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]


@runtime_checkable
class BlackBox(Protocol, metaclass=_Structural):
    """All that a score-only model needs.

    An implementation may add, each found by its presence (see `BoxInfo`): ``native(array)``, which moves a NumPy array
    to the library and device it computes on; ``fingerprint()``, a string that changes with the model; ``activation``,
    what was applied to the raw outputs; ``assumptions``, sentences on what it had to assume; ``no_gradient``, the
    error that says why a model of a framework with gradients has none; ``surrogate``, True where its gradient is that
    of another function.
    """

    @property
    def spec(self) -> InputSpec:
        """What goes in, and how the scores are called."""
        ...

    def scores(self, images: Array) -> Array:
        """Map images ``(N, *shape)`` in pixel space to scores (N, K), in the same array library.

        The images are good until the next call: their memory is used again, and what is to be kept of them is copied.
        """
        ...


@runtime_checkable
class Differentiable(BlackBox, Protocol):
    """A black box that also knows the gradient of its scores."""

    def scores_and_gradient(self, images: Array, weights: Array) -> tuple[Array, Array]:
        """Return scores (N, K) and d Σ(weights · scores) / d images ``(N, *shape)`` for weights (N, K)."""
        ...


@runtime_checkable
class Layered(Differentiable, Protocol):
    """A black box that can be looked into: values and gradients of its inner layers, which Grad-CAM is made of."""

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers between images and scores, in the order in which they are computed."""
        ...

    def inner(self, images: Array, weights: Array, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return for each layer its values and d Σ(weights · scores) / d values, both (N, *layer.shape).

        Raises
        ------
        UnsupportedModelError
            If there is no such layer, or no gradient reaches it.
        """
        ...


@runtime_checkable
class Rewritable(Differentiable, Protocol):
    """A black box whose gradient can pass its operators by other rules, as guided backpropagation and LRP do.

    An implementation that has few sets of rules may say so by ``backward_rules``, their names.
    """

    def with_backward(self, rules: str | Mapping[str, Any], of: Of = "scores", **settings: float) -> Differentiable:
        """Return a box with another gradient, of its scores or of its logits.

        Parameters
        ----------
        rules
            Name of a set of rules, such as ``"guided"``, or what replaces the rule of each kind of operator.
        of
            ``"scores"``, or ``"logits"``: the box that is returned then gives as scores what the last activation is
            applied to.
        **settings
            Of the set of rules, by name, such as ``epsilon=1e-6`` of ``"lrp-epsilon"``.

        Raises
        ------
        InputError
            If there is no such set, or it has no such setting.
        UnsupportedModelError
            If an operator of the model cannot be passed by these rules.
        """
        ...


@runtime_checkable
class Randomizable(BlackBox, Protocol):
    """A black box whose model can be had with random parameters, which sanity checks of explanations compare with."""

    def parameter_layers(self) -> tuple[str, ...]:
        """Return the names of the layers that have parameters, from the output towards the input.

        Raises
        ------
        UnsupportedModelError
            If the model's parameters cannot be told, or cannot be replaced.
        """
        ...

    def randomized(self, layers: Sequence[str], seed: int) -> BlackBox:
        """Return a box of the same kind whose model has random parameters in some layers; this one stays as it is.

        Each parameter is drawn from the normal distribution that has its mean and standard deviation.  What is drawn
        for a layer depends on the seed and its name alone, so that the boxes of a cascade share what they have in
        common.  Statistics that a normalisation collected are no parameters and stay.

        Parameters
        ----------
        layers
            Some of `parameter_layers`.
        seed
            At least 0.

        Raises
        ------
        InputError
            If there is no such layer.
        UnsupportedModelError
            As `parameter_layers`, or if the model cannot be copied.
        """
        ...
