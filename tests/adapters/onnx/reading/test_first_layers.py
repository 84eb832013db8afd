"""A graph that begins by scaling says what pixels it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import blackbox_explain as bx
from blackbox_explain.box.adapter_tools.first_layers import biases_outweigh
from blackbox_explain_adapters._onnx.reading.first_layers import first_steps
from tests.adapters.onnx.reading.test_bad_models import model as classifier
from tests.adapters.onnx.test_box import small

IMAGENET = np.array([0.485, 0.456, 0.406], np.float32)
CAFFE = np.array([104, 117, 123], np.float32)


def column(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def beginning(before: str, source: str = "float[N,3,12,12] x", **constants: Any) -> onnx.ModelProto:
    model = small(source, before)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()
    )
    return model


ONES = {"s": [1, 1, 1], "o": [0, 0, 0]}

BYTES = [
    ("a = Mul(x, k)", {"k": 1 / 255}),
    ("a = Div(x, k)", {"k": 255}),
    (
        "e = Mul(x, k)\nd = Sub(e, m)\na = Div(d, t)",
        {"k": 1 / 255, "m": column(IMAGENET), "t": column([0.2, 0.2, 0.3])},
    ),
    ("d = Sub(x, m)\na = Div(d, t)", {"m": column(IMAGENET * 255), "t": column([58, 57, 57])}),
    ("d = Sub(x, m)\na = Mul(d, k)", {"m": 127.5, "k": 1 / 128}),
    ("a = Sub(x, m)", {"m": np.full((3, 12, 12), 120)}),
    ("a = Add(x, m)", {"m": column([-123.68, -116.78, -103.94])}),
    ("i = Identity(x)\nd = Cast<to=1>(i)\na = Mul(k, d)", {"k": [1 / 127.5]}),
    ("a = BatchNormalization(x, s, o, m, vv)", {**ONES, "m": [123, 117, 104], "vv": [3000, 3000, 3000]}),
]


@pytest.mark.parametrize(("before", "constants"), BYTES)
def test_a_graph_that_scales_bytes_is_given_bytes(before: str, constants: Any, images: np.ndarray) -> None:
    model = beginning(before, **constants)
    box = bx.wrap(model)
    expected = bx.wrap(model, preprocessing=bx.Preprocessing(std=1 / 255))
    np.testing.assert_allclose(box.scores(images), expected.scores(images), atol=1e-6)
    assert any("as if they lay between 0 and 255" in one for one in box.assumptions)
    assert not any("as they are" in one and "pixel" in one for one in box.assumptions)
    in_bytes = bx.wrap(model, bounds=(0, 255))
    np.testing.assert_allclose(in_bytes.scores(images * 255), expected.scores(images), atol=1e-4)


@pytest.mark.parametrize(
    ("before", "constants"),
    [
        ("d = Sub(x, m)\na = Div(d, t)", {"m": column(IMAGENET), "t": column([0.229, 0.224, 0.225])}),
        ("e = Mul(x, k)\na = Sub(e, m)", {"k": 2, "m": 1}),
        ("e = Mul(x, k)\na = Sub(e, m)", {"k": 255, "m": column(CAFFE)}),
        ("a = BatchNormalization(x, s, o, m, vv)", {**ONES, "m": [0.5, 0.5, 0.5], "vv": [0.1, 0.1, 0.1]}),
        ("a = Sub(k, x)", {"k": 120}),
        ("e = Mul(x, k)\na = Add(e, x)", {"k": 1 / 255}),
        ("a = Identity(x)", {}),
    ],
)
def test_other_graphs_read_pixels_as_they_are(before: str, constants: Any, images: np.ndarray) -> None:
    model = beginning(before, **constants)
    box = bx.wrap(model)
    expected = bx.wrap(model, preprocessing=bx.Preprocessing())
    np.testing.assert_array_equal(box.scores(images), expected.scores(images))
    assert not any("255" in one for one in box.assumptions)


def test_what_was_said_goes_before_the_graph(images: np.ndarray) -> None:
    model = beginning("a = Div(x, k)", k=255)
    said = bx.wrap(model, preprocessing=bx.Preprocessing())
    assert said.spec.preprocessing == bx.Preprocessing()
    # Channels alone say nothing of the scale.
    other = bx.wrap(model, preprocessing=bx.Preprocessing(channels="BGR"))
    np.testing.assert_allclose(other.scores(images), bx.wrap(model).scores(images[:, ::-1]), atol=1e-6)


def test_channels_last_and_blue_first(images: np.ndarray) -> None:
    model = beginning("d = Sub(x, m)\na = Transpose<perm=[0,3,1,2]>(d)", "float[N,12,12,3] x", m=CAFFE)
    box = bx.wrap(model)
    assert any("--bgr" in one for one in box.assumptions)
    first = bx.wrap(beginning("a = Sub(x, m)", m=column(CAFFE)))
    np.testing.assert_allclose(box.scores(images), first.scores(images), atol=1e-6)
    blue = bx.wrap(model, preprocessing=bx.Preprocessing(std=1 / 255, channels="BGR"))
    assert not any("--bgr" in one for one in blue.assumptions)


@pytest.mark.parametrize(
    "turn",
    [
        "t = Gather<axis=1>(x, order)",
        "t = Slice(x, two, far, one, back)",
        "i = Identity(x)\nt = Gather<axis=1>(i, order)",
    ],
)
def test_channels_that_the_graph_turns_itself_are_its_own_business(turn: str, images: np.ndarray) -> None:
    model = beginning(f"{turn}\na = Sub(t, m)", m=column(CAFFE))
    whole = {"order": [2, 1, 0], "two": [2], "far": [-100], "one": [1], "back": [-1]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in whole.items())
    box = bx.wrap(model)
    assert any("between 0 and 255" in one for one in box.assumptions)
    assert not any("--bgr" in one for one in box.assumptions)
    said = bx.wrap(model, preprocessing=bx.Preprocessing(std=1 / 255))
    np.testing.assert_allclose(box.scores(images), said.scores(images), atol=1e-6)


def test_clips_are_not_taken_for_photos() -> None:
    model = small("float[N,3,144] x", "e = Mul(x, k)\na = Reshape(e, q)")
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "k"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 3, 12, 12]), "q"))
    assert bx.wrap(model).spec.preprocessing == bx.Preprocessing()


def convolution(scale: float) -> onnx.ModelProto:
    """Make a classifier whose first layer has biases of a size."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((16, 3, 3, 3)),
        "b": scale * rng.uniform(1, 2, 16),
        "v": rng.standard_normal((16, 5)),
    }
    text = "c = Conv(x, w, b)\nr = Relu(c)\np = GlobalAveragePool(r)\nf = Flatten(p)\ny = MatMul(f, v)"
    known = {name: value.astype(np.float32) for name, value in weights.items()}
    return classifier(f"m (float[N,3,12,12] x) => (float[N,5] y) {{ {text} }}", **known)


def test_a_first_layer_that_outweighs_its_pixels_raises_a_doubt() -> None:
    # Photos move sums of 27 weights of deviation 1 by about 1.4, if their pixels lie in (0, 1).
    doubted = bx.wrap(convolution(30), cache=False)
    assert any("preprocessing is probably missing" in one and "--range 255" in one for one in doubted.assumptions)
    said = bx.wrap(convolution(30), preprocessing=bx.Preprocessing(mean=0.4, std=1 / 255), cache=False)
    in_bytes = bx.wrap(convolution(30), bounds=(0, 255), cache=False)
    fine = bx.wrap(convolution(0.5), cache=False)
    for box in (said, in_bytes, fine):
        assert not any("probably missing" in one for one in box.assumptions)


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_raise_no_doubt(seed: int) -> None:
    torch.manual_seed(seed)
    for layer in (
        torch.nn.Conv2d(3, 64, 7),
        torch.nn.Conv2d(1, 8, 3),
        torch.nn.Conv2d(1, 16, 3),
        torch.nn.Conv2d(3, 32, 1),
    ):
        values = {name: one.detach().numpy() for name, one in layer.named_parameters()}
        graph = onnx.parser.parse_graph("g (float[N,3,9,9] x) => (float[N,C,H,W] y) { y = Conv(x, weight, bias) }")
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
        steps = first_steps(graph, "x")
        assert steps.filters is not None
        assert steps.biases is not None
        assert biases_outweigh(steps.filters, steps.biases, 1.0) is None
