"""Functions that a file brings with it: what their calls leave out, and other versions of the standard."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.graph.observation import session_options

WRITTEN = """<ir_version: 9, opset_import: ["": 17, "my": 1]>
    g (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) <float[3] s = {{1.0, 2.0, 0.5}}, float[3] b = {{0.0, 0.1, -0.1}}> {{
        y = {call}
    }}
    <domain: "my", opset_import: ["": {opset}]>
    f {declared} (X, s, b) => (Y) {{ {body} }}"""

NORM = "Y = InstanceNormalization<epsilon: float = @eps>(X, s, b)"


def gradient(text: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model = onnx.parser.parse_model(text)
    session = onnxruntime.InferenceSession(differentiate(model).SerializeToString(), session_options())
    weights = np.random.default_rng(1).standard_normal(images.shape).astype(np.float32)
    scores, found = session.run(None, {"x": images, WEIGHTS: weights})
    own = onnxruntime.InferenceSession(model.SerializeToString(), session_options()).run(None, {"x": images})[0]
    np.testing.assert_allclose(scores, own, rtol=1e-4, atol=1e-5)
    return scores, found


def test_what_a_call_leaves_out_is_as_the_function_has_it() -> None:
    images = np.random.default_rng(0).uniform(0.45, 0.55, (2, 3, 8, 8)).astype(np.float32)
    left_out = WRITTEN.format(call="my.f(x, s, b)", opset=17, declared="<eps: float = 0.003>", body=NORM)
    given = WRITTEN.format(call="my.f<eps = 0.003>(x, s, b)", opset=17, declared="<eps>", body=NORM)
    for one, other in zip(gradient(left_out, images), gradient(given, images), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("opset", [17, 18])
def test_functions_of_another_version_of_the_standard(opset: int) -> None:
    images = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    body = "m = GlobalAveragePool(X) Y = Sub(X, m)"
    _, found = gradient(WRITTEN.format(call="my.f(x, s, b)", opset=opset, declared="", body=body), images)
    weights = np.random.default_rng(1).standard_normal(images.shape)
    np.testing.assert_allclose(found, weights - weights.mean(axis=(2, 3), keepdims=True), rtol=1e-4, atol=1e-5)
