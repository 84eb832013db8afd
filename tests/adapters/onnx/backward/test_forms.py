"""Classifiers whose arrays have other axes than most: rows of pixels, no channels, scores without classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain.errors import UnsupportedModelError
from tests.adapters.onnx.test_box import SHAPE, small

RNG = np.random.default_rng(0)
IMAGES = RNG.random((3, 1, 8, 9), dtype=np.float32)


def model(source: str, body: str, output: str, **constants: Any) -> onnx.ModelProto:
    graph = parser.parse_graph(f"g ({source}) => ({output}) {{ {body} }}")
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    "source", ["float[N,72] x", "float[N,8,9] x", "float[1,72] x", "float[N,K] x", "float[N,H,W] x", "float[N,H,9] x"]
)
def test_images_are_reshaped_to_what_the_model_reads(source: str) -> None:
    w = weights(72, 4)
    rows = model(source, "f = Flatten(x)\nt = Tanh(f)\ny = MatMul(t, w)", "float[N,4] y", w=w)
    box = bx.wrap(rows, shape=(1, 8, 9), activation="none", cache=False)
    assert any("reshaped" in sentence for sentence in box.assumptions)
    given = RNG.standard_normal((3, 4)).astype(np.float32)
    scores, gradient = box.scores_and_gradient(IMAGES, given)
    flat = IMAGES.reshape(3, 72)
    np.testing.assert_allclose(scores, np.tanh(flat) @ w, atol=1e-5)
    np.testing.assert_allclose(gradient.reshape(3, 72), (given @ w.T) * (1 - np.tanh(flat) ** 2), atol=1e-5)


def test_rows_and_images_without_channels_are_told_how_to_be_explained() -> None:
    rows = model("float[N,72] x", "y = MatMul(x, w)", "float[N,4] y", w=weights(72, 4))
    with pytest.raises(UnsupportedModelError, match="shape="):
        bx.wrap(rows)
    with pytest.raises(UnsupportedModelError, match="shape="):
        bx.wrap(rows, shape=(1, 5, 5))
    grey = model("float[N,8,9] x", "f = Flatten(x)\ny = MatMul(f, w)", "float[N,4] y", w=weights(72, 4))
    assert any("shape=(1, 8, 9)" in sentence for sentence in bx.wrap(grey, cache=False).assumptions)


HEAD = "p = GlobalAveragePool(x)\nf = Flatten(p)\nl = MatMul(f, w)"


@pytest.mark.parametrize("batch", ["N", "1"])
def test_two_classes_by_one_score(batch: str) -> None:
    w = weights(1, 1)
    body = f"{HEAD}\ns = Sigmoid(l)\ny = Squeeze(s, a)"
    box = bx.wrap(model(f"float[{batch},1,8,9] x", body, f"float[{batch}] y", w=w, a=np.array([1])), cache=False)
    scores, gradient = box.scores_and_gradient(IMAGES, np.ones((3, 1), np.float32))
    expected = 1 / (1 + np.exp(-IMAGES.mean(axis=(2, 3)) @ w))
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    np.testing.assert_allclose(gradient[:, 0, 0, 0], (expected * (1 - expected) * w / 72)[:, 0], atol=1e-6)


def test_classes_of_one_image() -> None:
    w = weights(1, 4)
    body = f"{HEAD}\ns = Softmax(l)\ny = Squeeze(s, a)"
    box = bx.wrap(model("float[1,1,8,9] x", body, "float[4] y", w=w, a=np.array([0])), cache=False)
    powers = np.exp(IMAGES.mean(axis=(2, 3)) @ w)
    np.testing.assert_allclose(box.scores(IMAGES), powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    box = bx.wrap(model("float[1,1,8,9] x", body, "float[4] y", w=w, a=np.array([0])), activation="none", cache=False)
    assert box.scores_and_gradient(IMAGES, np.ones((3, 4), np.float32))[1].shape == IMAGES.shape


def test_a_model_without_an_axis_of_images_is_refused() -> None:
    single = model("float[3,8,9] x", "p = ReduceMean<keepdims=0>(x, a)\ny = MatMul(p, w)", "float[7] y", w=weights(3, 7), a=np.array([1, 2]))  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="class scores"):
        bx.wrap(single)


@pytest.mark.parametrize("opset", [13, 18])
def test_nodes_in_any_order(opset: int) -> None:
    # ONNX Runtime runs them so, and its own converter to half precision writes them so.
    made = small(head="e = Exp(l)\ny = Neg(e)")
    made.opset_import[0].version = opset
    turned = onnx.ModelProto()
    turned.CopyFrom(made)
    del turned.graph.node[:]
    turned.graph.node.extend(reversed(made.graph.node))
    asked = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32), np.eye(2, 5, dtype=np.float32)
    box, other = bx.wrap(turned), bx.wrap(made)
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")
    assert isinstance(other, bx.Differentiable)
    for one, expected in zip(box.scores_and_gradient(*asked), other.scores_and_gradient(*asked), strict=True):
        np.testing.assert_array_equal(one, expected)
    assert [node.op_type for node in turned.graph.node] == [node.op_type for node in reversed(made.graph.node)]


def test_a_shape_that_rows_do_not_hold() -> None:
    rows = model("float[N,64] x", "y = MatMul(x, w)", "float[N,7] y", w=weights(64, 7))
    with pytest.raises(UnsupportedModelError, match=r"784 values.*reads 64"):
        bx.wrap(rows, shape=(1, 28, 28))
    with pytest.raises(UnsupportedModelError, match=r"--shape 1,28,28"):
        bx.wrap(rows)
