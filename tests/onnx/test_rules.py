"""Every rule on its own cases: against differences in float64; optimised against unoptimised graphs, and those for CUDA."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from blackbox_explain_adapters._onnx.differentiate import WEIGHTS, differentiate
from blackbox_explain_adapters._onnx.observe import session_options
from blackbox_explain_adapters._onnx.rules import CASES, RULES, Case
from tests.onnx.oracle import build, image_of, slope

EVERY = [(op, case) for op, cases in CASES.items() for case in cases]


def check(case: Case, tolerance: float = 2e-5) -> None:
    """Hold the gradient of a case against differences along three directions."""
    model, images = build(case), image_of(case)
    graph, for_cuda = (differentiate(model, device=one).SerializeToString() for one in ("cpu", "cuda"))
    rng = np.random.default_rng(3)
    sessions = [
        onnxruntime.InferenceSession(one, session_options(optimise=optimise), providers=["CPUExecutionProvider"])
        for one, optimise in ((graph, True), (graph, False), (for_cuda, False))
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
