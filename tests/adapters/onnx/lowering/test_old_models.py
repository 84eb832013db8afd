"""Models of old opsets, as public collections still hold them, against the same written today."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.backward.operators import Case
from tests.adapters.onnx.oracle import build

S = (2, 4, 6, 6)
POSITIVE = np.array([0.3, 1.2, 0.7, 2.0], np.float32)
NORM = {"s": POSITIVE, "b": POSITIVE, "m": POSITIVE, "v": POSITIVE}
PAIRS: dict[str, tuple[int, str, dict[str, Any], str, dict[str, Any]]] = {
    "batch norm 7": (7, "y = BatchNormalization(x, s, b, m, v)", NORM, "y = BatchNormalization(x, s, b, m, v)", NORM),
    "batch norm 8 with spatial": (8, "y = BatchNormalization<spatial=1>(x, s, b, m, v)", NORM, "y = BatchNormalization(x, s, b, m, v)", NORM),
    "dropout 7": (7, "y = Dropout<ratio=0.5>(x)", {}, "y = Identity(x)", {}),
    "clip 6": (7, "y = Clip<min=-0.5, max=0.5>(x)", {}, "y = Clip(x, lo, hi)", {"lo": np.float32(-0.5), "hi": np.float32(0.5)}),
    "slice 1": (9, "y = Slice<axes=[2], starts=[1], ends=[5]>(x)", {}, "y = Slice(x, st, en, ax)", {"st": np.array([1]), "en": np.array([5]), "ax": np.array([2])}),
    "pad 2": (9, 'y = Pad<mode="reflect", pads=[0,0,1,1,0,0,2,1]>(x)', {}, 'y = Pad<mode="reflect">(x, p)', {"p": np.array([0, 0, 1, 1, 0, 0, 2, 1])}),
    "squeeze 1": (9, "a = Unsqueeze<axes=[1]>(x)\nb = Exp(a)\ny = Squeeze<axes=[1]>(b)", {}, "y = Exp(x)", {}),
    "split 2": (9, "a, b = Split<axis=1, split=[1,3]>(x)\ny = Exp(b)", {}, "a = Slice(x, st, en, ax)\ny = Exp(a)", {"st": np.array([1]), "en": np.array([4]), "ax": np.array([1])}),
    "reduce 1": (9, "a = ReduceMean<axes=[2,3], keepdims=0>(x)\ny = Exp(a)", {}, "a = ReduceMean<keepdims=0>(x, ax)\ny = Exp(a)", {"ax": np.array([2, 3])}),
    "upsample 9": (9, 'y = Upsample<mode="nearest">(x, k)', {"k": np.array([1, 1, 2, 2], np.float32)}, 'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , k)', {"k": np.array([1, 1, 2, 2], np.float32)}),
    "resize 10": (10, 'y = Resize<mode="nearest">(x, k)', {"k": np.array([1, 1, 2, 2], np.float32)}, 'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , k)', {"k": np.array([1, 1, 2, 2], np.float32)}),
    "upsample 7, linear": (7, 'y = Upsample<mode="linear", scales=[1.0,1.0,2.0,1.5]>(x)', {}, 'y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , k)', {"k": np.array([1, 1, 2, 1.5], np.float32)}),
    "upsample 9, linear": (9, 'y = Upsample<mode="linear">(x, k)', {"k": np.array([1, 1, 2, 2], np.float32)}, 'y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , k)', {"k": np.array([1, 1, 2, 2], np.float32)}),
    "resize 10, linear": (10, 'y = Resize<mode="linear">(x, k)', {"k": np.array([1, 1, 2.5, 0.5], np.float32)}, 'y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , k)', {"k": np.array([1, 1, 2.5, 0.5], np.float32)}),
    "resize 10, nearest, fewer": (10, 'y = Resize<mode="nearest">(x, k)', {"k": np.array([1, 1, 1.7, 0.6], np.float32)}, 'a = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , k)\ny = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil">(a, , f)', {"k": np.array([1, 1, 1.7, 1], np.float32), "f": np.array([1, 1, 1, 0.6], np.float32)}),
    "hardmax 11": (11, "h = Hardmax(x)\ny = Mul(x, h)", {}, "f = Flatten(x)\nh = Hardmax(f)\ny = Mul(f, h)", {}),
    "gemm 7": (7, "f = Flatten(x)\ny = Gemm<transB=1>(f, w, c)", {"w": (5, 144), "c": (5,)}, "f = Flatten(x)\ny = Gemm<transB=1>(f, w, c)", {"w": (5, 144), "c": (5,)}),
    "average pool 7": (7, "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", {}, "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", {}),
    "max pool 8": (8, "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", {}, "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)", {}),
    "softmax 7": (7, "f = Flatten(x)\ny = Softmax(f)", {}, "f = Flatten(x)\ny = Softmax(f)", {}),
    "topk 9": (9, "f = Flatten(x)\nv, i = TopK<k=3>(f)\ny = Exp(v)", {}, "f = Flatten(x)\nv, i = TopK(f, k)\ny = Exp(v)", {"k": np.array([3])}),
}  # fmt: skip


def scores_and_gradient(
    opset: int, text: str, constants: dict[str, Any], as_inputs: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    model = build(Case(text, S, constants, opset=opset))
    if as_inputs:  # before IR 4 every initializer was an input, too
        model.ir_version = 3
        model.graph.input.extend(
            helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in model.graph.initializer
        )
    session = onnxruntime.InferenceSession(differentiate(model).SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    images = rng.standard_normal(S).astype(np.float32)
    given = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": images})[0]
    weights = rng.standard_normal(given.size).astype(np.float32).reshape(given.shape)
    scores, gradient = session.run(None, {"x": images, WEIGHTS: weights})
    np.testing.assert_allclose(scores, given, rtol=1e-5, atol=1e-6)
    return scores, gradient


@pytest.mark.parametrize("as_inputs", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_old_operators_are_converted(name: str, as_inputs: bool) -> None:
    opset, old, old_constants, new, new_constants = PAIRS[name]
    scores, found = scores_and_gradient(opset, old, old_constants, as_inputs)
    new_scores, expected = scores_and_gradient(18, new, new_constants)
    np.testing.assert_allclose(scores.reshape(new_scores.shape), new_scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).max() > 0


@pytest.mark.parametrize("listed", [True, False])
def test_the_first_file_versions_with_initializers_as_inputs_or_not(listed: bool) -> None:
    # Before IR 4 initializers had to be inputs, which not every exporter knew.
    opset, text, constants, *_ = PAIRS["gemm 7"]
    model = build(Case(text, S, constants, opset=opset))
    model.ir_version = 3
    # What no node reads any more is left behind by some, too.
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "unused"))
    if listed:
        model.graph.input.extend(
            helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in model.graph.initializer
        )
    box = bx.wrap(model, activation="softmax", cache=False)
    assert isinstance(box, bx.Differentiable), getattr(box, "no_gradient", "")
    images = np.random.default_rng(0).random(S, dtype=np.float32)
    assert np.abs(box.scores_and_gradient(images, np.eye(2, 5, dtype=np.float32))[1]).max() > 0


@pytest.mark.parametrize(
    ("opset", "step"),
    [
        (11, "h = Hardmax(b)\no = Mul(h, b)"),
        (10, 'u = Resize<mode="linear">(b, k)\no = Slice(u, st, en, ax)'),
    ],
)
def test_old_operators_in_the_body_of_a_loop(opset: int, step: str) -> None:
    body = f"go = Identity(c)\n{step}".replace("\n", " ")
    text = (
        "s = Shape(x)\nn = Gather(s, one)\n"
        "y = Loop(n, true, x) <body = steps (int64 i, bool c, float[2,4,6,6] b) => (bool go, float[2,4,6,6] o) "
        f"{{ {body} }}>"
    )
    constants = {
        "one": np.array(1), "true": np.array(True), "k": np.array([1, 1, 2, 2], np.float32),
        "st": np.array([1, 2]), "en": np.array([7, 8]), "ax": np.array([2, 3]),
    }  # fmt: skip
    scores_and_gradient(opset, text, constants)  # compares the scores with those of the model as it is
