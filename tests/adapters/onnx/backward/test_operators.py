"""Every rule on its own cases: against differences in float64; optimised against unoptimised graphs, and those for CUDA."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.backward.operators import CASES, RULES, Case
from blackbox_explain_adapters._onnx.graph.observation import session_options
from tests.adapters.onnx.oracle import build, double, image_of, slope

EVERY = [(op, case) for op, cases in CASES.items() for case in cases]


def check(case: Case, tolerance: float = 2e-5) -> None:
    """Hold the gradient of a case against differences along three directions."""
    model, images = build(case), image_of(case)
    written, for_cuda = (differentiate(model, device=one) for one in ("cpu", "cuda"))
    check_shapes(model, written, images)
    graph = written.SerializeToString()
    rng = np.random.default_rng(3)
    sessions = [
        onnxruntime.InferenceSession(one, session_options(optimise=optimise), providers=["CPUExecutionProvider"])
        for one, optimise in ((graph, True), (graph, False), (for_cuda.SerializeToString(), False))
    ]
    shape = sessions[0].run(None, {"x": images, WEIGHTS: np.zeros(_shape(model, images), np.float32)})[0].shape
    weights = rng.standard_normal(shape).astype(np.float32)
    (scores, gradient), *others = (one.run(None, {"x": images, WEIGHTS: weights}) for one in sessions)
    # Unoptimised; and as written for CUDA, where other operators are faster, but here on the CPU too.
    for plain_scores, plain in others:
        np.testing.assert_allclose(scores, plain_scores, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(gradient, plain, rtol=1e-4, atol=1e-5 * max(1, np.abs(plain).max()))
    for _ in range(3):
        way = rng.standard_normal(images.shape) * (rng.random(images.shape) < 0.5)
        expected = slope(model, images, weights, way)
        found = float(np.sum(gradient.astype(np.float64) * way))
        scale = float(np.sum(np.abs(gradient * way))) + 1e-3
        assert abs(found - expected) <= tolerance * scale, f"{found} against {expected} in {case}"


def check_shapes(model: onnx.ModelProto, graph: onnx.ModelProto, images: np.ndarray) -> None:
    """Compare the shapes that the graph states for its inner tensors with those that they have."""
    stated = {one.name: [size.dim_value for size in one.type.tensor_type.shape.dim] for one in graph.graph.value_info}
    if not stated:
        return
    exposed = onnx.ModelProto()
    exposed.CopyFrom(graph)
    del exposed.graph.value_info[:], exposed.graph.output[1:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in stated)
    several = np.concatenate([images, images, images])
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), session_options(optimise=False))
    weights = np.zeros(_shape(model, several), np.float32)
    found = session.run(None, {"x": several, WEIGHTS: weights})[1:]
    # A size of 0 is that of the batch.
    wanted = [[size or len(several) for size in sizes] for sizes in stated.values()]
    assert [list(one.shape) for one in found] == wanted


def _shape(model: onnx.ModelProto, images: np.ndarray) -> tuple[int, ...]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": images})[0].shape


@pytest.mark.parametrize(("operator", "case"), EVERY, ids=[f"{op}-{k}" for k, (op, _) in enumerate(EVERY)])
def test_a_rule_gives_the_gradient_of_its_cases(operator: str, case: Case) -> None:
    assert f"{operator}(" in case.text or f"{operator}<" in case.text, "the case does not use the operator"
    check(case)


def test_every_rule_has_a_case() -> None:
    assert len(RULES) >= 70
    assert not [op for op in RULES if not CASES[op]]


def test_sizes_made_of_values_are_not_stated() -> None:
    text = """<ir_version: 9, opset_import: ["": 18]>
        g (float[N, 3, 4, 4] x) => (float[N, 3] y) <float t = {0.5}, int64[1] one = {1}, int64[2] ax = {2, 3}> {
        f = Constant<value_floats = [0.1, 0.9, 0.7, 0.2]>()
        big = Greater(f, t)
        z = NonZero(big)
        i = Flatten<axis = 0>(z)
        s = Squeeze(i)
        c = Relu(x)
        k = Gather<axis = 3>(c, s)
        y = ReduceSum<keepdims = 0>(k, ax)
    }"""
    model = onnx.parser.parse_model(text)
    kept = differentiate(model)
    assert [one.name for one in kept.graph.value_info]  # the places do not depend on the image and are folded
    model.graph.node[0].CopyFrom(onnx.helper.make_node("ReduceMax", ["x", "fl"], ["f"], keepdims=0))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 1, 2]), "fl"))
    assert not differentiate(model).graph.value_info


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("sizes", ["x, r, , s", "x, r, k"])
@pytest.mark.parametrize("region", [(0.2, 0.1, 0.8, 0.7), (-0.1, 0.0, 1.2, 1.0), (0.9, 0.5, 0.1, 0.5)])
def test_crops_of_regions(mode: str, sizes: str, region: tuple[float, ...]) -> None:
    # The reference crops otherwise than the standard says, so that ONNX Runtime's own answers are compared: cropping is
    # linear but for what it puts outside of the image.
    how = f'mode="{mode}", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=2.5'
    top, left, bottom, right = region
    corners = np.array([0, 0, top, left, 1, 1, bottom, right], np.float32)
    values = {"r": corners, "s": np.array([2, 3, 5, 7]), "k": np.array([1, 1, 1, 1.5], np.float32)}
    case = Case(f"y = Resize<{how}>({sizes})", (2, 3, 5, 6), values, dynamic=False)
    model, images = build(case), image_of(case)
    forward, gradient = (
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        for one in (model, differentiate(model))
    )
    rng = np.random.default_rng(0)
    way = rng.standard_normal(images.shape).astype(np.float32)
    ahead, here = (forward.run(None, {"x": one})[0].astype(np.float64) for one in (images + way, images))
    weights = rng.standard_normal(here.shape).astype(np.float32)
    found = gradient.run(None, {"x": images, WEIGHTS: weights})[1]
    assert np.sum(found * way) == pytest.approx(np.sum((ahead - here) * weights), abs=1e-4)


def test_the_slope_at_the_bounds_of_a_clip() -> None:
    # As in PyTorch: 1 for a clamp, so that black and white pixels have a gradient, and 0 for ReLU6.
    images = np.array([[-1, 0, 0.5, 1, 2, 6, 7]], np.float32)
    for high, expected in ((1.0, [0, 1, 1, 1, 0, 0, 0]), (6.0, [0, 0, 1, 1, 1, 0, 0])):
        case = Case("y = Clip(x, lo, hi)", images, {"lo": np.float32(0), "hi": np.float32(high)})
        graph = differentiate(build(case)).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found = session.run(None, {"x": images, WEIGHTS: np.ones((1, 7), np.float32)})[1]
        np.testing.assert_array_equal(found, [expected])


WITHOUT_DOUBLE = {
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Celu", "Col2Im", "Conv", "ConvTranspose", "Cosh", "DeformConv", "Erf", "Gelu",
    "GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization", "LRN", "LpPool", "MaxUnpool", "Mean", "Resize", "STFT", "Sinh", "Tan",
}  # fmt: skip
"""ONNX Runtime has no kernels for these in double precision, or, of STFT, none for its gradient."""


@pytest.mark.parametrize("operator", [op for op in CASES if op not in WITHOUT_DOUBLE])
def test_a_rule_in_double_precision(operator: str) -> None:
    case = CASES[operator][0]
    given, images = build(case), image_of(case)
    weights = np.random.default_rng(3).standard_normal(_shape(given, images))
    found: list[np.ndarray] = []
    for model, dtype in ((given, np.float32), (double(given), np.float64)):
        graph = differentiate(model).SerializeToString()
        session = onnxruntime.InferenceSession(graph, session_options(), providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"x": images.astype(dtype), WEIGHTS: weights.astype(dtype)})[1])
    assert [one.dtype for one in found] == [np.float32, np.float64]
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4 * np.abs(found[1]).max())
