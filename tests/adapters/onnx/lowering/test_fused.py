"""Models that ONNX Runtime has optimised: the same gradient as before its fusions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.backward.differentiation import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.backward.operators import Case
from blackbox_explain_adapters._onnx.graph.observation import session_options
from blackbox_explain_adapters._onnx.graph.plain_form import flat
from blackbox_explain_adapters._onnx.lowering.fused import FUSED, MICROSOFT_DOMAIN, unfuse
from blackbox_explain_adapters._onnx.lowering.opset import converted
from blackbox_explain_adapters._onnx.lowering.pass_runner import Graph
from tests.adapters.onnx.architectures import NETWORKS
from tests.adapters.onnx.backward.test_networks import exported, made
from tests.adapters.onnx.oracle import build, image_of, slope

CONV = (2, 3, 6, 6), {"w": (4, 3, 3, 3), "b": (4,), "z": (1, 4, 4, 4)}
WORDS = (2, 5, 8)

CASES = [
    *(
        Case(f"y = com.microsoft.FusedConv<{given}>({inputs})", *CONV)
        for given, inputs in (
            ('activation="Relu"', "x, w, b"),
            ('activation="Clip", activation_params=[-0.5, 0.7]', "x, w"),
            ('activation="LeakyRelu", activation_params=[0.3]', "x, w, b"),
            ('activation="HardSigmoid", activation_params=[0.1, 0.4]', "x, w, b"),
        )
    ),
    Case('e = Expand(z, s)\ny = com.microsoft.FusedConv<activation="Tanh">(x, w, b, e)', *CONV[:1], {**CONV[1], "s": np.array([2, 4, 4, 4])}, dynamic=False),
    Case('y = com.microsoft.FusedGemm<activation="LeakyRelu", activation_alpha=0.2, transB=1, alpha=0.5>(x, w, b)', (2, 5), {"w": (4, 5), "b": (4,)}),
    Case("y = com.microsoft.FusedMatMul<alpha=0.3, transA=1, transB=1>(x, w)", (2, 5, 3), {"w": (4, 5)}),
    Case("y = com.microsoft.FusedMatMul<transB=1>(x, x)", (2, 5, 3)),
    Case("y = com.microsoft.Gelu(x)", (2, 3, 5)),
    Case("y = com.microsoft.BiasGelu(x, b)", (2, 3, 5), {"b": (5,)}),
    Case("y = com.microsoft.FastGelu(x, b)", (2, 3, 5), {"b": (5,)}),
    Case("y = com.microsoft.FastGelu(x)", (2, 3, 5)),
    Case("y = com.microsoft.QuickGelu<alpha=1.3>(x)", (2, 3, 5)),
    Case("t = Tanh(x)\ny = com.microsoft.SkipLayerNormalization<epsilon=1e-5>(x, t, g, b, c)", WORDS, {"g": (8,), "b": (8,), "c": (8,)}),
    Case("t = Tanh(x)\na, n, m, s = com.microsoft.SkipLayerNormalization(x, t, g)\ny = Mul(a, s)", WORDS, {"g": (8,)}),
    Case("t = Tanh(x)\ny = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=1e-5>(x, t, g, c)", WORDS, {"g": (8,), "c": (8,)}),
    Case("t = Tanh(x)\na, n, m, s = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=1e-4>(x, t, g)\ny = Mul(a, s)", WORDS, {"g": (8,)}),
    Case("y = com.microsoft.Attention<num_heads=2>(x, w, b)", WORDS, {"w": (8, 24), "b": (24,)}),
    Case("y = com.microsoft.Attention<num_heads=2, scale=0.9>(x, w, b, , , p)", WORDS, {"w": (8, 24), "b": (24,), "p": (1, 2, 5, 5)}),
    Case("q = Tanh(x)\nk = Sin(x)\ny = com.microsoft.MultiHeadAttention<num_heads=4>(q, k, x, b)", WORDS, {"b": (24,)}),
    Case("q = Tanh(x)\ny = com.microsoft.MultiHeadAttention<num_heads=2>(q, x, x)", WORDS),
    Case("y = com.microsoft.MultiHeadAttention<num_heads=2>(q, x, x)", (1, *WORDS[1:]), {"q": (1, 1, 8)}, dynamic=False),
]  # fmt: skip


def fused(case: Case) -> onnx.ModelProto:
    model = build(case)
    model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT_DOMAIN, 1))
    return model


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)
def test_parts_give_what_the_fused_operator_gives(case: Case) -> None:
    model, images = fused(case), image_of(case)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString(), session_options()).run(None, {"x": images})
    weights = np.random.default_rng(3).standard_normal(expected.shape).astype(np.float32)
    session = onnxruntime.InferenceSession(differentiate(model).SerializeToString(), session_options())
    scores, gradient = session.run(None, {"x": images, WEIGHTS: weights})
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=2e-6)
    apart = converted(flat(model))
    assert unfuse(Graph(apart))
    way = np.random.default_rng(4).standard_normal(images.shape)
    found = float(np.sum(gradient.astype(np.float64) * way))
    scale = float(np.sum(np.abs(gradient * way)))
    assert abs(found - slope(apart, images, weights, way)) <= 2e-5 * scale


def test_every_fused_operator_is_tested() -> None:
    assert {one for one in FUSED if not any(f"{MICROSOFT_DOMAIN}.{one}" in case.text for case in CASES)} == set()


@pytest.mark.parametrize("name", ["plain", "residual", "mobile", "inception", "convnext", "vit", "signal", "chosen"])
def test_networks_after_the_optimiser(name: str, tmp_path: Path) -> None:
    shape = NETWORKS[name].shape
    model = exported(made(name), shape, "torchscript", 18)
    options = session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(options.optimized_model_filepath)
    assert any(node.domain == MICROSOFT_DOMAIN for node in optimised.graph.node)
    before, after = (bx.wrap(one, shape=shape, cache=False) for one in (model, optimised))
    rng = np.random.default_rng(1)
    images, weights = rng.random((3, *shape), dtype=np.float32), rng.standard_normal((3, 10)).astype(np.float32)
    (scores, gradient), (found_scores, found) = (box.scores_and_gradient(images, weights) for box in (before, after))
    np.testing.assert_allclose(found_scores, scores, atol=1e-6)
    assert np.linalg.norm(found - gradient) <= 1e-6 * np.linalg.norm(gradient)


def refusal(text: str, shape: tuple[int, ...] = WORDS, **constants: Any) -> str:
    case = Case(text + "\nc = Flatten(a)\ny = MatMul(c, m)", shape, {**constants, "m": (int(np.prod(shape[1:])), 3)})
    return str(bx.wrap(fused(case), cache=False).no_gradient)


def test_what_serves_texts_is_refused() -> None:
    causal = "a = com.microsoft.Attention<num_heads=2, unidirectional=1>(x, w, b)"
    assert "com.microsoft.Attention" in refusal(causal, w=(8, 24), b=(24,))


def test_rules_of_the_caller_apply_to_the_parts() -> None:
    def nothing(tape: Any, node: Any, gradients: Any) -> Any:
        return [tape.scale(gradients[0], 0, node.x)]

    case = Case('a = com.microsoft.FusedConv<activation="Relu">(x, w)\nc = Flatten(a)\ny = MatMul(c, m)', *CONV[:1], {"w": (4, 3, 3, 3), "m": (64, 3)})  # fmt: skip
    box = bx.wrap(fused(case), rules={"Relu": nothing}, cache=False)
    assert not box.scores_and_gradient(image_of(case), np.ones((2, 3), np.float32))[1].any()


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_root_mean_squares_that_runtime_writes_among_the_standards_operators(opset: int) -> None:
    """No schema of ONNX knows the operator, so that it goes before anything is converted."""
    text = """q = Mul(x, x)
    m = ReduceMean<axes=[-1]>(q)
    e = Add(m, eps)
    r = Sqrt(e)
    d = Div(x, r)
    y = Mul(d, g)"""
    constants: dict[str, Any] = {"eps": np.float32(1e-3), "g": (8,)}
    if opset == 18:
        text, constants = text.replace("<axes=[-1]>(q)", "(q, last)"), constants | {"last": np.array([-1])}
    plain = build(Case(text, WORDS, constants, opset=opset))
    fused = build(Case("y = SimplifiedLayerNormalization<epsilon=1e-3>(x, g)", WORDS, {"g": (8,)}, opset=opset))
    fused.graph.initializer[0].CopyFrom(next(one for one in plain.graph.initializer if one.name == "g"))
    images = image_of(Case(text, WORDS, {}))
    (expected,) = onnxruntime.InferenceSession(fused.SerializeToString(), session_options()).run(None, {"x": images})
    weights = np.random.default_rng(3).standard_normal(expected.shape).astype(np.float32)
    feeds = {"x": images, WEIGHTS: weights}
    first, second = (
        onnxruntime.InferenceSession(differentiate(one).SerializeToString(), session_options()).run(None, feeds)
        for one in (fused, plain)
    )
    np.testing.assert_allclose(first[0], expected, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(first[1], second[1], rtol=1e-4, atol=1e-5)


def test_fused_operators_need_not_name_their_domain() -> None:
    model = build(Case("y = com.microsoft.QuickGelu<alpha=1.3>(x)", (2, 3, 5)))
    assert [one.domain for one in model.opset_import] == [""]
    onnxruntime.InferenceSession(differentiate(model).SerializeToString(), session_options())
