"""Which layer of a model a map of the image is made of."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from blackbox_explain.box.protocols import Layer, Layered
from blackbox_explain.errors import InputError, UnsupportedModelError

__all__ = ["chosen_layer", "spatial_layers"]

APART = 1.5
"""By which factor the axes of a map may be reduced differently: odd sizes are rounded at each layer."""

ON_LAST_AXIS = ("MatMul", "Gemm", "LayerNormalization", "Linear", "LayerNorm")
"""Kinds of layers that mix the values along the last axis: channels, which maps have first."""

Shape = tuple[int | None, ...]

FEW = 3
"""Layers that a message lists."""


def spatial_layers(layers: Sequence[Layer], spatial: Sequence[int]) -> list[Layer]:
    """Return the layers whose values are maps of the image, in their order.

    Parameters
    ----------
    layers
        Of a model, as `Layered.layers` returns them.
    spatial
        Sizes of an image without its channels, such as (224, 224).

    Notes
    -----
    The shape of such a layer is (C, *sizes), with as many sizes as images have, each from 2 up to that of the image.
    All are reduced by the same factor, give or take one of 1.5: so (7, 7, 768), which has its channels last, is not
    taken for 7 channels of 7 × 768.  Attention, which has a row and a column for each token, is no map either, nor is
    what it is made of.  Of signals, which have one such size, (16, 24) may be 16 places of 24 channels: it is,
    if a layer of that shape was transposed from a map, or works on channels that are last, and no convolution has it.
    """
    last = _channels_last(layers) if len(spatial) == 1 else frozenset[Shape]()
    tokens = {
        one.shape[-1]
        for one in layers
        if one.kind == "Softmax" and len(one.shape) > 1 and one.shape[-1] == one.shape[-2]
    }
    return [
        one
        for one in layers
        if _is_map(one.shape, tuple(spatial))
        and one.shape not in last
        and not (one.shape[-1] == one.shape[-2] and one.shape[-1] in tokens)
    ]


def chosen_layer(box: Layered, name: str | None = None) -> Layer:
    """Return the layer to make a map of.

    Parameters
    ----------
    box
        A black box that can be looked into.
    name
        Of the layer; None takes the last one with spatial axes.

    Raises
    ------
    InputError
        If there is no layer of that name, or it has no spatial axes.
    UnsupportedModelError
        If no layer has any.
    """
    layers = box.layers()
    maps = spatial_layers(layers, box.spec.spatial)
    named = {one.name: one for one in layers}
    if name is not None and name not in named:
        near = difflib.get_close_matches(name, named, FEW)
        raise InputError(
            "The model has no such layer",
            got=f"layer={name!r}",
            expected=" or ".join(map(repr, near)) or _last(maps) or "a name of box.layers()",
            hint="blackbox-explain models inspect MODEL --layers",
        )
    if not maps:
        raise UnsupportedModelError(
            "No layer of this model has spatial axes, so that none gives a map of the image",
            got=f"{len(layers)} layers, the last of shape {layers[-1].shape}" if layers else "no layers",
            expected=f"one of {1 + len(box.spec.spatial)} axes: channels, then sizes between 2 and {box.spec.spatial}",
            hint="take a method that asks for scores or gradients alone",
        )
    if name is None:
        return maps[-1]
    if named[name] not in maps:
        raise InputError(
            "This layer has no spatial axes", got=f"{name!r} of shape {named[name].shape}", expected=_last(maps)
        )
    return named[name]


def _channels_last(layers: Sequence[Layer]) -> frozenset[Shape]:
    """Return the shapes of the layers of a model of signals that have their channels last."""
    found: set[Shape] = set()
    seen: set[Shape] = set()
    for one in layers:
        if one.kind in ON_LAST_AXIS or (one.kind == "Transpose" and one.shape[::-1] in seen - found):
            found.add(one.shape)
        seen.add(one.shape)
    return frozenset(found - {one.shape for one in layers if one.kind.startswith("Conv")})


def _is_map(shape: tuple[int | None, ...], image: tuple[int, ...]) -> bool:
    if len(shape) != len(image) + 1:
        return False
    ratios: list[float] = []
    for size, whole in zip(shape[1:], image, strict=True):
        if size is None or not 1 < size <= whole:
            return False
        ratios.append(whole / size)
    return max(ratios) <= APART * min(ratios)


def _last(maps: Sequence[Layer]) -> str:
    """Return the last few layers in words, the very last first."""
    return " or ".join(f"{one.name!r} {one.shape}" for one in reversed(maps[-FEW:]))
