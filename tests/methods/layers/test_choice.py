"""Which layer a map is made of: told by shapes, or by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blackbox_explain.box.protocols import Layer
from blackbox_explain.errors import InputError, UnsupportedModelError
from blackbox_explain.methods.layers.choice import chosen_layer, spatial_layers


def box(spatial: tuple[int, ...], **shapes: tuple[int | None, ...]) -> Any:
    """Return what is asked of a box: its layers, and how large images are."""
    layers = tuple(Layer(name, "Conv", shape) for name, shape in shapes.items())
    return SimpleNamespace(spec=SimpleNamespace(spatial=spatial), layers=lambda: layers)


NET = box((32, 32), stem=(8, 32, 32), block1=(16, 16, 16), block2=(32, 7, 8), pooled=(32, 1, 1), head=(10,))


@pytest.mark.parametrize(
    ("shape", "image", "is_map"),
    [
        ((64, 7, 7), (224, 224), True),
        ((64, 224, 224), (224, 224), True),
        ((64, 226, 226), (224, 224), False),  # padded
        ((64, 1, 1), (224, 224), False),  # pooled
        ((64, 1, 7), (224, 224), False),
        ((7, 7, 768), (224, 224), False),  # channels last
        ((14, 14, 14), (224, 224), True),
        ((64, 3, 4), (224, 224), True),  # rounded: apart by 4 / 3
        ((64, 4, 7), (224, 224), False),  # apart by 7 / 4
        ((64, 7, 14), (224, 448), True),
        ((64, 14, 7), (224, 448), False),
        ((197, 768), (224, 224), False),  # tokens
        ((64,), (224, 224), False),
        ((64, None, 7), (224, 224), False),
        ((16, 50), (400,), True),
        ((16, 1), (400,), False),
        ((8, 4, 4, 2), (16, 16, 8), True),
        ((8, 4, 4), (16, 16, 8), False),
    ],
)
def test_what_is_a_map_of_the_image(shape: tuple[int, ...], image: tuple[int, ...], is_map: bool) -> None:
    assert bool(spatial_layers([Layer("one", "Conv", shape)], image)) is is_map


def test_maps_keep_their_order() -> None:
    assert [one.name for one in spatial_layers(NET.layers(), (32, 32))] == ["stem", "block1", "block2"]


def test_the_last_map_is_taken_unless_one_is_named() -> None:
    assert chosen_layer(NET).name == "block2"
    assert chosen_layer(NET, "stem").name == "stem"


def test_a_name_that_no_layer_has() -> None:
    with pytest.raises(InputError, match=r"no such layer. Got layer='blok2'; expected 'block2' or 'block1'"):
        chosen_layer(NET, "blok2")
    with pytest.raises(InputError, match=r"expected 'block2' \(32, 7, 8\) or 'block1' \(16, 16, 16\) or 'stem'.*--lay"):
        chosen_layer(NET, "xyz")


def test_a_layer_without_spatial_axes() -> None:
    with pytest.raises(InputError, match=r"'pooled' of shape \(32, 1, 1\); expected 'block2' \(32, 7, 8\) or 'block1'"):
        chosen_layer(NET, "pooled")


@pytest.mark.parametrize("name", [None, "head"])
def test_a_model_without_any(name: str | None) -> None:
    with pytest.raises(UnsupportedModelError, match=r"No layer .* Got 1 layers, the last of shape \(10,\)"):
        chosen_layer(box((32, 32), head=(10,)), name)


def test_layers_of_signals_that_have_channels_last_are_no_maps() -> None:
    kinds = [("Conv", (24, 32)), ("Transpose", (32, 24)), ("Add", (32, 24)), ("MatMul", (32, 48)), ("Erf", (32, 48))]
    layers = [Layer(f"{place} {kind}", kind, shape) for place, (kind, shape) in enumerate(kinds)]
    back = Layer("back", "Transpose", (24, 32))
    assert [one.name for one in spatial_layers([*layers, back], (64,))] == ["0 Conv", "back"]
    # What a convolution gives is a map, whatever else has its shape.
    square = [Layer("mixed", "MatMul", (32, 32)), Layer("conv", "Conv1d", (32, 32))]
    assert spatial_layers(square, (64,)) == square
    # Images tell by their sizes alone.
    assert spatial_layers([Layer("mixed", "MatMul", (8, 7, 7))], (224, 224))
