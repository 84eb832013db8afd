"""If nodes whose branch is known before any image is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import blackbox_explain as bx
from blackbox_explain_adapters._onnx.lowering.branches import settle_branches
from tests.adapters.onnx.backward.test_forms import weights

IMAGES = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)

# Each branch has a tensor `inner`, which its neighbours and the branches inside it have, too, and captures `x`.
INSIDE = (
    "m = If (deep) <then_branch = a () => (float[N,1,8,8] o) { inner = Neg(x) o = Identity(inner) },"
    " else_branch = b () => (float[N,1,8,8] o) { inner = Exp(x) o = Identity(inner) }>"
)
BODY = f"""
    fast = Equal(rate, limit)
    deep = Not(fast)
    first = If (fast) <then_branch = c () => (float[N,1,8,8] o) {{ inner = Tanh(x) {INSIDE} o = Add(inner, m) }},
        else_branch = d () => (float[N,1,8,8] o) {{ inner = Cos(x) o = Identity(inner) }}>
    second = If (deep) <then_branch = e () => (float[N,1,8,8] o) {{ inner = Sin(x) o = Identity(inner) }},
        else_branch = f () => (float[N,1,8,8] o) {{ inner = Sqrt(x) o = Mul(inner, x) }}>
    both = Add(first, second)
    p = GlobalAveragePool(both)
    flat = Flatten(p)
    y = MatMul(flat, w)
"""


def model(**constants: Any) -> onnx.ModelProto:
    graph = parser.parse_graph(f"g (float[N,1,8,8] x, int64 rate) => (float[N,4] y) {{ {BODY} }}")
    constants = {"limit": np.array(16), "w": weights(1, 4)} | constants
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def taken(rate: int) -> tuple[Any, Any]:
    """Return what the branches compute, and its slope."""
    if rate == 16:
        return lambda x: np.tanh(x) + np.exp(x) + x**1.5, lambda x: 1 - np.tanh(x) ** 2 + np.exp(x) + 1.5 * x**0.5
    return lambda x: np.cos(x) + np.sin(x), lambda x: np.cos(x) - np.sin(x)


@pytest.mark.parametrize("rate", [16, 8])
def test_branches_that_a_constant_decides(rate: int) -> None:
    given = model()
    before = given.SerializeToString()
    box = bx.wrap(given, constants={"rate": rate}, activation="none", cache=False)
    assert given.SerializeToString() == before
    cotangent = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    scores, gradient = box.scores_and_gradient(IMAGES, cotangent)
    value, slope = taken(rate)
    np.testing.assert_allclose(scores, value(IMAGES).mean(axis=(2, 3)) @ weights(1, 4), rtol=1e-5, atol=1e-5)
    passed = (cotangent @ weights(1, 4).T).reshape(3, 1, 1, 1) / 64
    np.testing.assert_allclose(gradient, passed * slope(IMAGES), rtol=1e-4, atol=1e-6)


def test_no_branch_is_left_to_the_session() -> None:
    settled = settle_branches(model(rate=np.array(16)))
    assert not {"If", "Cos", "Sin", "Neg"} & {node.op_type for node in settled.graph.node}
    onnx.checker.check_model(settled, full_check=True)


def test_branches_that_an_input_decides_stay() -> None:
    given = model()
    assert settle_branches(given) is given
