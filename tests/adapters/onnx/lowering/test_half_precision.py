"""Models of half precision: their gradients are computed in single precision."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.lowering import half_precision as widening
from blackbox_explain_adapters._onnx.lowering.half_precision import is_half, widen
from tests.adapters.onnx.test_box import small


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put a model into half precision, but for its input."""
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def test_half_precision(images: np.ndarray, weights: np.ndarray) -> None:
    found = bx.wrap(halved(small("float16[N,3,12,12] x"))).scores_and_gradient(images, weights)
    expected = bx.wrap(small()).scores_and_gradient(images, weights)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=2e-2 * np.abs(other).max())


@pytest.mark.parametrize(
    "before",
    ["a = Max(x, h)", "a = MaxPool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]>(x)"],
)
def test_half_precision_has_gradients_that_its_own_kernels_have_not(
    before: str, images: np.ndarray, weights: np.ndarray
) -> None:
    # What is compared there was rounded in one place and not in the other, and some kernels are missing.
    boxes = [small(source, before) for source in ("float16[N,3,12,12] x", "float[N,3,12,12] x")]
    for model in boxes:
        model.graph.initializer.append(numpy_helper.from_array(np.full((3, 12, 12), 0.37, np.float32), "h"))
    half, whole = bx.wrap(halved(boxes[0])), bx.wrap(boxes[1])
    assert isinstance(half, bx.Differentiable), getattr(half, "no_gradient", "")
    found, expected = half.scores_and_gradient(images, weights)[1], whole.scores_and_gradient(images, weights)[1]
    assert np.abs(expected).max() > 0
    # Rounded weights are other weights, and a few activations are on the other side.
    assert np.median(np.abs(found - expected)) < 2e-3 * np.abs(expected).max()


def test_small_scores_of_half_precision_and_their_gradients_do_not_vanish(images: np.ndarray) -> None:
    model = halved(small("float16[N,3,12,12] x"))
    bias = next(one for one in model.graph.initializer if one.name == "b")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, 0, 0, 0, -30], np.float16), "b"))
    box = bx.wrap(model, activation="softmax")
    weights = np.eye(5, dtype=np.float32)[[4] * len(images)]
    scores, gradient = box.scores_and_gradient(images, weights)
    assert (box.scores(images)[:, 4] > 0).all()
    np.testing.assert_allclose(box.scores(images), scores, rtol=2e-2)
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()


def test_weights_that_are_too_many_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widening, "LARGEST", 100)
    box = bx.wrap(halved(small("float16[N,3,12,12] x")), cache=False)
    assert not isinstance(box, bx.Differentiable)
    assert "in single precision" in str(getattr(box, "no_gradient", ""))


def test_half_precision_wherever_it_is() -> None:
    half = numpy_helper.from_array(np.array([0.5, 0, 0.25], np.float16), "k")
    dense = helper.make_node("Constant", [], ["k"], value=half)
    sparse = helper.make_node(
        "Constant",
        [],
        ["k"],
        sparse_value=helper.make_sparse_tensor(
            numpy_helper.from_array(np.array([0.5, 0.25], np.float16), "k"),
            numpy_helper.from_array(np.array([0, 2]), "i"),
            [3],
        ),
    )
    for node in (dense, sparse):
        model = small(head="m = Cast<to=10>(l)\no = Cast<to=1>(m)\ny = Identity(o)")
        assert is_half(model)
        bare = onnx.ModelProto(graph=onnx.GraphProto(node=[node]))
        assert is_half(bare)
        widen(bare)
        assert not is_half(bare)
    assert not is_half(small())
    assert is_half(small("float16[N,3,12,12] x"))
